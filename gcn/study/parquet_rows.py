"""Rows of a Parquet file that a study has written, here or elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable


def rows_of(file: Path, needed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows of a file.

    Args:
        file: its path.
        needed: columns without which it is another kind of table.

    Raises:
        InputError: it does not exist, is damaged or no Parquet file, or lacks a column that is needed.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        content = parquet.read_table(file)
    except FileNotFoundError:
        raise InputError(f"{printable(file)}: no such file; copy all files of the table") from None
    except pyarrow.ArrowException:
        raise InputError(
            f"{printable(file)}: damaged, or no Parquet file; copy it anew or give another table"
        ) from None
    for name in needed:
        if name not in content.column_names:
            raise InputError(f"{printable(file)}: no column {name}, which is needed here; give another table")
    rows: list[dict[str, Any]] = content.to_pylist()
    return rows
