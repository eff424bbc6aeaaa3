"""The small games of the theory: generator, discriminator and data of each.

A game has a few numbers for G (θ) and for D (ψ), a handful of samples whose averages are the expectations, and, where
there is one, the closed form of its spectrum, written beside the formulas it comes from. Losses, terms and rules are
the production objects; with their convention (a high logit means real) G climbs D. Thousands of games are played at
once: θ is (E, n), ψ is (E, m), samples are (E, B, d).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.lab.strengths import Strengths

Spectrum = list[complex]


def pair(a: float, b: complex, c: complex, d: float) -> Spectrum:
    """Eigenvalues of [[-a, b], [-c, -d]], b and c the two players' forces: -(a+d)/2 ± √((a-d)²/4 - bc)."""
    root = complex((a - d) ** 2 / 4 - b * c) ** 0.5
    return [-(a + d) / 2 + root, -(a + d) / 2 - root]


def damped(s: Strengths, b: float, c: float, distortion: float, penalty: float, width: float) -> Spectrum:
    """Two coordinates with forces b, c and everything that may damp them.

    ``width`` is what the logits' spread adds to D's damping. It is part of D's gradient h = cθ + width·ψ, hence of what
    Nagarajan and Kolter's ηh² makes G feel: 2ηc(cθ + width·ψ).
    """
    eta = s.grad_norm
    k = s.ratio
    return pair(distortion + 2 * eta * c**2, b - 2 * eta * c * width, k * c, k * (penalty + width))


