"""Lightning callbacks that the user adds to a run of ``scripts/train.py``.

The run validates by itself, at its own updates. Callbacks find the values in ``trainer.callback_metrics``, and their
hooks around a validation are called here, so that EarlyStopping and ModelCheckpoint work as in a Trainer of one's own.

A callback begins anew in a resumed run. Its state in the checkpoint is not restored, because a run folder is not
trusted: ModelCheckpoint deletes the paths that its state names, and EarlyStopping takes its patience from there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.plugins import said
from gcn.training.loggers import placed

UNCALLED = ("on_validation_batch_start", "on_validation_batch_end")
RESTORING = ("load_state_dict", "on_load_checkpoint")  # hooks that would be given parts of a checkpoint


def built(name: str, kind: type[L.Callback], options: Mapping[str, Any], folder: Path) -> L.Callback:
    """A callback that takes nothing from a checkpoint.

    Args:
        name: of the callback, for messages.
        kind: its class.
        options: its arguments; ``{folder}`` and ``{run}`` in them become the run folder and its name.
        folder: the run folder.

    Raises:
        InputError: the class refuses its arguments.
    """
    try:
        callback = kind(**{key: placed(value, folder) for key, value in options.items()})
    except Exception as problem:  # of the user's class, or of Lightning
        raise InputError(f"callbacks.{name}: cannot be built ({said(problem)}); mend its arguments") from None
    for hook in RESTORING:
        setattr(callback, hook, _restore_nothing)
    return callback


def notes(callbacks: Sequence[L.Callback]) -> list[str]:
    """A line for each callback with a hook that a run does not call."""
    return [
        f"note: {type(one).__name__}.{hook} is not called: a run validates all images at once"
        for one in callbacks
        for hook in UNCALLED
        if getattr(type(one), hook) is not getattr(L.Callback, hook)
    ]


@contextmanager
def refusals(callbacks: Sequence[L.Callback]) -> Iterator[None]:
    """Turn what Lightning refuses in the block because of callbacks into an InputError of one line."""
    try:
        yield
    except MisconfigurationException as problem:
        if not callbacks:
            raise
        raise InputError(f"callbacks: {_line(problem)}; mend its arguments, or drop it") from problem


def before_validation(callbacks: Sequence[L.Callback], trainer: L.Trainer, module: L.LightningModule) -> None:
    """Call the hooks that come before a validation."""
    _call(callbacks, ("on_validation_start", "on_validation_epoch_start"), trainer, module)


def after_validation(
    callbacks: Sequence[L.Callback],
    trainer: L.Trainer,
    module: L.LightningModule,
    values: Mapping[str, float],
) -> None:
    """Put values into ``trainer.callback_metrics``, and call the hooks that come after a validation."""
    show(trainer, module, values)
    _call(callbacks, ("on_validation_epoch_end", "on_validation_end"), trainer, module)


def show(trainer: L.Trainer, module: L.LightningModule, values: Mapping[str, float]) -> None:
    """Put values into ``trainer.callback_metrics``, as ``module.log_dict`` does, but much faster.

    Lightning walks through its record of each value, a millisecond a value: as long as the update of a small game.
    """
    tensors = torch.tensor(list(values.values()), device=module.device).unbind()
    trainer.callback_metrics.update(zip(values, tensors, strict=True))


def _restore_nothing(*_: Any) -> None:
    """Stands for the hooks of ``RESTORING``."""


def _line(problem: BaseException) -> str:
    return printable(" ".join(str(problem).split()))


def _call(
    callbacks: Sequence[L.Callback], hooks: Sequence[str], trainer: L.Trainer, module: L.LightningModule
) -> None:
    for hook in hooks:
        for callback in callbacks:
            try:
                getattr(callback, hook)(trainer, module)
            except (
                MisconfigurationException,
                RuntimeError,
            ) as problem:  # a value to monitor that there is not
                raise InputError(f"callbacks: {type(callback).__name__}: {_line(problem)}") from problem
