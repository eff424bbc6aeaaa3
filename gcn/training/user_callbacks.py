"""Lightning callbacks that the user adds to a run of ``scripts/train.py``.

The run validates by itself, at its own updates. Callbacks find the values in ``trainer.callback_metrics``, and their
hooks around a validation are called here, so that EarlyStopping and ModelCheckpoint work as in a Trainer of one's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gcn.errors import InputError
from gcn.schema.plugins import said

UNCALLED = ("on_validation_batch_start", "on_validation_batch_end")


def built(name: str, kind: type[L.Callback], options: Mapping[str, Any]) -> L.Callback:
    """A callback of this class; raises InputError if it refuses its arguments."""
    try:
        return kind(**options)
    except Exception as problem:  # of the user's class, or of Lightning
        raise InputError(f"callbacks.{name}: cannot be built ({said(problem)}); mend its arguments") from None


def notes(callbacks: Sequence[L.Callback]) -> list[str]:
    """A line for each callback with a hook that a run does not call."""
    return [
        f"note: {type(one).__name__}.{hook} is not called: a run validates all images at once"
        for one in callbacks
        for hook in UNCALLED
        if getattr(type(one), hook) is not getattr(L.Callback, hook)
    ]


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
    module.log_dict(dict(values), logger=False)
    _call(callbacks, ("on_validation_epoch_end", "on_validation_end"), trainer, module)


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
                reason = " ".join(str(problem).split())
                raise InputError(f"callbacks: {type(callback).__name__}: {reason}") from problem
