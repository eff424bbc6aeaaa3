"""The Dirac-GAN of two classes: a discriminator that is given the label of an image, as a projection is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcn.lab.games import SmallGame, Spectrum, pair
from gcn.lab.strengths import Strengths


class TwoClasses(SmallGame):
    """Two classes at 0, the generator's at θ1 and θ2, D(x, label) = (ψ + e_label)·x (Miyato & Koyama 2018).

    With φ(x) = x this is a projection without a bias. Each class is half of the data; sample i is of class i mod 2. The
    sum θ1 + θ2 and the difference θ1 - θ2 are games of their own, beside D's kernel (ψ, e1, e2) = (-1, 1, 1) with the
    eigenvalue 0. With the forces b and c, Γ = γ₁ + γ₂ + κσ² (penalties, instance noise) and μ (distortion)

        sum          J = [[-μ, b/2], [-3c/2, -3Γ/2]]        difference   J = [[-μ, b/2], [-c/2, -Γ/2]]

    An unconditional D(x) = ψx has the sum's [[-μ, b/2], [-c, -Γ]], and the difference is moved by the distortion alone,
    with the eigenvalue -μ: D cannot tell the classes apart.

    Args:
        conditional: give D the label; false: D(x) = ψx.
    """

    theta = ("θ1", "θ2")

    def __init__(self, conditional: bool = True) -> None:
        self.conditional = conditional
        self.psi = ("ψ", "e1", "e2") if conditional else ("ψ",)
        self.start = (1.0, -0.5, 0.5, 0.75, -0.25) if conditional else (1.0, -0.5, 0.5)

    def source(self) -> Tensor:
        return torch.zeros(2, 1, dtype=torch.float64)

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        return _of_classes(theta, x)

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        slopes = psi[:, :1] + psi[:, 1:] if self.conditional else psi.expand(-1, 2)
        return _of_classes(slopes, images) * images

    def rest(self, s: Strengths) -> Sequence[float]:
        return [0.0] * len(self.names)

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or s.level or s.consensus or s.jare or s.grad_norm:
            return None
        c, gamma = s.ratio * s.d, s.ratio * (s.r1 + s.r2 + s.curvature * s.sigma2)
        if not self.conditional:
            return [*pair(s.mse, s.g / 2, c, gamma), -s.mse]
        both = [pair(s.mse, s.g / 2, times * c / 2, times * gamma / 2) for times in (3, 1)]
        return [*both[0], *both[1], 0]


def _of_classes(values: Tensor, like: Tensor) -> Tensor:
    """The value of each sample's class, (E, 2) to the shape of ``like`` (E, B, 1)."""
    return values[:, torch.arange(like.shape[1], device=like.device) % 2, None].expand_as(like)
