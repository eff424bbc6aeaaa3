"""What the game expects of its parts: a generator, a discriminator, and the optimizers that move them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from gcn.game.streams import Stream


class GeneratorOutput(NamedTuple):
    """The result of a generator's forward pass.

    Attributes:
        x_hat: reconstruction (B, 3, H, W), not clamped.
        y_hat: latents (B, M, h, w) that it was decoded from; None where there are none.
        likelihoods: of the latents under the entropy model, by name; empty where there is no rate.
    """

    x_hat: Tensor
    y_hat: Tensor | None = None
    likelihoods: Mapping[str, Tensor] = {}


class DiscriminatorOutput(NamedTuple):
    """The result of a discriminator's forward pass.

    Attributes:
        logits: one tensor (B, 1, h, w) a scale, one number a patch; a high logit means real. Losses average over the
            scales.
        features: activations of hidden layers, for feature matching.
        classes: one tensor (B, K+1, h, w) a scale, the logits of K classes of real places and, last, of `fake`; empty
            for a discriminator without classes. ``logits`` are then the log-odds of real.
        label_logits: one tensor (B, K), the logits of the K labels of an image; empty for a discriminator without an
            auxiliary classifier.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()
    classes: tuple[Tensor, ...] = ()
    label_logits: tuple[Tensor, ...] = ()


def of_classes(classes: Tensor, features: tuple[Tensor, ...] = ()) -> DiscriminatorOutput:
    """Output of a discriminator of one scale with class logits (B, K+1, h, w), of which the last is that of `fake`.

    Its scalar logit is the log-odds of real, logsumexp over the K classes minus the logit of `fake`: all of what reads
    a logit (the logged gap, the map in panels, gradient penalties, losses of one logit) is defined by it.
    """
    classes = classes.to(torch.promote_types(classes.dtype, torch.float32))
    odds = classes[:, :-1].logsumexp(1, keepdim=True) - classes[:, -1:]
    return DiscriminatorOutput((odds,), features, (classes,))


class Generator(Protocol):
    """A generator: reconstructs a batch of images."""

    def __call__(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstruct x (B, 3, H, W); all randomness comes from ``noise``."""


class Discriminator(Protocol):
    """A discriminator: tells images from reconstructions, at one scale or several.

    Attributes:
        condition_gradient: whether G's gradient passes through the condition; false where it is absent.
        takes_labels: whether the labels (B,) of the images are a third argument; false where it is absent.
    """

    condition_gradient: bool

    def __call__(self, images: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        """Logits of images (B, 3, H, W), given the latents y_hat (B, M, h, w) where it uses them."""


@runtime_checkable
class Beginning(Protocol):
    """A part of a discriminator that begins with the first batch of images of a training."""

    def begin(self, images: Tensor) -> None:
        """Given the images (B, 3, H, W) of the joint batch in each update; only the first ones change anything."""


class Player(Protocol):
    """The parameters of one player with the optimizer that moves them."""

    @property
    def parameters(self) -> Sequence[Tensor]:
        """The parameters, in the order of the gradients."""
        raise NotImplementedError

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move along the gradients; counts as an update."""

    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        """Move along the gradients without counting an update: the look-ahead of an extragradient step."""

    def shift(self, moves: Sequence[Tensor]) -> None:
        """Add to the parameters without the optimizer; constraints on the weights hold afterwards."""

    def state_dict(self) -> Any:
        """A copy of the optimizer's state."""

    def load_state_dict(self, state: Any) -> None:
        """Restore a copied state."""


class ScheduledPlayer(Player, Protocol):
    """A player whose learning rate follows a schedule."""

    def set_learning_rate(self, factor: float) -> None:
        """Set the learning rate to ``factor`` times its initial value."""


class Players(NamedTuple):
    """The generator's and the discriminator's player; the same one twice where there is no discriminator."""

    g: Player
    d: Player
