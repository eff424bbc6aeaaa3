"""An arm in training: the production game, rule and optimizers on a seed's data, one update at a time."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor

from gcn.config.assemble import game as assemble_game
from gcn.config.assemble import optim
from gcn.config.build import build
from gcn.config.parse import Config
from gcn.game.game import Game
from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.game.streams import Streams
from gcn.game.turn import Turn
from gcn.spectrum.update_map import in_double, load_memory, memory_of
from gcn.study.ground import Ground, generator_of
from gcn.training.player import OptimizerPlayer


class ArmTraining:
    """A configured game on cached latents (or a whole codec), at its beginning.

    Args:
        cfg: the checked configuration, ``cfg.seed`` included.
        ground: the seed's data.

    Attributes:
        game, rule, players: what :func:`gcn.game.rules.update` takes; players may be replaced.
        generator: the game's generator, with ``set_batches`` and ``validate``.
        step: generator updates made so far.
    """

    def __init__(self, cfg: Config, ground: Ground) -> None:
        self.cfg, self.ground, self.step = cfg, ground, 0
        self.generator = generator_of(cfg, ground)
        self.game, self.constraints = assemble_game(cfg, self.generator)
        self.game.streams = Streams(cfg.seed)
        self.rule = build(cfg, "dynamics")
        self.players = _players(cfg, self.game, self.constrain)

    def constrain(self) -> None:
        """Apply the constraints on D's weights, as after each of its updates."""
        if self.game.discriminator is not None:
            for constraint in self.constraints:
                constraint.after_step(self.game.discriminator)

    def batches(self, step: int) -> Sequence[Tensor]:
        """The batches (B, 3, c, c) of an update, one for each of D's turns; the generator is told their latents."""
        turns, size = self.cfg.d_steps, self.cfg.data.batch
        indices = [self.ground.indices(step * turns + turn, size, self.cfg.seed) for turn in range(turns)]
        weights = next(self.game.generator.parameters())
        batches = [(self.ground.crops(part).to(weights.dtype), part) for part in indices]
        self.generator.set_batches(batches)
        return [crops for crops, _ in batches]

    def doubled(self) -> "ArmTraining":
        """A copy in float64 with the same weights, optimizer states, memories and step, as exponents need it."""
        copy = ArmTraining(self.cfg, self.ground.double())
        copy.game.double().load_state_dict(self.game.state_dict())
        for mine, its in zip(self.players, copy.players, strict=True):
            state = deepcopy(
                cast(OptimizerPlayer, mine).optimizer.state_dict()
            )  # torch would share step counts
            cast(OptimizerPlayer, its).optimizer.load_state_dict(state)
        load_memory(copy.game, copy.rule, in_double(memory_of(self.game, self.rule)))
        copy.step = self.step
        return copy

    def advance(self, learning_rate: float | None = None, observe: bool = False) -> Turn:
        """Make one generator update; returns its last turn. Arguments as of :func:`gcn.game.rules.update`."""
        batches = self.batches(self.step)
        turn = update(self.game, self.rule, batches, self.step, self.players, learning_rate, observe)
        self.step += 1
        return turn

    def settle(self, updates: int) -> None:
        """Make so many updates at learning rates that fall to zero."""
        for step in range(updates):
            self.advance(learning_rate=1 - step / updates)

    def is_finite(self) -> bool:
        """Whether all parameters of both networks are finite."""
        return all(bool(parameter.isfinite().all()) for parameter in self.game.parameters())

    @torch.no_grad()
    def psnr(self) -> float:
        """Mean PSNR of the validation crops in dB; not a number where reconstructions are not finite."""
        x_hat, _ = self.generator.validate(self.ground.val_x)
        error = (x_hat.clamp(0, 1) - self.ground.val_x).double().square().mean((1, 2, 3))
        return float(-10 * error.clamp(min=1e-12).log10().mean())


def _players(cfg: Config, game: Game, constrain: Callable[[], None]) -> Players:
    def player(name: Any, after: Any = None) -> OptimizerPlayer:
        options = optim(cfg, name)
        return options.player(options.build(game.parameters_of(name)), after=after)

    g = player("g")
    return Players(g, g if game.discriminator is None else player("d", constrain))
