"""Two-dimensional distributions, and how well a generator's samples match them.

Each is a set of *parts* (the modes of a mixture, or equal pieces of a curve) with isotropic normal noise around it:

    u ~ U[0, 1) ─► place(u) ─► + std·n ─► x

The numbers of ring and grid are the literature's: 8 modes on a circle of radius 2 with standard deviation .02 (Metz et
al. 2017), 25 modes at even numbers from -4 to 4 with .05 (Lin et al. 2018, PacGAN). The judgement is that of Srivastava
et al. 2017 (VEEGAN): of 2500 samples, one is *good* if it is within three standard deviations of the nearest mode, and
a mode is *recovered* if it is nearest to at least one good sample.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gcn.game.streams import Stream

SAMPLES = 2500  # that are judged (Srivastava et al. 2017)
TOLERANCE = 3.0  # standard deviations within which a sample is good (Srivastava et al. 2017)
HELD = 0.1  # of its equal share of the samples, from which on a part is held


class Quality(NamedTuple):
    """How well samples match a distribution, one row for each game.

    Attributes:
        recovered: parts that are nearest to at least one good sample (E,); of a curve, over ``parts``, its coverage.
        held: parts to which at least a tenth of their equal share of the samples falls, good ones counted alone (E,):
            one sample in a place is chance, and a cloud over everything recovers all modes.
        good: share of samples within the tolerance (E,).
        kl: KL divergence, in nats, of the shares of samples nearest to each part from the uniform distribution (E,): 0
            is balanced, log(parts) is a single part; NaN without any finite sample.
    """

    recovered: Tensor
    held: Tensor
    good: Tensor
    kl: Tensor


class Distribution:
    """Points of the plane around some parts.

    Attributes:
        parts: how many parts there are.
        std: standard deviation of the noise around them, in each coordinate.
        modes: the parts are modes; else they are pieces of a curve.
    """

    parts: int
    std: float
    modes = True

    def place(self, u: Tensor) -> Tensor:
        """The noiseless points (..., 2) of numbers (...) in [0, 1); equal intervals are equally likely parts."""
        raise NotImplementedError

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from the nearest part and its number, (...) each, of finite points (..., 2)."""
        raise NotImplementedError

    @property
    def extent(self) -> float:
        """Half the side of a square that holds the data with a margin."""
        return 1.35 * float(self.place(torch.linspace(0, 1 - 1e-6, 1001)).abs().max())

    def sample(self, stream: Stream, like: Tensor) -> Tensor:
        """Points of the shape and type of ``like`` (..., 2); the stream decides which."""
        where = stream.child("where").uniform(like[..., 0])
        return self.place(where) + self.std * stream.child("spread").normal(like)

    def quality(self, points: Tensor, least: int = 1) -> Quality:
        """Judge samples (E, N, 2); those that are not finite match nothing.

        Args:
            points: the samples.
            least: number of good samples for which a part counts as recovered.
        """
        finite = points.isfinite().all(-1)
        distance, part = self.locate(torch.where(finite[..., None], points, 0.0))
        good = finite & (distance <= TOLERANCE * self.std)
        matches = self._count(part, good)
        share = points.shape[1] / self.parts
        near = self._count(part, finite)
        shares = near / near.sum(1, keepdim=True)
        kl = torch.special.xlogy(shares, shares * self.parts).sum(1)
        held = (matches >= HELD * share).sum(1)
        return Quality((matches >= least).sum(1), held, good.double().mean(1), kl)

    def _count(self, part: Tensor, counted: Tensor) -> Tensor:
        counts = torch.zeros(len(part), self.parts, dtype=torch.float64)
        return counts.scatter_add_(1, part, counted.double())


class Mixture(Distribution):
    """Equally likely normal distributions.

    Args:
        centres: of the modes (K, 2).
        std: of each mode, in each coordinate.
    """

    def __init__(self, centres: Tensor, std: float) -> None:
        self.centres, self.std, self.parts = centres, std, len(centres)

    def place(self, u: Tensor) -> Tensor:
        return self.centres.to(u)[(u * self.parts).long().clamp(max=self.parts - 1)]

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        nearest = torch.cdist(
            points, self.centres.to(points), compute_mode="donot_use_mm_for_euclid_dist"
        ).min(-1)
        return nearest.values, nearest.indices


class Ring(Mixture):
    """Modes at equal angles on a circle, the first on the positive x axis (Metz et al. 2017)."""

    def __init__(self, modes: int = 8, radius: float = 2.0, std: float = 0.02) -> None:
        angles = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
        super().__init__(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)


class Grid(Mixture):
    """side × side modes, ``spacing`` apart, around 0 (Srivastava et al. 2017; numbers of Lin et al. 2018)."""

    def __init__(self, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> None:
        line = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
        super().__init__(torch.cartesian_prod(line, line), std)


class Gaussians(Mixture):
    """Two modes at ±distance/2 on the x axis: losing one loses half of the data."""

    def __init__(self, distance: float = 4.0, std: float = 0.2) -> None:
        super().__init__(torch.tensor([[-distance / 2, 0.0], [distance / 2, 0.0]], dtype=torch.float64), std)


class Line(Distribution):
    """A segment through 0, uniform along it.

    Args:
        length: of the segment.
        angle: to the x axis, in degrees.
        std: of the noise around it.
        parts: equal pieces in which coverage is counted.
    """

    modes = False

    def __init__(self, length: float = 4.0, angle: float = 30.0, std: float = 0.02, parts: int = 25) -> None:
        self.length, self.std, self.parts = length, std, parts
        radians = math.radians(angle)
        self.direction = torch.tensor([math.cos(radians), math.sin(radians)], dtype=torch.float64)

    def place(self, u: Tensor) -> Tensor:
        return self.length * (u - 0.5)[..., None] * self.direction.to(u)

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        along = (points @ self.direction.to(points)).clamp(-self.length / 2, self.length / 2)
        distance = (points - along[..., None] * self.direction.to(points)).norm(dim=-1)
        piece = ((along / self.length + 0.5) * self.parts).long().clamp(max=self.parts - 1)
        return distance, piece


class Circle(Distribution):
    """A circle around 0, uniform along it.

    Args:
        radius: of the circle.
        std: of the noise around it.
        parts: equal arcs in which coverage is counted, the first from the positive x axis on.
    """

    modes = False

    def __init__(self, radius: float = 2.0, std: float = 0.02, parts: int = 25) -> None:
        self.radius, self.std, self.parts = radius, std, parts

    def place(self, u: Tensor) -> Tensor:
        angle = 2 * math.pi * u
        return self.radius * torch.stack([angle.cos(), angle.sin()], dim=-1)

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        turns = torch.atan2(points[..., 1], points[..., 0]) / (2 * math.pi) % 1.0
        return (points.norm(dim=-1) - self.radius).abs(), (turns * self.parts).long().clamp(
            max=self.parts - 1
        )
