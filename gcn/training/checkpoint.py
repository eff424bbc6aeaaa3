"""Checkpoints that are replaced whole or not at all."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from gcn.cli.invocation import as_called
from gcn.cli.quoting import command
from gcn.errors import InputError
from gcn.files.archive import Damaged, check_archive
from gcn.files.atomic import make_folder, replacing
from gcn.files.names import printable
from gcn.training.restore import step_of

LAST, BEST = ("last.ckpt", "last.ckpt.previous"), "best.ckpt"
LARGEST_PICKLE = 2**23  # bytes of a checkpoint's structure, without its tensors
Check = Callable[[Mapping[str, Any]], None]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, keeps the previous one as ``*.previous``, and renames into place.

    A process killed at any moment leaves a complete ``last.ckpt``, or a complete ``last.ckpt.previous``.
    """

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The content of a checkpoint, on the CPU."""
        return _read(Path(path))

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
    """Call ``torch.save``, and report a file system's error, for which torch says only "unexpected pos"."""
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
        """Does nothing: the file is flushed when it is closed."""


def _keep(target: Path, previous: Path) -> None:
    previous.unlink(missing_ok=True)
    try:
        os.link(target, previous)
    except OSError:  # a file system without hard links
        os.replace(target, previous)


def accept(checkpoint: Mapping[str, Any]) -> None:
    """Accept any checkpoint: raises no error."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a run folder holds a checkpoint."""
    return any(path.is_file() for path in [*_last(folder), folder / "checkpoints" / BEST])


def _last(folder: Path) -> list[Path]:
    return [folder / "checkpoints" / name for name in LAST]


def checkpoint_files(path: str | Path) -> list[Path]:
    """Checkpoint files of ``path``: the file itself, or the last checkpoints of a run folder, latest first.

    The best one serves where there is no last one: the run was killed between the two, or somebody removed the last.

    Raises:
        InputError: there are none.
    """
    path = Path(path)
    try:
        files = [file for file in [path, *_last(path)] if file.is_file()]
        best = path / "checkpoints" / BEST
        if not files and best.is_file():
            files = [best]
    except (OSError, ValueError):  # no name that a file can have
        files = []
    if not files:
        raise InputError(
            f"{printable(path)}: no checkpoint here; give a run folder that holds checkpoints/last.ckpt, "
            "or a .ckpt file"
        )
    return files


def open_checkpoint(path: str | Path, check: Check = accept) -> tuple[Path, dict[str, Any]]:
    """Path and content of a checkpoint file, or of the last undamaged checkpoint of a run folder.

    Tensors and plain values only: code in the file is never run. Where ``last.ckpt`` is damaged, one line says so and
    the one before it serves.

    Args:
        path: of the folder or the file.
        check: raises ValueError, with the reason, for what cannot be used.

    Raises:
        InputError: no file, or none that is a checkpoint of this project and passes the check.
    """
    files = checkpoint_files(path)
    if files[0].name == BEST and files[0] != Path(path):
        print(f"{printable(path)}: holds no {LAST[0]}; using {BEST}", file=sys.stderr)
    for file, other in pairwise(files):
        try:
            return file, _read(file, check)
        except InputError as problem:
            print(f"{problem}; using {other.name}", file=sys.stderr)
    try:
        return files[-1], _read(files[-1], check)
    except InputError as problem:
        raise InputError(f"{problem}{_remedy(files[0], check)}") from None


def _remedy(last: Path, check: Check) -> str:
    """How to continue if the last checkpoints cannot be used."""
    best = last.with_name(BEST)
    if last.name not in LAST or not best.is_file():
        return "; give another checkpoint"
    try:
        step = _read(best, check)["global_step"]
    except InputError:
        return f"; {BEST} is of no use either, give another checkpoint"
    first = last.with_name(LAST[0])
    return f"; {BEST}, of update {step}, is sound: to continue from there, {command('cp', str(best), str(first))}"


def _read(file: Path, check: Check = accept) -> dict[str, Any]:
    shown = printable(file)
    try:
        check_archive(file, LARGEST_PICKLE)
        with warnings.catch_warnings():  # of formats that are no checkpoint of ours
            warnings.simplefilter("ignore")
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Damaged as problem:
        raise InputError(f"{shown}: not a readable checkpoint ({problem})") from None
    except Exception as problem:
        raise InputError(f"{shown}: not a readable checkpoint ({type(problem).__name__})") from problem
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("gcn"), dict):
        raise InputError(
            f"{shown}: not a checkpoint of this project; {as_called('scripts/train.py')} writes them"
        )
    try:
        step_of(checkpoint)
        check(checkpoint)
    except ValueError as problem:
        raise InputError(f"{shown}: {printable(str(problem))}") from None
    return checkpoint
