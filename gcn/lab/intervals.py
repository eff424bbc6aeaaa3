"""Means over seeds with their confidence intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit  # Student's t; scipy.stats takes a second to import


class Interval(NamedTuple):
    """A mean over seeds and half the width of its 95 % confidence interval."""

    mean: float
    half: float


def interval(values: ArrayLike) -> Interval:
    """Student's t interval of the mean, n - 1 degrees of freedom; infinitely wide for a single value."""
    x = np.asarray(values, dtype=float)
    half = float(stdtrit(len(x) - 1, 0.975)) * x.std(ddof=1) / len(x) ** 0.5 if len(x) > 1 else float("inf")
    return Interval(float(x.mean()), float(half))
