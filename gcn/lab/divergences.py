"""Divergences between distributions, small enough to check by hand: what each GAN is said to minimise.

The f-divergences (KL, reverse KL, JS, total variation) compare masses atom by atom and know no distance between
atoms; Wasserstein-1 charges mass times distance. The figures of the lecture (``gcn.lab.lecture``) are drawn from
these functions. NumPy and SciPy only, so that nothing here depends on the training code that it explains.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import OptimizeResult, linprog, minimize
from scipy.special import rel_entr

from gcn.errors import InputError

Array = NDArray[np.float64]
Divergence = Callable[[Array, Array], float]

MASS_TOLERANCE = 1e-6  # relative: sums of float32 probabilities pass, a forgotten normalisation does not
TINY = float(np.finfo(np.float64).tiny)
FEASIBILITY = 1e-10  # of the linear program, the tightest that HiGHS takes
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # where the fit of a Gaussian starts, and ...
WIDTHS = (1.0, 0.3)  # ... how wide, in standard deviations of the target: all of it down to one mode


# Atom by atom


def kl(p: ArrayLike, q: ArrayLike) -> float:
    """KL(p‖q) = Σ p log(p/q) in nats (Kullback and Leibler 1951); ∞ where p has mass and q has none.

    Args:
        p: probabilities (n,). q: likewise; 0 log 0 = 0.

    Raises:
        InputError: not finite, negative, of different lengths, or a sum that is not 1.
    """
    return float(rel_entr(*_probabilities(p, q)).sum())


def reverse_kl(p: ArrayLike, q: ArrayLike) -> float:
    """KL(q‖p); arguments, unit and errors as in :func:`kl`."""
    return kl(q, p)


def js(p: ArrayLike, q: ArrayLike) -> float:
    """½ KL(p‖m) + ½ KL(q‖m) with m = (p+q)/2, in nats (Lin 1991): from 0 to log 2, which is disjoint support.

    Arguments and errors as in :func:`kl`.
    """
    p, q = _probabilities(p, q)
    twice = p + q  # 2m: halving the smallest floats would make m = 0 where p > 0
    return float(rel_entr(2 * p, twice).sum() + rel_entr(2 * q, twice).sum()) / 4


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """½ Σ |p − q|, from 0 to 1 (disjoint support). Arguments and errors as in :func:`kl`."""
    p, q = _probabilities(p, q)
    return float(np.abs(p - q).sum()) / 2


# Moving earth


class Line(NamedTuple):
    """Wasserstein-1 on a line: ``value``, and ``deltas`` (n + 1,), what crosses each gap to the right."""

    value: float
    deltas: Array


def wasserstein_line(p: ArrayLike, q: ArrayLike, positions: ArrayLike | None = None) -> Line:
    """W₁ of piles on a line by the recursion δ₀ = 0, δᵢ₊₁ = δᵢ + pᵢ − qᵢ: W = Σ |δᵢ|·(xᵢ − xᵢ₋₁) (Vallender 1974).

    Piles count from 0. δᵢ, i = 1 … n−1, is what has to cross the gap from xᵢ₋₁ to xᵢ (< 0: to the left); δₙ = 0.

    Args:
        p: masses (n,). q: likewise, of the same total, which need not be 1.
        positions: (n,), not decreasing; None is unit spacing.

    Raises:
        InputError: not finite, negative, of different lengths or totals, without mass, or unsorted positions.
    """
    p, q = _masses(p, q)
    _same_length(p, q)
    x = np.arange(len(p), dtype=np.float64) if positions is None else _vector("positions", positions)
    if len(x) != len(p):
        raise InputError(f"positions: {len(x)} of them for {len(p)} piles; give one for each")
    gaps = np.diff(x)
    if (gaps < 0).any():
        raise InputError("positions: not in ascending order; sort them, and p and q with them")
    deltas = np.concatenate(([0.0], np.cumsum(p - q)))
    return Line(float(np.abs(deltas[1:-1]) @ gaps), deltas)


class Transport(NamedTuple):
    """A cheapest way to move p to q: what it costs, and ``plan`` (n, m), the mass that goes from i to j."""

    value: float
    plan: Array


def transport(p: ArrayLike, q: ArrayLike, cost: ArrayLike) -> Transport:
    """Minimum of Σ plan·cost over plans ≥ 0 with row sums p and column sums q (Kantorovich 1942), by the simplex.

    W₁ if ``cost`` is a distance. Exact: the plan is a vertex, with at most n + m − 1 entries that are not 0. Where
    several plans are cheapest it is one of them.

    Args:
        p: masses (n,). q: masses (m,) of the same total, which need not be 1.
        cost: (n, m), of a unit of mass from i to j.

    Raises:
        InputError: not finite, of the wrong shape, negative masses, different totals, or no mass at all.
        RuntimeError: the solver gave up, with its reason.
    """
    p, q = _masses(p, q)
    table = _numbers("cost", cost)
    if table.shape != (len(p), len(q)):
        raise InputError(
            f"cost: shape {table.shape} for {len(p)} masses to {len(q)}; give a row per mass of p"
        )
    margins = sparse.vstack(
        [
            sparse.kron(sparse.eye_array(len(p)), np.ones((1, len(q)))),  # row sums
            sparse.kron(np.ones((1, len(p))), sparse.eye_array(len(q))),  # column sums
        ]
    )
    unit = _power_of_two(p.sum())  # the solver's tolerances are absolute
    solution = linprog(
        table.ravel() / _power_of_two(np.abs(table).max()),
        A_eq=margins.tocsr(),
        b_eq=np.concatenate((p, q)) / unit,
        method="highs-ds",
        options={"primal_feasibility_tolerance": FEASIBILITY, "dual_feasibility_tolerance": FEASIBILITY},
    )
    if not solution.success:
        raise RuntimeError(f"no transport plan found: {solution.message}")
    plan = np.maximum(solution.x, 0).reshape(table.shape) * unit
    return Transport(float((plan * table).sum()), plan)


class Segments(NamedTuple):
    """Two distributions on the same atoms (n,) and the distances (n, n) between these."""

    p: Array
    q: Array
    cost: Array


def parallel_segments(theta: float, points: int = 12) -> Segments:
    """P uniform on (0, u), Q_θ on (θ, u), u in [0, 1] (Arjovsky et al. 2017, example 1), as ``points`` atoms each.

    The example is free of discretisation error: KL = ∞, JS = log 2, TV = 1 and W = |θ| for all θ ≠ 0.

    Raises:
        InputError: θ not finite, or no points.
    """
    if not math.isfinite(theta) or points < 1:
        raise InputError(
            f"theta={theta}, points={points}: a segment needs a finite place and at least one point"
        )
    u = (np.arange(points) + 0.5) / points
    atoms = np.array([*product((0.0, theta) if theta else (0.0,), u)])  # (n, 2)
    p, q = ((atoms[:, 0] == side) / points for side in (0.0, theta))
    return Segments(p, q, np.linalg.norm(atoms[:, None] - atoms[None], axis=-1))


# The players' side


class OptimalDiscriminator(NamedTuple):
    """D* and its logit, in the shape of the densities."""

    probability: Array
    logit: Array


def optimal_discriminator(p: ArrayLike, q: ArrayLike) -> OptimalDiscriminator:
    """D* = p/(p+q) and its logit log p − log q (Goodfellow et al. 2014, proposition 1); p is the real density.

    Logits are ±∞ where only one of the two is 0; where both are, every D is optimal and both results are NaN.

    Args:
        p: densities at any points, any shape. q: at the same points.

    Raises:
        InputError: not finite, negative, or of different shapes.
    """
    p, q = _nonnegative("p", _numbers("p", p)), _nonnegative("q", _numbers("q", q))
    if p.shape != q.shape:
        raise InputError(f"p, q: shapes {p.shape} and {q.shape}; give both densities at the same points")
    with np.errstate(divide="ignore", invalid="ignore"):
        return OptimalDiscriminator(p / (p + q), np.log(p) - np.log(q))


class GeneratorCosts(NamedTuple):
    """What G pays on one reconstruction, in the shape of D's probabilities."""

    saturating: Array
    non_saturating: Array
    maximum_likelihood: Array


