"""scripts/table.py: verdicts and numbers of runs as a Markdown table."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.plugins import WORDS, of_words

COMMAND = Command(
    name="table",
    about="Print verdicts and numbers of runs as a Markdown table.",
    examples="""
python scripts/table.py multirun/DATE/TIME
python scripts/table.py outputs loss mse optim.g.lr
""",
    words="""\
run: ???                          #: path ; folder in or below which runs are looked for
settings: [loss, mse, seed]       #: list of str ; settings of the runs that are columns
"""
    + WORDS,
    bare=("run", "settings"),
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, show)


def show(said: Arguments) -> int:
    """Print the table of all runs below a folder; returns 2 if one of them could not be read."""
    from gcn.config.parse import load
    from gcn.report.verdicts import read_summary, table

    top = Path(said["run"])
    folders = sorted({path.parent for path in top.rglob("config.yaml") if path.parent.name != ".hydra"})
    if not folders:
        raise InputError(f"{printable(top)}: no run in or below this folder (each has a config.yaml)")
    runs: list[tuple[Mapping[str, Any], Mapping[str, Any] | None]] = []
    bad, own = 0, of_words(said.said)
    for folder in folders:
        try:
            runs.append((load(folder, own=own).plain(), read_summary(folder / "summary.json")))
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
        print(table(runs, said["settings"]))
    return 2 if bad else 0
