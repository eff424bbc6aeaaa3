"""Twins of a game: the same training without the game. Each removes the interaction of the players and keeps the rest.

==================  =================================================================================================
``twin=``           what moves the generator
==================  =================================================================================================
recorded            a discriminator that repeats, move by move, that of another seed's game which held
rescaled            the same, each of its points moved along the line from the first: its distance is multiplied by the
                    twin's learning rate over that of the recorded game
yoked               a discriminator that repeats the other seed's game at the twin's own learning rate
frozen_d            a discriminator that stays at its initial weights
random_gradient     instead of the adversary a random gradient at x_hat, drawn anew at each update
distortion_alone    no adversary
still               nothing
==================  =================================================================================================

A replayed discriminator exerts a force like that of a game and never reacts to this generator. The other game has the
same words and another seed: its own codec, crops and split of the images. It is trained in step with its twin, so no
trajectory is stored. Three twins differ in the learning rate of the other game:

* ``yoked``: that of the twin. Beyond its margin the other game has failed, and the twin follows its failure.
* ``recorded``: one below the other game's margin, whatever the twin's. At a higher rate of G its D moves less per
  update, compared with G, than in a game of the configured ratio of rates.
* ``rescaled``: as recorded, but D moves as far per update as in a game at the twin's rate, in the directions of the
  game that held. Its weights are then those of no game.
"""

import torch
from torch import Tensor

from gcn.config.parse import Config
from gcn.errors import InputError
from gcn.game.objective import is_optimised
from gcn.game.replay import Recorded, Replayed, Still, point_of, rescaled
from gcn.game.rules import Descend
from gcn.game.slots import Term
from gcn.game.turn import Turn
from gcn.schema.fields import suggestion
from gcn.study.arm_training import ArmTraining
from gcn.study.arms import REPLAYED, TWINS
from gcn.study.ground import Ground


def training_of(
    cfg: Config,
    ground: Ground,
    twin: str | None = None,
    other: ArmTraining | None = None,
    scale: float = 1.0,
) -> ArmTraining:
    """The training of an arm or of one of its twins.

    Args:
        cfg, ground: as of :class:`gcn.study.arm_training.ArmTraining`.
        twin: one of ``TWINS``; None: the game itself.
        other: the game of another seed, which the discriminator of a twin in ``REPLAYED`` repeats.
        scale: by which the distance of that discriminator from its first weights is multiplied.

    Raises:
        InputError: no such twin, or nothing is left to train.
    """
    if twin is not None and twin not in TWINS:
        raise InputError(f"twin={twin}: unknown; {suggestion(twin, TWINS)}")
    if twin in REPLAYED:
        if other is None:
            raise ValueError(f"a {twin} twin needs the game of another seed")
        _check_adversary(other, twin)
        return Yoked(cfg, ground, other, scale)
    training = ArmTraining(cfg, ground)
    if twin in ("frozen_d", "random_gradient"):
        _check_adversary(training, twin)
    if twin in ("frozen_d", "still"):
        training.players = training.players._replace(d=Still(training.game.parameters_of("d")))
    if twin == "still":
        training.players = training.players._replace(g=Still(training.game.parameters_of("g")))
    if twin == "random_gradient":
        norm = adversary_at_x_hat(training)
        training.game.objective.terms["random_gradient"] = RandomGradient(norm)  # type: ignore[index]
        training.game.objective.weights["random_gradient"] = 1.0
    if twin == "distortion_alone":
        _check_distortion(training)
    if twin in ("random_gradient", "distortion_alone"):
        training.rule = Descend()
    return training


class Yoked(ArmTraining):
    """A game whose discriminator repeats, move by move, that of another game which is trained in step with it.

    Args:
        cfg, ground: as of :class:`gcn.study.arm_training.ArmTraining`.
        other: the other game, before its first update.
        scale: by which the distance of D from its first weights is multiplied.

    Attributes:
        other: the other game; its discriminator's player is a :class:`gcn.game.replay.Recorded`.
    """

    def __init__(self, cfg: Config, ground: Ground, other: ArmTraining, scale: float = 1.0) -> None:
        super().__init__(cfg, ground)
        assert self.game.discriminator is not None
        assert other.game.discriminator is not None
        self.other, self.scale = other, scale
        self._start = point_of(other.game.parameters_of("d"))
        self._recorded = Recorded(other.players.d)
        self._replayed = Replayed(self.game.parameters_of("d"), after=self.constrain)
        self.game.discriminator.load_state_dict(other.game.discriminator.state_dict())
        other.players = other.players._replace(d=self._recorded)
        self.players = self.players._replace(d=self._replayed)

    def advance(self, learning_rate: float | None = None, observe: bool = False) -> Turn:
        """Make one generator update of both games; returns the last turn of the twin."""
        self.other.advance(learning_rate)
        points = self._recorded.take()
        self._replayed.follow(rescaled(point, self._start, self.scale) for point in points)
        return super().advance(learning_rate, observe)


class RandomGradient(Term):
    """A scalar whose gradient at x_hat is a random direction of a fixed norm, drawn anew at each update.

    Args:
        norm: L2 norm of the gradient over the whole batch (B, 3, H, W).
    """

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, turn: Turn) -> Tensor:
        noise = turn.stream("random_gradient").normal(turn.x_hat.detach())
        return (turn.x_hat * (self.norm / noise.norm() * noise)).sum()


def adversary_at_x_hat(training: ArmTraining) -> float:
    """L2 norm over the first batch of the weighted adversarial loss's gradient at x_hat, before the first update."""
    turn = training.game.turn("g", training.batches(0)[-1], 0)
    with turn.discriminator_untouched():
        (adv,) = [loss for loss in training.game.objective.losses(turn, "g") if loss.name == "adv"]
        (gradient,) = torch.autograd.grad(adv.weight * adv.value, turn.x_hat)
    return float(gradient.norm())


def _check_adversary(training: ArmTraining, twin: str) -> None:
    adv = training.game.objective.adv
    if training.game.discriminator is None or not (callable(adv) or is_optimised(adv)):
        raise InputError(
            f"twin={twin}: this configuration has no adversary; choose a loss, loss=ns, with adv above 0"
        )


def _check_distortion(training: ArmTraining) -> None:
    objective = training.game.objective
    paid = [
        name
        for name, term in objective.terms.items()
        if "g" in term.players and not term.needs_discriminator and is_optimised(objective.weights[name])
    ]
    if not paid:
        raise InputError(
            "twin=distortion_alone: without the adversary nothing is left to learn from; set a distortion, mse=1"
        )
