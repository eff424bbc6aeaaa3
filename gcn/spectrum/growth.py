"""Growth rates of small displacements, by repeated orthogonalisation (Benettin et al. 1980), and their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.special import stdtrit  # Student's t; scipy.stats takes a second to import
from torch import Tensor

GROUPS = 5  # of successive blocks, whose means count as independent
# Rates come in bursts, so Student's t covers less than it says: of measurements on ten trainings 82 to 88 % had an
# interval that held the rate of the whole training at a level of .95, and 92 to 96 % at .99 (docs/exponent.md).
LEVEL = 0.99


@dataclass(frozen=True)
class Estimate:
    """A rate per update with its interval, Student's t at 99 %.

    Attributes:
        value: mean rate over all blocks; NaN where a copy has left all bounds.
        half: half width of the interval, from the spread of the means of up to five groups of successive blocks;
            infinite for fewer than two blocks.
        rates: of the blocks, in order.
        error: standard error of the value, which ``half`` is a multiple of.
    """

    value: float
    half: float
    rates: tuple[float, ...] = ()
    error: float = math.inf

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half

    def record(self) -> dict[str, Any]:
        """The numbers for a JSON file; null where there is none."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def estimate(rates: Sequence[float]) -> Estimate:
    """The mean of the rates of successive blocks, with the interval of Student's t over means of groups of blocks."""
    values = [float(rate) for rate in rates]
    if not values or not all(map(math.isfinite, values)):
        return Estimate(math.nan, math.nan, tuple(values))
    groups = min(GROUPS, len(values))
    parts = torch.tensor(values, dtype=torch.float64).tensor_split(groups)
    means = torch.stack([part.mean() for part in parts])
    half = error = math.inf
    if groups > 1:
        error = float(means.std()) / math.sqrt(groups)
        half = float(stdtrit(groups - 1, (1 + LEVEL) / 2)) * error
    return Estimate(sum(values) / len(values), half, tuple(values), error)


def weighted_mean(rates: Tensor) -> Tensor:
    """Mean over the first dimension (T, ...) with the weights exp(-1/(t(1 - t))), t from 0 to 1.

    For rates of a fixed map these smooth weights converge faster than any power of T, where the plain mean keeps an
    error of the order 1/T (Das et al. 2017, Quantitative quasiperiodicity).
    """
    t = (torch.arange(len(rates), dtype=rates.dtype) + 0.5) / len(rates)
    weights = (-1 / (t * (1 - t))).exp()
    return torch.tensordot(weights / weights.sum(), rates, dims=1)


def orthonormal(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal rows of the same flags as ``vectors`` (..., k, K), and the logarithms (..., k) of their lengths.

    The length of a row is that of its part which is orthogonal to the rows above it.
    """
    q, r = torch.linalg.qr(vectors.mT)
    return q.mT.contiguous(), r.diagonal(dim1=-2, dim2=-1).abs().clamp(min=1e-300).log()


def random_frame(k: int, mask: Tensor, seed: int) -> Tensor:
    """``min(k, number of free coordinates)`` random orthonormal rows (k, K), 0 where ``mask`` (K,) is 0."""
    free = int(mask.count_nonzero())
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(min(k, free), len(mask), generator=generator, dtype=torch.float64)
    return orthonormal(drawn * mask)[0] * mask  # without the rounding where the mask is 0
