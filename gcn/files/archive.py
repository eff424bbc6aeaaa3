"""Check of an archive of torch's before anything in it is read."""

import struct
import zipfile
from pathlib import Path

from gcn.files.names import printable


class Damaged(Exception):
    """The archive is not as it was written."""


def check_archive(file: Path, largest_pickle: int) -> None:
    """Raise Damaged if a record of the archive differs from its checksum, which torch does not compare.

    Args:
        file: path of the archive.
        largest_pickle: bytes of its structure, without its tensors.

    Raises:
        Damaged: no archive, a part of one, compressed or doubled records, or a larger structure.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            plain = all(
                r.compress_type == zipfile.ZIP_STORED and r.compress_size == r.file_size for r in records
            )
            if not plain or sum(r.file_size for r in records) > file.stat().st_size:
                raise Damaged("its records are not those of a checkpoint")
            if len({r.filename for r in records}) < len(records):
                raise Damaged("it has two records of one name")
            if any(r.filename.endswith(".pkl") and r.file_size > largest_pickle for r in records):
                raise Damaged("its structure is larger than any run's")
            damaged = archive.testzip()
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        struct.error,
    ) as problem:
        reason = (
            "it is no archive, or a part of one" if isinstance(problem, zipfile.BadZipFile) else str(problem)
        )
        raise Damaged(" ".join(reason.split())[:100]) from None
    if damaged is not None:
        raise Damaged(f"{printable(damaged)[:80]} differs from its checksum")