class SmallGame:
    """A game with few parameters.

    Attributes:
        theta, psi: names of G's and of D's numbers, for figures.
        start: where a trajectory begins unless told otherwise, θ and then ψ.
    """

    theta: tuple[str, ...] = ("θ",)
    psi: tuple[str, ...] = ("ψ",)
    start: tuple[float, ...] = (1.0, 1.0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all coordinates of a point."""
        return (*self.theta, *self.psi)

    def source(self) -> Tensor:
        """The samples x (B, d) that represent the data, float64; their means are the expectations."""
        return torch.zeros(1, 1, dtype=torch.float64)

    def reals(self, x: Tensor) -> Tensor:
        """D's real samples (E, B, d); the distortion always compares with x itself."""
        return x

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        """x_hat (E, B, d) of θ (E, n)."""
        raise NotImplementedError

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        """Logits (E, B, 1) of ψ (E, m)."""
        raise NotImplementedError

    def rest(self, s: Strengths) -> Sequence[float]:
        """A point, θ followed by ψ, at or near the equilibrium, from which the search for it begins."""
        return [0.0] * len(self.names)

    def closed_form(self, s: Strengths) -> Spectrum | None:
        """Eigenvalues at the equilibrium in continuous time; None where no formula is known."""
        return None


class Dirac(SmallGame):
    """Data δ_0, generator δ_θ, D(x) = scale·ψx (+ bias) (Mescheder et al. 2018).

    Spectrum: the roots of J = [[-a, b - 2ηcK], [-c, -d]], b and c the forces, a = 2μ + 2ηc² (distortion,
    Nagarajan-Kolter), d = γ₁s² + γ₂s² + K (penalties), K = κσ²s² (instance noise, κ the loss's curvature). With
    consensus or JARE of weight g alone -gbc ± i√(bc).

    Args:
        bias: give D a bias. With labels 0 and 1 the LSGAN needs it: without, D has no force at the equilibrium.
        scale: units of the data.
    """

    def __init__(self, bias: bool = False, scale: float = 1.0) -> None:
        self.bias, self.scale = bias, scale
        if bias:
            self.psi, self.start = ("ψ", "bias"), (1.0, 1.0, 0.0)

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        return theta[:, None, :].expand_as(x)

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        logits = self.scale * psi[:, :1, None] * images
        return logits + psi[:, 1:, None] if self.bias else logits

    def rest(self, s: Strengths) -> Sequence[float]:
        return [0.0, 0.0, s.level] if self.bias else [0.0, 0.0]

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or (s.level and not self.bias):
            return self._without_a_bias(s)
        b, c, sigma2 = s.g * self.scale, s.d * self.scale, s.sigma2 * self.scale**2
        extra: Spectrum = [-s.ratio * s.curvature_of_bias] if self.bias else []
        gammas = (s.r1 + s.r2) * self.scale**2
        if s.consensus or s.jare:
            alone = s.only("consensus") or s.only("jare")
            damping = (s.consensus or s.jare) * b * c
            known = alone and b == c and s.ratio == 1 and not self.bias
            return [-damping + 1j * b, -damping - 1j * b] if known else None
        return damped(s, b, c, 2 * s.mse, gammas, s.curvature * sigma2) + extra

    def _without_a_bias(self, s: Strengths) -> Spectrum | None:
        """For a loss whose logit at rest is not 0: D(0) = 0 all the same, with other forces than at rest."""
        if s.other or not s.only("mse"):
            return None
        return damped(s, s.g_at_zero * self.scale, s.d_at_zero * self.scale, 2 * s.mse, 0.0, 0.0)


class Lossy(Dirac):
    """The Dirac-GAN with a distortion whose optimum is not the data: D is shown δ_0 as real, x is at ``bias``.

    ψ* = -2μm/p holds G at the data against the pull to m: D never comes to rest. At θ = 0 the logit is 0, and

        J = [[-2μ - g''(0)ψ*², p], [-p, 0]],   λ = a ± √(a² - p²),  a = -μ - ½g''(0)ψ*²

    with g G's loss: convex for ns (more damping), concave for vanilla, unstable iff μm² > ½.

    Args:
        m: where the distortion's optimum lies.
    """

    start = (0.3, 0.0)

    def __init__(self, m: float = 1.0) -> None:
        super().__init__()
        self.m = m

    def source(self) -> Tensor:
        return torch.full((1, 1), self.m, dtype=torch.float64)

    def reals(self, x: Tensor) -> Tensor:
        return x - self.m

    def rest(self, s: Strengths) -> Sequence[float]:
        return [0.0, -2 * s.mse * self.m / s.g if s.g else 0.0]

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or not s.only("mse") or s.relativistic or s.level:
            return None
        psi = self.rest(s)[1]
        return pair(2 * s.mse + s.curvature_of_g * psi**2, s.g, s.ratio * s.d, 0.0)


class Quantiser(SmallGame):
    """A Gaussian source, quantised to ``levels`` cells of equal probability: perception against distortion.

    The decoder scales the centroids, x_hat = θq(x), and D(x) = ψx² sees the variance alone. The distortion is least at
    θ = 1, the variance is right at θ = σ/√E q² > 1: at any finite rate the two disagree. For wgan with Q = E q²

        ψ* = μ(θ* - 1)/(pθ*),   λ = -Qμ/θ* ± √(Q²μ²/θ*² - 4p²θ*²Q²)

    Args:
        levels: of the quantiser, a rate of log₂ levels bits.
        samples: quantiles of the normal distribution that stand for it.
    """

    psi = ("ψ",)
    start = (0.6, 0.0)

    def __init__(self, levels: int = 2, samples: int = 64) -> None:
        if levels < 2 or samples % levels:
            raise InputError(
                f"game.levels={levels}: a quantiser has 2 levels or more, and game.samples={samples} must be a "
                f"multiple of them; use game.samples={max(levels, 2) * 16}"
            )
        self.levels = levels
        uniform = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
        x = torch.special.ndtri(uniform)
        self.x = x / x.square().mean().sqrt()
        self.q = self.x.reshape(levels, -1).mean(1).repeat_interleave(samples // levels)

    @property
    def energy(self) -> float:
        """Q = E q²; E x² = 1."""
        return float(self.q.square().mean())

    def source(self) -> Tensor:
        return self.x[:, None]

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        copies = x.shape[1] // len(self.q)
        return theta[:, None, :] * self.q.repeat(copies)[:, None]

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        return psi[:, :, None] * images.square()

    def rest(self, s: Strengths) -> Sequence[float]:
        theta = self.energy**-0.5
        return [theta, s.mse * (theta - 1) / (s.g * theta) if s.g else 0.0]

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or not s.only("mse") or s.curvature or s.curvature_of_g or s.level:
            return None
        theta, q = self.energy**-0.5, self.energy
        if abs(self.rest(s)[1]) * float(self.x.square().max()) >= s.margin:  # also bounds a difference of two
            return None  # the hinge bends where D has to work that hard
        return pair(2 * q * s.mse / theta, 2 * s.g * theta * q, 2 * s.ratio * s.d * theta * q, 0.0)


class Uniform(SmallGame):
    """Data and z uniform on [-1, 1], G = az, D = wx² (Nagarajan and Kolter 2017). Equilibrium: a = 1, w = 0.

    z is the sample itself, so that a paired distortion exists. With M₂ = E x² = ⅓ and forces b, c:

        J = [[-2μM₂ - 2ηC², 2bM₂ - 2ηCK], [-C, -4γM₂ - K]],   C = 2cM₂, K = κM₄

    Args:
        samples: midpoints that stand for the interval, scaled to the exact variance.
    """

    theta, psi = ("a",), ("w",)
    start = (0.5, 0.5)

    def __init__(self, samples: int = 32) -> None:
        x = (2 * torch.arange(samples, dtype=torch.float64) + 1) / samples - 1
        self.x = x / (3 * x.square().mean()).sqrt()

    def source(self) -> Tensor:
        return self.x[:, None]

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        return theta[:, None, :] * x

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        return psi[:, :, None] * images.square()

    def rest(self, s: Strengths) -> Sequence[float]:
        return [1.0, 0.0]

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or s.consensus or s.jare or s.sigma2 or s.level or (s.relativistic and s.curvature):
            return None
        second, fourth = 1 / 3, float(self.x.pow(4).mean())
        b, c = 2 * s.g * second, 2 * s.d * second
        return damped(s, b, c, 2 * s.mse * second, 4 * (s.r1 + s.r2) * second, s.curvature * fourth)


class Bilinear(Dirac):
    """V = xy, the Dirac-GAN with ``loss=wgan``. The flow circles; simultaneous descent spirals out."""

    theta, psi = ("x",), ("y",)


class Concave(SmallGame):
    """Linear G and D: data m ± s, G(z) = θz with z distributed as the data, D(x) = ψx. Equilibrium θ = 1, ψ = 0.

    E f(ψx) + E f(-ψθz) is concave in ψ *and* in θ (Nagarajan and Kolter 2017): G minimises a concave function. What
    makes it stable is the width of the data, which damps D as instance noise does: with M₂ = m² + s²

        J = [[-2μM₂ - 2ηc²m², bm - 2ηcmK], [-cm, -γ - K]],   K = κM₂

    Args:
        mean: m.
        std: s.
    """

    start = (0.0, 0.5)

    def __init__(self, mean: float = 1.0, std: float = 0.5) -> None:
        self.mean, self.std = mean, std

    def source(self) -> Tensor:
        return torch.tensor([[self.mean - self.std], [self.mean + self.std]], dtype=torch.float64)

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        return theta[:, None, :] * x

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        return psi[:, :, None] * images

    def rest(self, s: Strengths) -> Sequence[float]:
        return [1.0, 0.0]

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or s.consensus or s.jare or s.level or (s.relativistic and s.curvature):
            return None
        second = self.mean**2 + self.std**2
        b, c = s.g * self.mean, s.d * self.mean
        return damped(s, b, c, 2 * s.mse * second, s.r1 + s.r2, s.curvature * (second + s.sigma2))


class LinearND(SmallGame):
    """Many dimensions: data 0, x_hat = (θ, 0), D(x) = ψᵀBx, B = diag(singular values, 1, …, 1).

    The last ``extra`` coordinates are out of G's reach: in the cross block of the game they are D's kernel. Each
    singular value s is a Dirac-GAN of its own, of scale s; a kernel direction has the eigenvalue -γ, or 0.
    ``mse`` is a mean over coordinates: it charges μ/(n + extra) for each, unless terms.mse.unit makes up for it.

    Args:
        singular: singular values of the cross block.
        extra: dimension of D's kernel.
    """

    def __init__(self, singular: Sequence[float] = (0.25, 0.5, 1.0, 2.0), extra: int = 1) -> None:
        if not singular:
            raise InputError("game.singular=[]: give one number or more")
        self.singular, self.extra = list(singular), extra
        n = len(singular)
        self.theta = tuple(f"θ{i + 1}" for i in range(n))
        self.psi = tuple(f"ψ{i + 1}" for i in range(n + extra))
        self.start = (1.0,) * n + (0.5,) * (n + extra)
        self.gains = torch.tensor([*singular, *[1.0] * extra], dtype=torch.float64)

    def source(self) -> Tensor:
        return torch.zeros(1, len(self.gains), dtype=torch.float64)

    def decode(self, theta: Tensor, x: Tensor) -> Tensor:
        within = torch.nn.functional.pad(theta, (0, self.extra))
        return within[:, None, :].expand_as(x)

    def discriminate(self, psi: Tensor, images: Tensor) -> Tensor:
        return (psi[:, None, :] * self.gains * images).sum(-1, keepdim=True)

    def closed_form(self, s: Strengths) -> Spectrum | None:
        if s.other or s.consensus or s.jare or s.level:
            return None
        mu, gammas, found = s.mse / len(self.gains), s.r1 + s.r2, list[complex]()
        for gain in self.singular:
            b, c, width = s.g * gain, s.d * gain, s.curvature * s.sigma2 * gain**2
            found += damped(s, b, c, 2 * mu, gammas * gain**2, width)
        return found + [-s.ratio * (gammas + s.curvature * s.sigma2)] * self.extra
