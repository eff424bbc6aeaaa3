"""Verdicts and numbers of runs as a Markdown table: ``python scripts/table.py multirun/… [SETTING …]``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcn.cli.terminal import guarded
from gcn.errors import InputError
from gcn.files.names import printable

DEFAULT = ("loss", "mse", "seed")


def main(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(
            f"{__doc__}\n\nusage: python scripts/table.py FOLDER [SETTING …]   (default settings: {' '.join(DEFAULT)})"
        )
        return 0
    try:
        return show(Path(words[0]), words[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def show(top: Path, settings: list[str]) -> int:
    """Print the table of all runs below a folder; returns 2 if one of them could not be read."""
    from gcn.config.parse import load
    from gcn.report.verdicts import read_summary, table

    folders = sorted({path.parent for path in top.rglob("config.yaml") if path.parent.name != ".hydra"})
    if not folders:
        raise InputError(f"{printable(top)}: no run in or below this folder (each has a config.yaml)")
    runs: list[tuple[Mapping[str, Any], Mapping[str, Any] | None]] = []
    bad = 0
    for folder in folders:
        try:
            runs.append((load(folder).plain(), read_summary(folder / "summary.json")))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            bad += 1
            continue
        if runs[-1][1] is None and (folder / "summary.json").exists():
            print(
                f"{printable(folder)}: summary.json is damaged; the run counts as not finished",
                file=sys.stderr,
            )
    if runs:
        print(table(runs, settings or DEFAULT))
    return 2 if bad else 0


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
