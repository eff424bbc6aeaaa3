"""The LightningModule: each training step makes one generator update."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from gcn.data.loader import Whole
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.labelled import Batch, parts_of, with_images
from gcn.game.protocols import Players
from gcn.game.rules import Descend, Rule, update
from gcn.game.slots import Constraint
from gcn.game.streams import Streams
from gcn.models.codec import Codec
from gcn.training.datamodule import GameDataModule
from gcn.training.instruments import INSTRUMENTS
from gcn.training.jitter import Jitter
from gcn.training.player import OptimizerPlayer
from gcn.training.restore import check, counted
from gcn.training.schedule import Schedule
from gcn.training.trainer_options import check_options, check_start, leave_out_reducer
from gcn.training.user_callbacks import show
from gcn.training.validate import Decoded, Evaluation, coding_copy, decoded, joint

VALIDATED = ("val/psnr", "val/ms_ssim", "val/swd", "val/bpp", "val/dead_channels")


@dataclass(frozen=True)
class PlayerOptim:
    """Optimizer class, arguments and gradient clipping of one player.

    Args:
        optimizer: class of the torch optimizer.
        arguments: its keyword arguments, ``lr`` among them (the rate before the schedule).
        clip: bound on the norm of the joint gradient, or None.
    """

    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"lr": 1e-4})
    clip: float | None = None

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The optimizer; fused where torch can, which is 4 times faster than Adam's loop."""
        return self.optimizer(parameters, **self.arguments, fused=True)  # type: ignore[call-arg]

    def player(self, optimizer: torch.optim.Optimizer, **hooks: Callable[[], Any]) -> OptimizerPlayer:
        """The player that this optimizer moves; ``hooks`` are ``commit`` and ``after``."""
        return OptimizerPlayer(optimizer, self.clip, learning_rate=self.arguments["lr"], **hooks)


@dataclass(frozen=True)
class Training:
    """Numbers of a training: updates, warm-up, logging, averages, optimizers, schedule.

    Args:
        steps: generator updates.
        d_steps: turns of D, each on a fresh batch, per generator update.
        warmup: updates of rate-distortion training before the game begins.
        log_every: updates between two rows of values.
        ema: decay of the average of G's weights that is validated and kept beside them, or None.
    """

    steps: int
    d_steps: int = 1
    warmup: int = 0
    log_every: int = 50
    ema: float | None = None
    g: PlayerOptim = field(default_factory=PlayerOptim)
    d: PlayerOptim = field(default_factory=PlayerOptim)
    schedule: Schedule = field(default_factory=Schedule)


