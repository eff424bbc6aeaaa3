"""f-divergences of probabilities (n,), in nats where there is a logarithm, and the Gaussian nearest to a density.

They compare masses atom by atom and know no distance between atoms; Wasserstein-1, which does, is SciPy's.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.special import rel_entr

Array = NDArray[np.float64]
Divergence = Callable[[Array, Array], float]

TINY = float(np.finfo(np.float64).tiny)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # where the fit of a Gaussian starts, and ...
WIDTHS = (1.0, 0.3)  # ... how wide, in standard deviations of the target: all of it down to one mode


def kl(p: Array, q: Array) -> float:
    """KL(p‖q) = Σ p log(p/q) (Kullback and Leibler 1951); 0 log 0 = 0, and ∞ where p has mass and q has none."""
    return float(rel_entr(p, q).sum())


def reverse_kl(p: Array, q: Array) -> float:
    """KL(q‖p)."""
    return kl(q, p)


def js(p: Array, q: Array) -> float:
    """½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2 (Lin 1991): from 0 to log 2, which is disjoint support.

    SciPy's ``jensenshannon`` is the root of this, which is NaN where rounding makes the sum negative.
    """
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p - q|, from 0 to 1 (disjoint support)."""
    return float(np.abs(p - q).sum()) / 2


class Fit(NamedTuple):
    """The nearest Gaussian found, and its divergence from the target."""

    mean: float
    std: float
    value: float


def fit_gaussian(x: Array, target: Array, divergence: Divergence) -> Fit:
    """The Gaussian q that minimises ``divergence(target, q)``.

    Ten rough descents (Nelder and Mead 1965) from different places and widths, and the best of them refined.
    ``kl`` covers the target (it matches mean and variance), ``reverse_kl`` avoids places without mass and so takes
    the heaviest of separate modes (Minka 2005).

    Args:
        x: (n,), equally spaced and ascending, five deviations of the target to both sides of its mean or more: what
            lies beyond does not count.
        target: density (n,) on it, of any total. ``reverse_kl`` needs it > 0 everywhere.
        divergence: of two arrays of probabilities (n,), the target first.
    """
    p = target / target.sum()
    mean = float(p @ x)
    std = math.sqrt(p @ (x - mean) ** 2)
    grid = (x - mean) / std

    def distance(parameters: Array) -> float:
        exponents = -(((grid - parameters[0]) * math.exp(-parameters[1])) ** 2) / 2
        # some value is 1, however narrow and far away, and none is 0: no Gaussian is
        q = np.maximum(np.exp(exponents - exponents.max()), TINY)
        return divergence(p, q / q.sum())

    def descend(start: Array, tolerance: float) -> OptimizeResult:
        # scipy's own first simplex is 5 % of the start and shrinks to a point where that is 0
        simplex = start + np.array([(0, 0), (0.2, 0), (0, 0.2)])
        options = {"initial_simplex": simplex, "xatol": tolerance, "fatol": tolerance}
        return minimize(distance, start, method="Nelder-Mead", bounds=bounds, options=options)

    bounds = [(grid[0], grid[-1]), (math.log(grid[1] - grid[0]), math.log(np.ptp(grid)))]
    places = grid[np.searchsorted(np.cumsum(p), QUANTILES)]
    widths = np.clip(np.log(WIDTHS), *bounds[1])
    rough = [descend(np.array(start), 3e-2) for start in product(places, widths)]
    best = descend(min(rough, key=lambda fit: fit.fun).x, 1e-9)
    return Fit(mean + std * float(best.x[0]), std * math.exp(best.x[1]), float(best.fun))
