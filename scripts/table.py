"""Verdicts and numbers of finished runs as a Markdown table: ``python scripts/table.py multirun/… [KEY …]``."""

import json
import sys
from pathlib import Path

from gcn.report.verdicts import table

DEFAULT = ("loss", "mse", "seed")


def main(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(
            f"{__doc__}\n\nusage: python scripts/table.py FOLDER [SETTING …]   (default settings: {' '.join(DEFAULT)})"
        )
        return 0
    folders = sorted(path.parent for path in Path(words[0]).rglob("summary.json"))
    if not folders:
        print(
            f"error: {words[0]}: no finished run below this folder (a summary.json ends each)",
            file=sys.stderr,
        )
        return 2
    runs = []
    for folder in folders:
        overrides = (folder / "config.yaml").read_text(encoding="utf-8")
        runs.append((overrides, json.loads((folder / "summary.json").read_text(encoding="utf-8"))))
    print(table(runs, words[1:] or DEFAULT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
