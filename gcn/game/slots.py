"""The slots of the objective: what a new ingredient may be.

==================  ===============================================  =====================================
slot                asks for                                         examples
==================  ===============================================  =====================================
:class:`Term`       ``forward(turn) -> scalar``, paid by ``players``  mse, rate, r1, consensus
:class:`Sight`      ``forward(images, stream, step) -> images``      instance_noise: what D sees
:class:`OnLoss`     ``wrap(loss) -> loss``                           relativistic
:class:`OnPlayer`   ``prepare`` at the start, ``after_step``         spectral_norm, weight_clip
==================  ===============================================  =====================================

An ingredient costs one class in one of these slots and one file ``conf/term/<knob>.yaml``. It holds no optimizer, no
device and no configuration; a state that must survive a checkpoint lives in buffers. Terms take no branch on a tensor's
value and no in-place operation, so that many games can be played at once.
"""

from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from gcn.game.streams import Stream

if TYPE_CHECKING:
    from gcn.game.game import Game, Turn
    from gcn.losses.adversarial import Adversarial

PlayerName = Literal["g", "d"]


class Term(nn.Module):
    """A scalar that one or both players pay.

    Attributes:
        players: who pays it.
        needs_discriminator: the term looks at D, so it sleeps while there is no game (warm-up).
        differentiates_losses: the term is a function of the players' *gradients* and is left out of the losses that
            it differentiates.
        reaches_generator: when D pays it, the gradient needs the generator's graph in D's turn.
        every: the term is evaluated at every ``every``-th update only, with ``every`` times the weight.
    """

    players: tuple[PlayerName, ...] = ("g",)
    needs_discriminator = False
    differentiates_losses = False
    reaches_generator = False
    every = 1

    def forward(self, turn: "Turn") -> Tensor:
        """The value of the term in this turn, a scalar."""
        raise NotImplementedError

    def check(self, game: "Game") -> None:
        """Raise :class:`gcn.errors.InputError` if the term cannot work in this game."""

    def check_images(self, side: int) -> None:
        """Raise :class:`gcn.errors.InputError` if the term cannot work on images of ``side`` pixels."""


class Sight(nn.Module):
    """A transformation of what D sees, of reals and reconstructions alike."""

    def forward(self, images: Tensor, stream: Stream, step: int) -> Tensor:
        """Images (B, ...) as D sees them."""
        raise NotImplementedError


class OnLoss:
    """A change of the adversarial loss itself."""

    def wrap(self, loss: "Adversarial") -> "Adversarial":
        """The loss that is played instead."""
        raise NotImplementedError


class OnPlayer:
    """A constraint on the discriminator's weights."""

    def prepare(self, discriminator: nn.Module) -> None:
        """Called once, before the first update."""

    def after_step(self, discriminator: nn.Module) -> None:
        """Called after each update of D."""
