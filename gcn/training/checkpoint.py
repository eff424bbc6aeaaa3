"""Checkpoints that are either the old one or the new one, never half of one."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from gcn.errors import InputError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, fsyncs, keeps the previous file as ``*.previous`` and renames into place.

    A process killed at any moment leaves a complete ``last.ckpt``, or a complete ``last.ckpt.previous``.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                previous = target.with_name(target.name + ".previous")
                previous.unlink(missing_ok=True)
                os.link(target, previous)
            os.replace(partial, target)
            _fsync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def find_checkpoint(path: str | Path) -> Path:
    """A checkpoint file: the path itself, or the last one of a run folder.

    Raises:
        InputError: where there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    for name in ("last.ckpt", "last.ckpt.previous"):
        if (path / "checkpoints" / name).is_file():
            return path / "checkpoints" / name
    raise InputError(
        f"{path}: no checkpoint here; give a run folder that holds checkpoints/last.ckpt, or a .ckpt file"
    )


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Tensors and plain values of a checkpoint; never runs code from the file.

    Raises:
        InputError: for a file that is no checkpoint of this project.
    """
    file = find_checkpoint(path)
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:
        raise InputError(
            f"{file}: not a readable checkpoint ({type(problem).__name__}); give another file"
        ) from problem
    if not isinstance(checkpoint, dict) or "gcn" not in checkpoint:
        raise InputError(f"{file}: not a checkpoint of this project; give a file written by scripts/train.py")
    return checkpoint
