"""File names as text for people: on the terminal, in messages and in reports."""

from pathlib import Path


def printable(path: Path | str) -> str:
    """A file name that any terminal can show, whatever bytes it is made of."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