def generator_costs(d: ArrayLike) -> GeneratorCosts:
    """log(1−D), −log D and −D/(1−D) of D = D(G(z)) (Goodfellow 2016, sections 3.2.2 to 3.2.4).

    Formulas for comparison: the figure of the lecture draws the losses that training uses.

    Args:
        d: probabilities of being real, 0 < d < 1, any shape.

    Raises:
        InputError: a value outside (0, 1).
    """
    d = _numbers("d", d)
    if not ((d > 0) & (d < 1)).all():
        raise InputError("d: values outside (0, 1); give probabilities, not logits")
    return GeneratorCosts(np.log1p(-d), -np.log(d), -d / (1 - d))


# One Gaussian for two


class Gaussian(NamedTuple):
    """Normal distribution by mean and standard deviation."""

    mean: float
    std: float

    def density(self, x: Array) -> Array:
        """Density at x, any shape."""
        return np.exp(-(((x - self.mean) / self.std) ** 2) / 2) / (self.std * math.sqrt(2 * math.pi))


class Fit(NamedTuple):
    """The nearest Gaussian found, and its divergence from the target."""

    gaussian: Gaussian
    value: float


def fit_gaussian(x: ArrayLike, target: ArrayLike, divergence: Divergence) -> Fit:
    """The Gaussian q that minimises ``divergence(target, q)``.

    Ten rough descents (Nelder and Mead 1965) from different places and widths, and the best of them refined.
    ``kl`` covers the target (it matches mean and variance), ``reverse_kl`` avoids places without mass and so takes
    the heaviest of separate modes (Minka 2005).

    Args:
        x: (n,), equally spaced and ascending, five deviations of the target to both sides of its mean or more: what
            lies beyond does not count.
        target: density (n,) on it, of any total. ``reverse_kl`` needs it > 0 everywhere.
        divergence: of two arrays of probabilities (n,), the target first.

    Raises:
        InputError: an uneven grid, a target that is no density or narrower than a step, or that is infinitely far
            from every Gaussian.
    """
    grid, p, mean, std = _standardised(x, target)

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
    starts = [np.array(start) for start in product(places, widths)]
    if not math.isfinite(distance(starts[0])):
        raise InputError("target: 0 somewhere, infinitely far from any Gaussian; shorten x, or use kl or js")
    rough = [descend(start, 3e-2) for start in starts]
    best = descend(min(rough, key=lambda fit: fit.fun).x, 1e-9)
    return Fit(Gaussian(mean + std * float(best.x[0]), std * math.exp(best.x[1])), float(best.fun))


