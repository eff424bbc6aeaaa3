"""Which stabilisers help a small GAN to recover the modes of ring and grid, with and without a distortion?

``python scripts/modes.py`` scans a few weights of each stabiliser, plays every loss with every stabiliser over ten
seeds, and writes a table, a page and figures. Stopped, it goes on where it was.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process a core: the networks are too small for threads

from gcn.cli.terminal import guarded
from gcn.errors import InputError
from gcn.files.atomic import write_text
from gcn.files.names import printable
from gcn.lab.modes import (
    Budget,
    Cell,
    Row,
    cells,
    choose,
    load,
    play_all,
    scan_of_settings,
    scan_with_distortion,
)  # fmt: skip
from gcn.lab.modes_figure import figures
from gcn.lab.modes_report import Table, page, write_rows


def arguments(words: list[str] | None) -> argparse.Namespace:
    usual = Budget()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread [%(default)s]")
    parser.add_argument("--steps", type=int, default=usual.steps, help="updates of a game [%(default)s]")
    parser.add_argument("--seeds", type=int, default=usual.seeds, help="games of a setting [%(default)s]")
    parser.add_argument(
        "--scan-seeds", type=int, default=usual.scan_seeds, help="of the preliminary scan [%(default)s]"
    )
    parser.add_argument(
        "--cells", type=Path, default=Path("outputs/modes"), help="finished settings [%(default)s]"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("docs/lab"), help="tables and the page [%(default)s]"
    )
    parser.add_argument(
        "--figures", type=Path, default=Path("docs/figures/theory"), help="the figures [%(default)s]"
    )
    args = parser.parse_args(words)
    for name, least in (("workers", 1), ("steps", 1), ("seeds", 2), ("scan_seeds", 1)):
        if getattr(args, name) < least:
            raise InputError(f"--{name.replace('_', '-')}={getattr(args, name)}: must be {least} or more")
    return args


class Progress:
    """A line for each finished setting, with the time that is left at the speed so far."""

    def __init__(self, stage: str) -> None:
        self.stage, self.began = stage, time.monotonic()

    def __call__(self, cell: Cell, done: float, whole: float) -> None:
        passed = time.monotonic() - self.began
        left = passed * (whole - done) / done
        what = f"{cell.data} {cell.generator} {cell.loss} {cell.arm}" + (
            f" mse={cell.mse:g}" * bool(cell.mse)
        )
        print(f"{self.stage} {done / whole:4.0%}  {left / 60:5.1f} min left   {what}", flush=True)


def main(words: list[str] | None = None) -> int:
    return guarded(lambda: work(words))


def work(words: list[str] | None) -> int:
    try:
        return scan_and_play(words)
    except KeyboardInterrupt as signalled:
        going_on = "stopped; the same command goes on with the settings that are not finished"
        raise type(signalled)(going_on) from None


def scan_and_play(words: list[str] | None) -> int:
    args = arguments(words)
    budget = Budget(steps=args.steps, seeds=args.seeds, scan_seeds=args.scan_seeds)

    def rows_of(stage: str, stage_cells: Iterable[Cell]) -> list[Row]:
        """Play what is not finished, and read everything."""
        listed = list(stage_cells)
        play_all(listed, args.cells, args.workers, Progress(stage))
        return list(chain.from_iterable(load(cell, args.cells).rows for cell in listed))

    scan = rows_of("scan 1/2", scan_of_settings(budget))
    scan += rows_of("scan 2/2", scan_with_distortion(budget, choose(scan)))
    write_rows(args.out / "modes_scan.csv", scan)

    played = list(cells(budget, choose(scan)))
    rows = rows_of("play", played)
    results = {cell: load(cell, args.cells) for cell in played}
    write_rows(args.out / "modes.csv", rows)
    command = " ".join(["python scripts/modes.py", *(words if words is not None else sys.argv[1:])])
    write_text(args.out / "modes.md", page(rows, scan, command))
    figures(args.figures, Table(rows), results)
    print(printable(args.out / "modes.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
