"""The LightningModule: each training step makes one generator update."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.protocols import Players
from gcn.game.rules import Descend, Rule, update
from gcn.game.slots import Constraint
from gcn.models.codec import Codec
from gcn.training.player import OptimizerPlayer
from gcn.training.restore import check, counted
from gcn.training.schedule import Schedule
from gcn.training.trainer_options import check_options, check_start


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

    A plain ``L.Trainer(max_epochs=1).fit(module, data.train_loader(...))`` trains it as ``scripts/train.py`` does; what
    would be another training is refused, see :mod:`gcn.training.trainer_options`.

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
        self.players: tuple[OptimizerPlayer, OptimizerPlayer]

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
        return []

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

    def training_step(self, batch: Tensor, batch_index: int) -> None:
        """Make one generator update with the batch (d_steps·B, 3, P, P) in [0, 1]."""
        plan, step = self.training_plan, self.trainer.global_step
        update(
            self.game,
            self.rule if self.has_game and step >= plan.warmup else self.warm_rule,
            self._laid_out(batch).chunk(plan.d_steps),
            step,
            Players(*self.players),
            learning_rate=plan.schedule.factor(step, plan.steps),
            observe=(step + 1) % plan.log_every == 0 or step + 1 in (1, plan.steps),
        )
        if self.average is not None and plan.ema is not None:
            for name, parameter in self.game.generator.named_parameters():
                if name in self.average:
                    self.average[name].lerp_(parameter.detach(), 1 - plan.ema)

    def _laid_out(self, batch: Tensor) -> Tensor:
        """The batch in the memory layout of the weights."""
        weights = next(p for p in self.game.generator.parameters() if p.dim() == 4)
        last = weights.is_contiguous(memory_format=torch.channels_last) and not weights.is_contiguous()
        return batch.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state that is in no parameter: the rule's memory and the average of G's weights."""
        checkpoint["gcn"] = {"rule": self.rule.state_dict(), "average": self.average}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare a checkpoint with this module before anything of it is restored, and bring back what
        :meth:`on_save_checkpoint` added.

        Raises:
            InputError: it does not fit; or a loader that knows nothing of it would begin with the first batch again.
        """
        if not self.follows_checkpoint:
            raise InputError(
                f"Trainer.fit(ckpt_path=…): the loader would not go on after update {checkpoint.get('global_step')}; "
                "use scripts/train.py resume=RUN_FOLDER"
            )
        try:
            check(checkpoint, self)
        except ValueError as problem:
            raise InputError(f"the checkpoint cannot be used: {problem}") from None
        checkpoint["loops"] = {
            "fit_loop": counted(self.trainer.fit_loop.state_dict(), checkpoint["global_step"])
        }
        self.rule.load_state_dict(checkpoint["gcn"]["rule"])
        self.average = checkpoint["gcn"]["average"]
