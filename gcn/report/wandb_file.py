"""Reading a W&B log: rows that a killed process handed over may have been lost in W&B's own buffer.

W&B writes a run into ``wandb/*/run-ID.wandb``: seven bytes of head, then blocks of 32 KiB with records as LevelDB's log
has them (a check sum, a length, a kind: whole, first, middle, last). After a kill the file may end anywhere.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD, _BLOCK = 7, 1 << 15
_FRAME = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def steps_in_folder(folder: Path, run_id: str, online: bool) -> set[int]:
    """Updates whose rows are in the W&B files of a run folder.

    Args:
        folder: the run folder.
        run_id: W&B's id of the run.
        online: leave out the files of what was logged online, for the server is asked about that.
    """
    pattern = f"offline-run-*-{run_id}" if online else f"*run-*-{run_id}"
    files = folder.glob(f"wandb/{pattern}/run-{run_id}.wandb")
    return {step for file in files for step in _steps(file.read_bytes())}


def steps_on_server(run: Any, timeout: int) -> set[int]:
    """Updates whose rows the server has, for a run that was continued online."""
    import wandb

    history = (
        wandb.Api(timeout=timeout).run(f"{run.entity}/{run.project}/{run.id}").scan_history(keys=["step"])
    )
    return {int(row["step"]) for row in history}


def _steps(data: bytes) -> Iterator[int]:
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    for content in records(data):
        record = Record.FromString(content)
        for item in record.history.item:
            if (item.key or "/".join(item.nested_key)) == "step":
                yield int(item.value_json)


def records(data: bytes) -> Iterator[bytes]:
    """The records of a W&B file, up to the first that is incomplete or damaged."""
    at, parts = _HEAD, b""
    while at + _FRAME.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _FRAME.size:  # too little room for a frame: the rest of a block is zeros
            at += left
            continue
        checksum, length, kind = _FRAME.unpack_from(data, at)
        body = data[at + _FRAME.size : at + _FRAME.size + length]
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or zlib.crc32(bytes([kind]) + body) != checksum:
            return
        parts = body if kind in (_WHOLE, _FIRST) else parts + body
        if kind in (_WHOLE, _LAST):
            yield parts
        at += _FRAME.size + length
