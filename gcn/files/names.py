"""File names as printable text for the terminal, messages and reports."""

from pathlib import Path


def printable(path: Path | str) -> str:
    """The file name as text that any terminal can show, whatever bytes it consists of."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
