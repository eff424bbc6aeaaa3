"""Options of a Lightning ``Trainer`` that would train another game than the configured one; they are refused.

A run of ``scripts/train.py`` and a plain ``L.Trainer(max_epochs=1).fit(module, loader)`` pass these rules alike.
"""

import math
from typing import Any, cast

import lightning as L
from lightning.pytorch import callbacks
from lightning.pytorch.profilers import PyTorchProfiler
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.training.precision import LIGHTNING
from gcn.training.ranks import ReplicatedStrategy, check_ranks

# These change the weights, the learning rates or the batches behind the game's back.
STEERING = (
    callbacks.BaseFinetuning,
    callbacks.BatchSizeFinder,
    callbacks.GradientAccumulationScheduler,
    callbacks.LearningRateFinder,
    callbacks.ModelPruning,
    callbacks.StochasticWeightAveraging,
    callbacks.WeightAveraging,
)


def check_options(trainer: L.Trainer) -> None:
    """Raise InputError for options that change the training, before any process group is made.

    Raises:
        InputError: an option that the game does not follow, or follows in another way than it says.
    """
    strategy = trainer.strategy
    if type(strategy) is not DDPStrategy and not isinstance(
        strategy, SingleDeviceStrategy | ReplicatedStrategy
    ):
        raise InputError(
            f"Trainer(strategy=…): {type(strategy).__name__} would not average losses inside of the graph, which norms "
            "of gradients need; use strategy='ddp', or devices=1"
        )
    check_ranks(cast(Any, trainer.lightning_module).game, trainer.world_size)
    if trainer.precision not in LIGHTNING.values():
        allowed = " or ".join(LIGHTNING.values())
        raise InputError(
            f"Trainer(precision={trainer.precision!r}): the game has no such form; use {allowed}"
        )
    if trainer.accumulate_grad_batches != 1:
        raise InputError(
            f"Trainer(accumulate_grad_batches={trainer.accumulate_grad_batches}): the game steps its own optimizers; "
            "drop it and set data.batch"
        )
    for name in ("gradient_clip_val", "gradient_clip_algorithm"):
        if value := getattr(trainer, name):
            raise InputError(
                f"Trainer({name}={getattr(value, 'value', value)!r}): the game steps its own optimizers; "
                "drop it and set optim.g.clip and optim.d.clip, which bound the norm"
            )
    if cast(Any, trainer)._accelerator_connector._layer_sync is not None:
        raise InputError(
            "Trainer(sync_batchnorm=True): would replace layers of the game; drop it and set discriminator.norm=none "
            "or instance"
        )
    if isinstance(cast(Any, trainer).profiler, PyTorchProfiler) and not (
        trainer.state.fn == "fit" and trainer.limit_val_batches == 0
    ):
        raise InputError(
            "Trainer(profiler='pytorch'): its hooks cannot be copied with the codec that is validated; "
            "give limit_val_batches=0, or profiler='simple' or 'advanced'"
        )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, STEERING):
            raise InputError(
                f"Trainer(callbacks=…): {type(callback).__name__} would change the game; drop it"
            )
        if isinstance(callback, callbacks.SpikeDetection):
            raise InputError(
                "Trainer(callbacks=…): SpikeDetection needs one loss, and the players have one each; "
                "use gcn.callbacks.Verdict(), which ends a training that diverges"
            )


def leave_out_reducer(trainer: L.Trainer) -> None:
    """Let ``strategy="ddp"`` keep its processes and leave averaging to the game; see ``ReplicatedStrategy``."""
    if type(trainer.strategy) is DDPStrategy:
        trainer.strategy.__class__ = ReplicatedStrategy


def check_start(trainer: L.Trainer, game: Game, steps: int, d_steps: int) -> None:
    """Raise InputError, before the first update, for a loader that does not give each update its own batch.

    Args:
        trainer: about to begin, a checkpoint restored.
        game: what is trained.
        steps, d_steps: of the game's plan.

    Raises:
        InputError: batches would be repeated, left out, or of another process.
    """
    loader: Any = trainer.train_dataloader
    if isinstance(loader, list | tuple | dict):
        raise InputError(f"Trainer.fit: {len(loader)} loaders; give one, of data.train_loader")
    _check_length(trainer, steps)
    start = getattr(loader, "start_step", 0)
    if trainer.global_step != start:
        raise InputError(
            f"Trainer.fit: the loader begins after update {start}, the trainer stands at {trainer.global_step}; "
            "give a new trainer, module and loader"
        )
    here = (trainer.global_rank, trainer.world_size)
    crops = getattr(loader, "crops", None)
    if crops is None:
        batches = here if trainer.world_size == 1 else None
    else:
        batches = (crops.rank, crops.world)
        if crops.d_steps != d_steps:
            raise InputError(
                f"Trainer.fit: the loader has d_steps={crops.d_steps}, the game {d_steps}; "
                f"give data.train_loader(d_steps={d_steps}, …)"
            )
    if batches != here or (game.streams.rank, game.streams.world) != here:
        raise InputError(
            f"Trainer.fit: process {here[0]} of {here[1]} has the batches or the noise of another one; "
            "give datamodule= of gcn.build, or use scripts/train.py trainer=ddp"
        )


def _check_length(trainer: L.Trainer, steps: int) -> None:
    batches, epochs, most = trainer.num_training_batches, trainer.max_epochs, trainer.max_steps
    if overfit := getattr(trainer, "overfit_batches", 0):
        _check_overfit(trainer, overfit, steps)
        return
    if epochs != 1 and not 0 <= most <= batches < math.inf:
        raise InputError(
            f"Trainer(max_epochs={epochs}, max_steps={most}) would go through the loader's {batches} batches again; "
            f"give max_epochs=1, or max_steps of at most {batches}"
        )
    updates = batches if most < 0 else min(most, batches)
    if updates > steps:
        raise InputError(
            f"Trainer.fit: {updates} updates, and the game is planned for steps={steps}; give max_steps={steps}"
        )


def _check_overfit(trainer: L.Trainer, overfit: float, steps: int) -> None:
    """Raise InputError unless each epoch has the loader's first batches, and the epochs are within the plan."""
    batches, most = int(trainer.num_training_batches), trainer.max_steps
    epochs = -1 if trainer.max_epochs is None else trainer.max_epochs
    said = f"Trainer(overfit_batches={overfit})"
    if trainer.global_step:
        raise InputError(
            f"{said}: cannot be resumed, because an update would have another batch; begin again"
        )
    updates = min((n for n in (most, epochs * batches) if n >= 0), default=math.inf)
    if updates > steps:
        raise InputError(
            f"{said}: {updates} updates, and the game is planned for steps={steps}; "
            f"give max_steps={steps}, or max_epochs of at most {steps // max(1, batches)}"
        )
