"""``summary.json``, and the table that is printed at the end of a run."""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from gcn.files.atomic import make_folder, write_text

REQUIRED = ("steps", "verdict", "verdict_step", "verdict_reason", "psnr", "bpp", "bpp_actual")
UNITS = {"psnr": "dB", "bpp": "bit/pixel (estimate)", "bpp_actual": "bit/pixel (bytes of the files)"}


def plain(value: Any) -> Any:
    """The value in JSON's own types: scalars of torch and numpy unwrapped, NaN and infinities as None (JSON
    has none).
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def write_json_atomic(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all, and flush it to the disk; folders are created."""
    text = json.dumps(plain(content), indent=2, allow_nan=False, ensure_ascii=False)
    make_folder(Path(path).parent)
    write_text(Path(path), text + "\n", sync=True)


def write_summary(path: str | os.PathLike[str], summary: Mapping[str, Any]) -> None:
    """Write ``summary.json``. Every name in ``REQUIRED`` must be there (None where a number could not be
    measured).
    """
    missing = [name for name in REQUIRED if name not in summary]
    if missing:
        raise ValueError(f"the summary lacks {', '.join(missing)}")
    write_json_atomic(path, summary)


def _text(value: Any) -> str:
    value = plain(value)
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_summary(summary: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print the summary as a table: drawn by rich on a terminal, two plain columns elsewhere (logs, pipes).

    Nested mappings are left to ``summary.json``.
    """
    file = file or sys.stdout
    rows = [
        (name, _text(value), UNITS.get(name, ""))
        for name, value in summary.items()
        if not isinstance(value, Mapping)
    ]
    if not file.isatty():
        width = max((len(name) for name, _, _ in rows), default=0)
        for name, value, unit in rows:
            print(f"{name:<{width}}  {value} {unit}".rstrip(), file=file)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {
        "stable": "green",
        "oscillating": "yellow",
        "diverged": "red",
        "collapsed": "red",
    }  # else plain
    table = Table(show_header=False, title="summary", title_justify="left")
    for name, value, unit in rows:
        style = colours.get(value, "") if name == "verdict" else ""
        table.add_row(name, Text(value, style=style), Text(unit, style="dim"))
    Console(file=file).print(table)