class GameModule(L.LightningModule):
    """A game trained by an update rule, as a LightningModule.

    A plain ``L.Trainer(max_epochs=1).fit(module, datamodule=data)`` trains it as ``scripts/train.py`` does; what would
    be another training is refused, see :mod:`gcn.training.trainer_options`. :func:`gcn.build` makes both.

    Values that Lightning's loggers and callbacks get: ``train/…`` as in ``metrics.csv``, when a row or a logger is due;
    ``val/psnr``, ``val/bpp``, ``val/swd``, … of a validation, ``val/jitter`` from the second one on, and
    ``test/…``, with the bytes of real files.

    Only G's optimizer is stepped through Lightning's wrapper, so ``trainer.global_step``, ``max_steps`` and the
    schedule all count generator updates.

    Args:
        game: who plays for what.
        rule: how they move.
        training: numbers.
        constraints: constraints on D's weights.
    """

    def __init__(
        self, game: Game, rule: Rule, training: Training, constraints: Sequence[Constraint] = ()
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.game, self.rule, self.training_plan, self.constraints = game, rule, training, tuple(constraints)
        self.warm_rule = Descend()
        self.has_game = game.objective.loss is not None
        self.average: dict[str, Tensor] | None = None
        self.follows_checkpoint = False  # the loader begins where a checkpoint ends: a run takes care of that
        self.sends_values = True  # to Lightning's loggers; in a run its record does
        self.players: tuple[OptimizerPlayer, OptimizerPlayer]
        self.coder: list[
            Codec
        ] = []  # a copy of the codec that validates; a list makes it no part of this module
        self.seen: list[Decoded] = []
        self.validated: Evaluation | None = None  # the last validation, of all processes
        self.jitter = Jitter()
        self._row: dict[str, float] = {}

    @property
    def codec(self) -> Codec:
        """The generator of the game."""
        return cast(Codec, self.game.generator)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """G's optimizer, then D's."""
        plan = self.training_plan
        optimizers = [plan.g.build(self.game.parameters_of("g"))]
        if self.has_game:
            optimizers.append(plan.d.build(self.game.parameters_of("d")))
        return optimizers

    def configure_callbacks(self) -> list[L.Callback]:
        """No callbacks; Lightning asks before it makes a process group, so that its options are checked here."""
        check_options(self.trainer)
        leave_out_reducer(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        """Give the game this process's part of the noise, and the instruments if it has none."""
        game, trainer = self.game, self.trainer
        game.streams = Streams(game.streams.seed, trainer.global_rank, trainer.world_size)
        game.instruments = game.instruments or list(INSTRUMENTS)

    def on_train_start(self) -> None:
        """Check that the loader gives each update its own batch."""
        plan = self.training_plan
        check_start(self.trainer, self.game, plan.steps, plan.d_steps)

    def on_fit_start(self) -> None:
        """Create the players from the optimizers, which already hold their state after a resume."""
        plan = self.training_plan
        optimizers = self.trainer.optimizers
        wrapped = self.optimizers()
        clock = wrapped[0] if isinstance(wrapped, list) else wrapped
        g = plan.g.player(optimizers[0], commit=clock.step)
        d = plan.d.player(optimizers[1], after=self._constrain) if self.has_game else g
        self.players = (g, d)
        if self.average is not None:  # a checkpoint is read on the CPU
            self.average = {name: average.to(self.device) for name, average in self.average.items()}
        elif plan.ema is not None:
            named = self.game.generator.named_parameters()
            self.average = {n: p.detach().clone() for n, p in named if p.requires_grad}

    def _constrain(self) -> None:
        assert self.game.discriminator is not None
        for constraint in self.constraints:
            constraint.after_step(self.game.discriminator)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Make one generator update with the batch (d_steps·B, 3, P, P) in [0, 1], with labels or without."""
        plan, step = self.training_plan, self.trainer.global_step
        for player in self.players:
            player.norms.clear()
        update(
            self.game,
            self.rule if self.has_game and step >= plan.warmup else self.warm_rule,
            parts_of(with_images(batch, self._laid_out), plan.d_steps),
            step,
            Players(*self.players),
            learning_rate=plan.schedule.factor(step, plan.steps),
            observe=self._due(step + 1),
        )
        self._row = self._values()
        if self._row and not self.sends_values:
            show(self.trainer, self, self._row)
        elif self._row and not self.trainer.barebones:
            self.log_dict(self._row)
        if self.average is not None and plan.ema is not None:
            for name, parameter in self.game.generator.named_parameters():
                if name in self.average:
                    self.average[name].lerp_(parameter.detach(), 1 - plan.ema)

    def observed(self) -> dict[str, float]:
        """Values of the last update, with learning rates and gradient norms before clipping; empty if not observed."""
        return dict(self._row)

    def _values(self) -> dict[str, float]:
        if not (self.game.observing and self.game.values):
            return {}
        values = {f"train/{name}": float(value) for name, value in self.game.values.items()}
        players = dict(zip(("g", "d") if self.has_game else ("g",), self.players, strict=False))
        for name, player in players.items():
            values[f"train/lr/{name}"] = float(player.optimizer.param_groups[0]["lr"])
        for name, player in players.items():
            if player.norms:
                values[f"train/{name}/grad_norm"] = float(player.norms[-1])
        return values

    def _due(self, update: int) -> bool:
        """Whether the values of an update are wanted, for a row of the run or for Lightning's loggers."""
        trainer, plan = cast(Any, self.trainer), self.training_plan
        every = trainer.log_every_n_steps if trainer.loggers else 0
        logged = every > 0 and update % every == 0
        return logged or update % plan.log_every == 0 or update in (1, plan.steps)

    # --- validation, test and prediction, on whole images ---

    def on_validation_epoch_start(self) -> None:
        """Make the copy of the codec that codes the images."""
        self._begin_to_look()

    def on_test_epoch_start(self) -> None:
        """Make the copy of the codec that codes the images."""
        self._begin_to_look()

    def on_predict_epoch_start(self) -> None:
        """Make the copy of the codec that codes the images."""
        self._begin_to_look()

    def _begin_to_look(self) -> None:
        if not isinstance(self.codec, Codec):
            raise InputError(
                "Trainer.validate: this generator has no original to compare with; give limit_val_batches=0"
            )
        self.coder, self.seen, self.validated = [], [], None
        try:
            self.coder = [coding_copy(self.codec, self.average)]
        except FloatingPointError as diverged:
            if self.trainer.state.fn != "fit":
                raise InputError(f"Trainer.{self.trainer.state.fn}: {diverged}") from None

    def validation_step(self, batch: Whole, batch_index: int) -> None:
        """Reconstruct an image as a decoder of its file would; none after the training has diverged."""
        if self.coder:
            self.seen.append(decoded(self.coder[0], batch.name, batch.x))

    def test_step(self, batch: Whole, batch_index: int) -> None:
        """Write an image into a file and read it back."""
        self.seen.append(decoded(self.coder[0], batch.name, batch.x, files=True))

    def predict_step(self, batch: Whole, batch_index: int) -> Decoded:
        """The reconstruction of an image, with its name and bits."""
        return decoded(self.coder[0], batch.name, batch.x)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/psnr`` and the other values of all images, the same on each process; NaN after a divergence."""
        if not self.coder:
            self.log_dict(dict.fromkeys(VALIDATED, math.nan))
            return
        found = joint(self.seen)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            found.values |= self.jitter(found.images)
        self.log_dict(found.named("val"), sync_dist=True)
        self.validated = found

    def on_test_epoch_end(self) -> None:
        """Log ``test/psnr`` and the other values of all images, the same on each process."""
        self.log_dict(joint(self.seen).named("test"), sync_dist=True)

    def _laid_out(self, batch: Tensor) -> Tensor:
        """The images in the memory layout of the weights."""
        weights = next(p for p in self.game.generator.parameters() if p.dim() == 4)
        last = weights.is_contiguous(memory_format=torch.channels_last) and not weights.is_contiguous()
        return batch.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state that is in no parameter: the rule's memory and the average of G's weights."""
        checkpoint["gcn"] = {"rule": self.rule.state_dict(), "average": self.average}
        if self.jitter.before:
            checkpoint["gcn"]["before"] = self.jitter.before

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare a checkpoint with this module before anything of it is restored, and bring back what
        :meth:`on_save_checkpoint` added.

        Raises:
            InputError: it does not fit; or a loader that knows nothing of it would begin with the first batch again.
        """
        trainer: Any = self._trainer
        fits = trainer is not None and trainer.state.fn == "fit"
        if fits and not (self.follows_checkpoint or isinstance(trainer.datamodule, GameDataModule)):
            raise InputError(
                f"Trainer.fit(ckpt_path=…): the loader would not go on after update {checkpoint.get('global_step')}; "
                "give datamodule= of gcn.build, or use scripts/train.py resume=RUN_FOLDER"
            )
        try:
            check(checkpoint, self)
        except ValueError as problem:
            raise InputError(f"the checkpoint cannot be used: {problem}") from None
        if fits:
            checkpoint["loops"] = {
                "fit_loop": counted(self.trainer.fit_loop.state_dict(), checkpoint["global_step"])
            }
        self.rule.load_state_dict(checkpoint["gcn"]["rule"])
        self.average = checkpoint["gcn"]["average"]
        self.jitter.restore(checkpoint["gcn"].get("before", {}))
