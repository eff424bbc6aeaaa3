"""The figures of docs/theory.md: ``python scripts/figures [NAME ...] [out=FOLDER]``."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from gallery import FIGURES, MODULES, draw, one_thread
from gcn.cli.arguments import Words, choice, run
from gcn.errors import InputError
from gcn.files.atomic import check_folder, make_folder
from gcn.files.names import printable
from gcn.files.targets import refuse_existing
from gcn.schema.fields import suggestion

OUT = Path(__file__).resolve().parents[2] / "docs" / "figures" / "theory"
USAGE = "python scripts/figures [NAME...] [out=FOLDER [overwrite=true]]"
ABOUT = "\n".join(
    [
        "Draw figures of docs/theory.md, each as NAME.png and NAME.svg; without a name all of them.",
        "",
        *(f"  {' '.join(module.figures):<38}{module.about}" for module in MODULES.values()),
    ]
)
OPTIONS = {
    "out": "folder [docs/figures/theory of this project, where figures of these names are replaced]",
    "overwrite": "true: replace figures that exist in another folder",
}
PROCESSES = 2
LONGEST_FIRST = ("adam", "circles", "lossy", "wrong_point", "non_saturating", "same_spectrum")


def work(words: Words) -> int:
    names, out = checked(words)
    begin = time.monotonic()
    draw_all(names, out)
    print(printable(f"{len(names)} figures in {out}, {time.monotonic() - begin:.0f} s"))
    return 0


def checked(words: Words) -> tuple[list[str], Path]:
    """Names of figures, all where none is given, and the folder; InputError before anything is drawn."""
    for name in words.files:
        if name not in FIGURES:
            raise InputError(f"{name}: no such figure; {suggestion(name, FIGURES)}")
    names = list(dict.fromkeys(words.files)) or list(FIGURES)
    overwrite = choice("overwrite", words.options.get("overwrite", "false"))
    given = words.options.get("out", words.output)
    if given == "":
        raise InputError("out=: give a folder")
    if words.output is not None and "out" in words.options:
        raise InputError("out= and -o are the same; give one of them")
    out = OUT if given is None else check_folder("out", given)
    if not (overwrite or out.resolve() == OUT):
        refuse_existing(
            [out / f"{name}.{kind}" for name in names for kind in ("png", "svg")], "or another out="
        )
    return names, out


def draw_all(names: Sequence[str], out: Path) -> None:
    """Draw figures in two processes, the longest first, and print a line as each is done."""
    make_folder(out)
    order = sorted(names, key=lambda name: (name not in LONGEST_FIRST, names.index(name)))
    workers = min(PROCESSES, len(order))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=one_thread) as pool:
        running = {pool.submit(draw, name, out): name for name in order}
        for done in as_completed(running):
            print(f"{running[done]:22}{done.result():6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, ABOUT, work))