def _standardised(x: ArrayLike, target: ArrayLike) -> tuple[Array, Array, float, float]:
    """Grid in deviations of the target from its mean, its probabilities, mean and deviation."""
    grid = _vector("x", x)
    steps = np.diff(grid)
    if len(grid) < 3 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3, atol=0):
        raise InputError(
            "x: not an ascending, equally spaced grid of three points or more; use numpy.linspace"
        )
    p = _mass("target", target)
    _same_length(grid, p, names="x, target")
    p = p / p.sum()
    mean = float(p @ grid)
    std = math.sqrt(p @ (grid - mean) ** 2)
    if std < steps[0]:
        raise InputError(
            f"target: deviation {std:.3g} below the grid's step {steps[0]:.3g}; use a finer grid"
        )
    return (grid - mean) / std, p, mean, std


# Checks of what comes in


def _numbers(name: str, values: ArrayLike) -> Array:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: not an array of numbers; give numbers, in rows of equal length") from None
    if numbers.size == 0:
        raise InputError(f"{name}: empty; give at least one number")
    if not np.isfinite(numbers).all():
        raise InputError(f"{name}: NaN or infinite values; give finite numbers")
    return numbers


def _vector(name: str, values: ArrayLike) -> Array:
    numbers = _numbers(name, values)
    if numbers.ndim != 1:
        raise InputError(f"{name}: shape {numbers.shape}; give a 1-D array")
    return numbers


def _nonnegative(name: str, numbers: Array) -> Array:
    if (numbers < 0).any():
        raise InputError(
            f"{name}: negative values, the least {numbers.min():.3g}; masses and densities are ≥ 0"
        )
    return numbers


def _mass(name: str, values: ArrayLike) -> Array:
    mass = _nonnegative(name, _vector(name, values))
    total = float(mass.sum())
    if not 0 < total < math.inf:
        raise InputError(f"{name}: total mass {total}; give a positive, finite one")
    return mass


def _same_length(p: Array, q: Array, names: str = "p, q") -> None:
    if len(p) != len(q):
        raise InputError(f"{names}: lengths {len(p)} and {len(q)}; give both on the same atoms")


def _masses(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    """Masses of the same total: q's last digits follow p's."""
    p, q = _mass("p", p), _mass("q", q)
    ratio = float(p.sum() / q.sum())
    if abs(ratio - 1) > MASS_TOLERANCE:
        raise InputError(f"p, q: total masses {p.sum():.9g} and {q.sum():.9g}; rescale one to the other")
    return p, q * ratio


def _probabilities(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    """Probabilities on the same atoms, with sums of 1 to the last digits."""
    p, q = _mass("p", p), _mass("q", q)
    _same_length(p, q)
    for name, values in (("p", p), ("q", q)):
        if abs(values.sum() - 1) > MASS_TOLERANCE:
            raise InputError(f"{name}: sums to {values.sum():.9g}, not to 1; divide it by its sum")
    return p / p.sum(), q / q.sum()


def _power_of_two(value: float) -> float:
    """The largest power of two up to a value ≥ 0 (1 for 0): dividing by it costs no digits."""
    return 2.0 ** (math.frexp(value)[1] - 1) if value else 1.0
