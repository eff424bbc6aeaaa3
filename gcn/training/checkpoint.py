"""Checkpoints that are either the old one or the new one, never half of one."""

import os
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from gcn.errors import InputError
from gcn.files.atomic import make_folder, replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, fsyncs, keeps the previous file as ``*.previous`` and renames into place.

    A process killed at any moment leaves a complete ``last.ckpt``, or a complete ``last.ckpt.previous``.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``."""
        target = Path(path)
        make_folder(target.parent)
        with replacing(target, sync=True) as partial:
            _save(checkpoint, partial)
            if target.exists():
                _keep(target, target.with_name(target.name + ".previous"))


def _save(checkpoint: dict[str, Any], path: Path) -> None:
    """``torch.save``, which answers an error of the file system by one of its own ("unexpected pos")."""
    with path.open("wb") as file:
        output = _Output(file)
        try:
            torch.save(checkpoint, output)  # type: ignore[arg-type]  # what it needs of a file
        except RuntimeError as other:
            raise output.problem or other from None


class _Output:
    """A file that remembers the first error of writing."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.problem: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        try:
            return self.file.write(data)
        except OSError as problem:
            self.problem = self.problem or problem
            raise

    def flush(self) -> None:
        """Nothing: the file is flushed when it is closed."""


def _keep(target: Path, previous: Path) -> None:
    previous.unlink(missing_ok=True)
    try:
        os.link(target, previous)
    except OSError:  # a file system without hard links
        os.replace(target, previous)


def has_checkpoint(folder: Path) -> bool:
    """Whether a run folder holds a checkpoint yet."""
    return any(path.is_file() for path in _last(folder))


def _last(folder: Path) -> list[Path]:
    return [folder / "checkpoints" / name for name in ("last.ckpt", "last.ckpt.previous")]


def open_checkpoint(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The last readable checkpoint of a run folder, or a checkpoint file: where it lies and what it holds.

    Tensors and plain values only: code in the file is never run. Where ``last.ckpt`` is damaged, one line says so and
    the one before it serves.

    Raises:
        InputError: no file, or none that is a checkpoint of this project.
    """
    path = Path(path)
    files = [file for file in [path, *_last(path)] if file.is_file()]
    if not files:
        raise InputError(
            f"{path}: no checkpoint here; give a run folder that holds checkpoints/last.ckpt, or a .ckpt file"
        )
    for file, other in pairwise(files):
        try:
            return file, _read(file)
        except InputError as problem:
            print(f"{problem}; using {other.name}", file=sys.stderr)
    return files[-1], _read(files[-1])


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """What the checkpoint that :func:`open_checkpoint` finds holds."""
    return open_checkpoint(path)[1]


def _read(file: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():  # of formats that are no checkpoint of ours
            warnings.simplefilter("ignore")
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:
        raise InputError(
            f"{file}: not a readable checkpoint ({type(problem).__name__}); give another file"
        ) from problem
    if not isinstance(checkpoint, dict) or "gcn" not in checkpoint:
        raise InputError(f"{file}: not a checkpoint of this project; give a file written by scripts/train.py")
    return checkpoint
