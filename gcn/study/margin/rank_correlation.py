"""Spearman's rank correlation of two quantities measured in the same cells, with a bootstrap interval over cells."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEWEST = 8  # cells; of fewer no correlation is reported
DRAWS = 2000  # bootstrap samples
PREDICTS = (
    -0.5
)  # largest correlation at which the exponent predicts the margin; the interval must be below 0, too


class RankCorrelation(NamedTuple):
    """A rank correlation.

    Attributes:
        value: from -1 to 1; not a number where one of the quantities is the same in all cells.
        low, high: ends of the 95 % interval, by a bootstrap over cells.
        cells: number of cells.
    """

    value: float
    low: float
    high: float
    cells: int

    @property
    def text(self) -> str:
        """``-0.71 [-0.88, -0.40]``: value and interval, or why there is none."""
        if np.isnan(self.value):
            return "none (one of the two is the same in all)"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def predicts(self) -> bool:
        """Whether a larger exponent goes with a smaller margin clearly enough, by the rule of the plan."""
        return self.value <= PREDICTS and self.high < 0


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> RankCorrelation | None:
    """Spearman's correlation; None of fewer than ``FEWEST`` cells.

    Equal values share the mean of their ranks. The bootstrap has a fixed seed. Its samples in which one of the
    quantities is constant have no correlation and are left out.

    Args:
        one, other: values of the two quantities, cell by cell.
    """
    x, y = np.asarray(one, float), np.asarray(other, float)
    if len(x) < FEWEST:
        return None
    chosen = np.random.default_rng(0).integers(len(x), size=(DRAWS, len(x)))
    drawn = _spearman(x[chosen], y[chosen])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return RankCorrelation(float(_spearman(x[None], y[None])[0]), float(low), float(high), len(x))


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank correlations (S,) of samples (S, cells); not a number where one quantity is constant."""
    from scipy.stats import rankdata

    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (rankdata(x, axis=1), rankdata(y, axis=1)))
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.divide((a * b).sum(1), size, out=np.full(len(a), np.nan), where=size > 0)
