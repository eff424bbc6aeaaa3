"""``metrics.csv``: the table of a run, complete and without duplicates whenever the process is killed.

A row has reached the operating system before ``append`` returns. After a kill the file may still end in half
a line, or hold rows that are newer than the checkpoint from which the run resumes: ``resume_at`` removes
both, and the resumed run writes them again.
"""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.atomic import cannot_write, make_folder, write_csv
from gcn.files.names import printable
from gcn.files.reading import read_text

Number = float | int | None
LONGEST_LINE = 1 << 16  # bytes
LARGEST = 1 << 30  # bytes


def _cell(value: Any) -> str:
    if hasattr(value, "item"):  # scalars of numpy and torch
        value = value.item()
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(int(value))


def _number(text: str) -> Number:
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


class MetricsTable:
    """A CSV file of numbers with one row per ``append``; ``step`` is its first column.

    Floats are written with ``repr`` and hence read back exactly. An empty cell means "not measured at this
    step" and is read as None; NaN and infinities are written as such.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.columns = self._read()[0]

    def append(self, step: int, row: Mapping[str, Any]) -> None:
        """Add a row of numbers. A new name rewrites the file, atomically, with the wider header.

        Raises:
            InputError: the row cannot be written; the rows before it are untouched.
        """
        full = {**row, "step": step}
        new = [name for name in row if name not in self.columns]
        if new or not self.path.exists():
            rows = self.rows()
            self.columns = [*self.columns, *new]
            self._write([*rows, full])
            return
        try:
            self._append(self._line(full))
        except OSError as problem:
            raise cannot_write(self.path, problem) from None

    def extend(self, step: int, row: Mapping[str, Any]) -> None:
        """Add numbers to the last row if it is that of ``step``, else a row; raises InputError as :meth:`append`."""
        rows = self.rows()
        if not rows or rows[-1]["step"] != step:
            self.append(step, row)
            return
        self.columns = [*self.columns, *(name for name in row if name not in self.columns)]
        self._write([*rows[:-1], {**rows[-1], **row}])

    def _append(self, line: bytes) -> None:
        with self.path.open("rb+") as file:
            start = max(0, file.seek(0, os.SEEK_END) - LONGEST_LINE)
            file.seek(start)
            end = start + file.read().rfind(b"\n") + 1
            file.truncate(end)  # half a line that a kill or a full disk left behind
            file.seek(end)
            file.write(line)

    def resume_at(self, step: int) -> int:
        """Drop rows after ``step`` and an incomplete last line, to continue from the checkpoint of ``step``.

        Returns:
            The largest step that had ever been written, −1 for an empty table: a remote log may hold that
            much already.
        """
        rows = self.rows()
        if self.path.exists():
            self._write([row for row in rows if row["step"] <= step])
        return max((row["step"] for row in rows), default=-1)

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows in the order of the file: ``step`` an int, the other cells int, float or None."""
        return self._read()[1]

    def _read(self) -> tuple[list[str], list[dict[str, Any]]]:
        if not self.path.exists():
            return ["step"], []
        text = read_text(self.path, LARGEST)
        try:
            lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
            if not lines:
                return ["step"], []
            header, *body = lines
            rows = [dict(zip(header, map(_number, line), strict=True)) for line in body]
            if not all(isinstance(row["step"], int) for row in rows) or "step" not in header:
                raise ValueError("a row without its step")
        except (ValueError, KeyError, csv.Error) as error:
            raise InputError(
                f"{printable(self.path)} is not a metrics table ({error}); move it away"
            ) from None
        return header, rows

    def _line(self, row: Mapping[str, Any]) -> bytes:
        return (",".join(self._cells(row)) + "\n").encode()

    def _cells(self, row: Mapping[str, Any]) -> list[str]:
        return [_cell(row.get(name)) for name in self.columns]

    def _write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        make_folder(self.path.parent)
        write_csv(self.path, [self.columns, *(self._cells(row) for row in rows)], sync=True)
