"""A line on the terminal that says how much of a long command is done; needs no package."""

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from gcn.files.names import printable

T = TypeVar("T")


def counted(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, while a line on stderr says how many are done; no line where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    try:
        for number, item in enumerate(items):
            print(f"\r{printable(what)}: {number} of {len(items)}\x1b[K", end="", file=sys.stderr, flush=True)
            yield item
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
