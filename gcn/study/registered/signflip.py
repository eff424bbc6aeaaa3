"""The exact sign-flip test of paired differences, with limits: what the margin study decides by.

Under the null hypothesis the difference of each seed is as likely as its mirror image about the threshold, so all 2^n
choices of signs are equally likely. A flip of the signs of a subset raises the mean exactly if the subset's own mean
lies below the threshold. So p counts means of subsets, and limits are order statistics of these means (Hartigan 1969,
"Using subsample values as typical values"). Nothing is assumed about the shape of the distribution but its symmetry.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from gcn.errors import InputError

MOST = 20  # values; the test goes through 2^n subsets
TIE = 1e-9  # means closer than this are equal: sums of the same numbers in another order

Numbers = npt.NDArray[np.float64]


class SignFlip:
    """The exact test of the centre of n values.

    Attributes:
        mean: of the values.

    Raises:
        InputError: no value, more than 20, or one that is not finite.
    """

    def __init__(self, values: Sequence[float]) -> None:
        if not 1 <= len(values) <= MOST:
            raise InputError(f"sign-flip test: {len(values)} values; it takes 1 to {MOST}")
        if not all(map(math.isfinite, values)):
            raise InputError("sign-flip test: a value is not finite; leave out what was not measured")
        self.mean = math.fsum(values) / len(values)
        self._values = np.asarray(values, dtype=np.float64)
        self._means = _sums(self._values)[1:] / _sizes(len(values))  # (2^n - 1,)
        self._all = len(self._means) + 1

    @property
    def deviation(self) -> float:
        """Standard deviation of the values, over n - 1; NaN for one value."""
        return float(self._values.std(ddof=1)) if len(self._values) > 1 else math.nan

    def p_above(self, threshold: float = 0.0) -> float:
        """One-sided p of the hypothesis that the centre is at most the threshold."""
        return float(1 + np.count_nonzero(self._means <= threshold + TIE)) / self._all

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p of the hypothesis that the centre is at least the threshold."""
        return float(1 + np.count_nonzero(self._means >= threshold - TIE)) / self._all

    def limits(self, error: float) -> tuple[float, float]:
        """Limits of the centre, each wrong with at most this probability; infinite for too few values."""
        rank = math.floor(error * self._all + TIE)
        if rank < 1:
            return -math.inf, math.inf
        ends = np.partition(self._means, [rank - 1, len(self._means) - rank])
        return float(ends[rank - 1]), float(ends[len(self._means) - rank])


def _sums(values: Numbers) -> Numbers:
    """Sums of all subsets, the empty one first: those of the first half of the values added to those of the rest."""
    half = len(values) // 2
    first, rest = (_subsets(len(part)) @ part for part in (values[:half], values[half:]))
    return np.asarray(np.add.outer(rest, first).ravel())


@cache
def _subsets(n: int) -> Numbers:
    """All subsets of n values, the empty one first: a row each, of ones and zeros. (2^n, n)"""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.float64)


@cache
def _sizes(n: int) -> Numbers:
    """Sizes of all subsets but the empty one, in the order of `_sums`."""
    return _sums(np.ones(n))[1:]
