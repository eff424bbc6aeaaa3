"""Say which images of a folder can be used for training: ``python scripts/scan.py FOLDER``.

Every image is decoded. Exit status 0 if training would take the folder, 2 with one line if it would not.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from gcn.cli.terminal import guarded
from gcn.errors import InputError
from gcn.files.names import printable


class Parser(argparse.ArgumentParser):
    """Errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")


def main(words: list[str] | None = None) -> int:
    return guarded(lambda: report(parse(words)))


def parse(words: list[str] | None) -> argparse.Namespace:
    from gcn.data.images import MAX_PIXELS

    parser = Parser(description="Say which images of a folder can be used for training.")
    parser.add_argument("folder")
    parser.add_argument("--crop", type=int, default=64, help="side of the training crops [%(default)s]")
    parser.add_argument(
        "--max-pixels", type=int, default=MAX_PIXELS, help="largest image taken [%(default)s]"
    )
    parser.add_argument(
        "--bad-share", type=float, default=0.01, help="share of bad files tolerated [%(default)s]"
    )
    parser.add_argument("--bad", action="store_true", help="name every bad file, a line each")
    found = parser.parse_args(words)
    if found.crop < 1 or found.max_pixels < 1 or not 0 <= found.bad_share <= 1:
        parser.error("--crop and --max-pixels are 1 or more, --bad-share is between 0 and 1")
    return found


def report(arguments: argparse.Namespace) -> int:
    from gcn.data.scan import judge_scan, scan

    found = scan(
        arguments.folder,
        option="",
        crop=arguments.crop,
        max_pixels=arguments.max_pixels,
        watch=progress,
        judge=False,
    )
    if arguments.bad:  # also where there are too many
        for path, reason in found.bad:
            print(f"{printable(path)}: {printable(reason)}")
    judge_scan(found, "", arguments.bad_share)
    sizes = sorted((entry.height * entry.width, entry.width, entry.height) for entry in found.entries)
    (_, *smallest), (_, *largest) = sizes[0], sizes[-1]
    print(found.report())
    print(f"sizes {smallest[0]}×{smallest[1]} to {largest[0]}×{largest[1]} pixels")
    return 0


def progress(files: Sequence[Path]) -> Iterable[Path]:
    """A bar over the files, on a terminal only."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(files, "reading", console=console, transient=True, disable=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(main())
