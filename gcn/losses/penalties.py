"""Gradient penalties of D's loss: functions of the gradient of D for its input.

The score of an image is the mean of its patch logits, hence a weight means the same for every patch grid. Gradients are
those of D on what D sees (after instance noise), summed over channels and pixels, in fp32 whatever the precision.
"""

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.slots import Term
from gcn.game.turn import Turn


class GradientPenalty(Term):
    """Base of all penalties: a term of D's loss that needs a gradient for each single image."""

    players = ("d",)
    needs_discriminator = True

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        self.every = every

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        assert discriminator is not None
        if any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in discriminator.modules()):
            raise InputError(
                "a gradient penalty with discriminator.norm=batch: batch statistics tie the images together, so the "
                "gradient of one image's score does not exist; use norm=none or norm=instance"
            )


class R1(GradientPenalty):
    """½ E‖∇D(x)‖² on real images; the weight is γ (Mescheder et al. 2018)."""

    def forward(self, turn: Turn) -> Tensor:
        return 0.5 * turn.mean(turn.reduce.per_sample_sum(turn.input_gradient("real").square()))


class R2(GradientPenalty):
    """½ E‖∇D(x_hat)‖² on reconstructions; the weight is γ (Mescheder et al. 2018)."""

    def forward(self, turn: Turn) -> Tensor:
        return 0.5 * turn.mean(turn.reduce.per_sample_sum(turn.input_gradient("fake").square()))


class ApproximateR1(GradientPenalty):
    """½ E((D(x + h·n) - D(x))/h)², n standard normal: R1 without a second derivative (Lin et al. 2025, Seaweed-APT).

    Its mean over n tends to :class:`R1` as h → 0, and the weight is γ. The published weight of (D(x + h·n) - D(x))² is
    γ/(2h²).

    Args:
        every: apply at every n-th update.
        step: h, standard deviation of the displacement; in fp32 D must be exact enough for a difference of order h.
    """

    has_noise = True

    def __init__(self, every: int = 1, step: float = 0.01) -> None:
        super().__init__(every)
        self.step = step

    def forward(self, turn: Turn) -> Tensor:
        real = turn.seen_real.detach()
        displaced = real + self.step * turn.stream("approx_r1").normal(real)
        return 0.5 * turn.mean(((turn.score(displaced) - turn.score("real")) / self.step).square())


class Roth(GradientPenalty):
    """½ E[(1-s)²‖∇D(x)‖²] + ½ E[s²‖∇D(x_hat)‖²], s the sigmoid of D; the weight is γ (Roth et al. 2017, JS).

    For ``ns`` and ``vanilla``, where D is optimal, it is what instance noise of variance γ adds to D's loss, up to
    terms of order γ². The s of an image is that of its score; gradients flow through it.
    """

    def forward(self, turn: Turn) -> Tensor:
        real, on_real = turn.score_and_gradient("real")
        fake, on_fake = turn.score_and_gradient("fake")
        squares = [turn.reduce.per_sample_sum(gradient.square()) for gradient in (on_real, on_fake)]
        return 0.5 * (
            turn.mean((-real).sigmoid().square() * squares[0])
            + turn.mean(fake.sigmoid().square() * squares[1])
        )


def one_centred(turn: Turn, gradient: Tensor, target: float) -> Tensor:
    """E(‖∇D‖ - target)², with a root whose gradient is finite where ∇D = 0."""
    norm = (turn.reduce.per_sample_sum(gradient.square()) + 1e-12).sqrt()
    return turn.mean((norm - target).square())


class GP(GradientPenalty):
    """E(‖∇D(εx + (1-ε)x_hat)‖ - target)², ε ~ U(0, 1) per image (Gulrajani et al. 2017).

    Args:
        every: apply at every n-th update.
        target: the norm that costs nothing; 0 is the zero-centred penalty of Thanh-Tung et al. (2019).
    """

    def __init__(self, every: int = 1, target: float = 1.0) -> None:
        super().__init__(every)
        self.target = target

    def forward(self, turn: Turn) -> Tensor:
        real, fake = turn.seen_real.detach(), turn.seen_fake
        share = turn.stream("gp").uniform(turn.reduce.per_sample_mean(real))
        share = turn.reduce.per_sample(share, real)
        between = share * real + (1 - share) * fake
        return one_centred(turn, turn.input_gradient(between), self.target)


class DRAGAN(GradientPenalty):
    """E(‖∇D(x + scale·std(x)·U(0, 1))‖ - target)², std over the joint batch (Kodali et al. 2017)."""

    def __init__(self, every: int = 1, target: float = 1.0, scale: float = 0.5) -> None:
        super().__init__(every)
        self.target, self.scale = target, scale

    def forward(self, turn: Turn) -> Tensor:
        real = turn.seen_real.detach()
        mean = turn.reduce.keep_mean(real)
        std = turn.reduce.keep_mean((real - mean).square()).sqrt()
        around = real + self.scale * std * turn.stream("dragan").uniform(real)
        return one_centred(turn, turn.input_gradient(around), self.target)
