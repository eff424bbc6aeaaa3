"""The slots of an objective: what a loss, a term, a perturbation or a constraint must provide.

=======================  ==============================================  ===================================
slot                     provides                                        examples
=======================  ==============================================  ===================================
:class:`AdversarialLoss`  ``d_loss(turn)``, ``g_loss(turn)``              ns, hinge, wgan
:class:`LossWrapper`      an adversarial loss made of another             relativistic, label_smoothing
:class:`Term`             ``forward(turn) -> scalar`` for ``players``     mse, rate, r1, consensus
:class:`Perturbation`     ``forward(images, stream, step) -> images``     instance_noise, diffaugment
:class:`FakeSource`       ``forward(turn) -> images``                     history
:class:`Constraint`       ``prepare`` before training, ``after_step``     spectral_norm, weight_clip
=======================  ==============================================  ===================================

An ingredient costs one class in one of these slots and one file ``conf/knob/<name>.yaml``. It holds no optimizer, no
device and no configuration. Losses, terms, perturbations and sources of fakes may keep a state from update to update,
all in the same way: see :class:`Ingredient`. They take no branch on a tensor's value and no in-place operation, so that
many games can be trained at once.
"""

from typing import Self

from torch import Tensor, nn

from gcn.game.streams import Stream
from gcn.game.turn import PlayerName, Turn


class Ingredient(nn.Module):
    """A loss, a term, a perturbation or a source of fakes, which may keep a state from update to update: its memory.

    The memory lives in buffers. So checkpoints hold it, each game of the lab has its own, and the spectrum of the
    update contains it. It is computed from means over the joint batch, hence the same in all processes.

    Attributes:
        has_memory: :meth:`after_update` is called; what it keeps lives in buffers.
        needs_discriminator: it is computed from D, so it is absent in warm-up and with ``loss=none``.
    """

    has_memory = False
    needs_discriminator = True

    def after_update(self, turn: Turn) -> None:
        """Update the memory, once a generator update, whatever the rule and the weight; without gradient.

        Args:
            turn: the update's last batch and reconstruction, with D as the update left it.
        """

    def settle(self, turn: Turn) -> None:
        """Set the memory to its limit while the players stand still; for spectra at an equilibrium."""


class AdversarialLoss(Ingredient):
    """The adversarial losses of both players, each a scalar to be minimised."""

    def d_loss(self, turn: Turn) -> Tensor:
        """D's loss in this turn, a scalar."""
        raise NotImplementedError

    def g_loss(self, turn: Turn) -> Tensor:
        """G's loss in this turn, a scalar."""
        raise NotImplementedError

    def measure(self, turn: Turn, player: PlayerName) -> dict[str, Tensor]:
        """Further values of a player's turn, logged as ``d/adv/NAME``, without gradient; none by default."""
        return {}

    def check(self, discriminator: nn.Module | None, labeller: object | None) -> None:
        """Raise :class:`gcn.errors.InputError` if the loss cannot work with this discriminator and labeller."""


class LossWrapper(AdversarialLoss):
    """An adversarial loss that is computed from another adversarial loss."""

    def wrap(self, loss: AdversarialLoss) -> Self:
        """Compute from ``loss``; returns the wrapper. Raises InputError for a loss without such a form."""
        raise NotImplementedError


class Term(Ingredient):
    """A scalar that is added, times its weight, to the loss of one player or of both.

    Attributes:
        players: whose loss it is added to.
        differentiates_losses: the term is a function of the players' *gradients* and is left out of the losses that
            it differentiates.
        reaches_generator: as a term of D's loss its gradient needs the generator's graph in D's turn.
        every: the term is evaluated at every ``every``-th update only, with ``every`` times the weight.
        has_noise: it draws normal numbers of the shape of the images; the lab then copies its samples for them.
    """

    players: tuple[PlayerName, ...] = ("g",)
    needs_discriminator = False
    differentiates_losses = False
    reaches_generator = False
    every = 1
    has_noise = False

    def forward(self, turn: Turn) -> Tensor:
        """Value of the term in this turn, a scalar."""
        raise NotImplementedError

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        """Raise :class:`gcn.errors.InputError` if the term cannot work with these networks."""

    def check_images(self, side: int) -> None:
        """Raise :class:`gcn.errors.InputError` if the term cannot work on images of ``side`` pixels."""


class Perturbation(Ingredient):
    """A random change of D's inputs, of images and reconstructions alike.

    Attributes:
        paired: an image and its reconstruction get the same random numbers; otherwise they are independent.
    """

    paired = False

    def forward(self, images: Tensor, stream: Stream, step: int) -> Tensor:
        """Perturbed images, of the shape (B, ...) of ``images``."""
        raise NotImplementedError


class FakeSource(Ingredient):
    """Reconstructions that D's loss is computed from, in place of the batch's own; G's loss keeps those."""

    def forward(self, turn: Turn) -> Tensor:
        """Reconstructions (B, 3, H, W) for D's loss in this turn, before perturbations."""
        raise NotImplementedError

    def check_images(self, side: int) -> None:
        """Raise :class:`gcn.errors.InputError` if the source cannot work on images of ``side`` pixels."""


class Constraint:
    """A constraint on the discriminator's weights."""

    def prepare(self, discriminator: nn.Module) -> None:
        """Change D once, before the first update; does nothing by default."""

    def after_step(self, discriminator: nn.Module) -> None:
        """Change D's weights after each of D's updates; does nothing by default."""
