"""Distributions along straight segments: four lines, and a spiral made of short chords."""

import math

import torch
from torch import Tensor

from gcn.lab.plane.distributions import Distribution

CHORDS = 128  # of a spiral; with the default numbers they leave it by less than .002


class Segments(Distribution):
    """Uniform along segments, which need not be connected.

    Args:
        ends: first and last point of each segment (S, 2, 2).
        std: of the noise around them, in each coordinate.
        parts: equal pieces of the whole length in which coverage is counted.
    """

    modes = False

    def __init__(self, ends: Tensor, std: float, parts: int) -> None:
        self.start, self.along = ends[:, 0], ends[:, 1] - ends[:, 0]
        self.lengths = self.along.norm(dim=-1)
        self.before = self.lengths.cumsum(0) - self.lengths  # length of the segments before each one
        self.length = float(self.lengths.sum())
        self.std, self.parts = std, parts

    def place(self, u: Tensor) -> Tensor:
        at = self.length * u.double()
        which = torch.searchsorted(self.before, at, right=True) - 1
        share = ((at - self.before[which]) / self.lengths[which]).clamp(0, 1)
        return (self.start[which] + share[..., None] * self.along[which]).to(u)

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        start, along, lengths = self.start.to(points), self.along.to(points), self.lengths.to(points)
        offset = points[..., None, :] - start
        share = ((offset * along).sum(-1) / lengths.square()).clamp(0, 1)
        nearest = (offset - share[..., None] * along).norm(dim=-1).min(-1)
        which = nearest.indices
        at = self.before.to(points)[which] + share.gather(-1, which[..., None])[..., 0] * lengths[which]
        return nearest.values, (at / self.length * self.parts).long().clamp(max=self.parts - 1)


class FourLines(Segments):
    """Four horizontal segments of equal length, above one another: support in pieces that do not touch.

    Args:
        length: of each segment.
        spacing: between neighbouring segments.
        std: of the noise around them.
        parts: equal pieces in which coverage is counted; a multiple of 4 leaves none on two segments.
    """

    def __init__(self, length: float = 4.0, spacing: float = 1.0, std: float = 0.02, parts: int = 24) -> None:
        heights = spacing * torch.tensor([-1.5, -0.5, 0.5, 1.5], dtype=torch.float64)
        half = torch.full_like(heights, length / 2)
        ends = torch.stack([torch.stack([-half, heights], 1), torch.stack([half, heights], 1)], 1)
        super().__init__(ends, std, parts)


class Spiral(Segments):
    """Archimedean spiral around 0, uniform along its length: radius·t at the angle 2π·turns·t, t in [inner, 1].

    Args:
        radius: at its outer end.
        turns: around 0 from the centre to the outer end.
        inner: radius at which it begins, over ``radius``.
        std: of the noise around it.
        parts: equal pieces of its length in which coverage is counted, the first at the inner end.
    """

    def __init__(
        self,
        radius: float = 2.0,
        turns: float = 2.0,
        inner: float = 0.15,
        std: float = 0.02,
        parts: int = 25,
    ) -> None:
        t = torch.linspace(inner, 1, CHORDS + 1, dtype=torch.float64)
        angle = 2 * math.pi * turns * t
        corners = (radius * t)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        super().__init__(torch.stack([corners[:-1], corners[1:]], dim=1), std, parts)
