"""The divergences, the earth mover, the nearest Gaussian and the costs of G: numbers by hand, laws, closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm, wasserstein_distance

from costs import COSTS, played_cost
from densities import two_modes
from divergences import fit_gaussian, js, kl, reverse_kl, total_variation
from earth_mover import EARTH_P, EARTH_Q, carried, cheapest_plan, earth_moved, masses

LOG2 = math.log(2)
GRID = np.linspace(-24, 24, 481)


def test_divergences_by_hand():
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert kl(p, q) == pytest.approx(0.5 * LOG2 + 0.5 * math.log(2 / 3))
    assert reverse_kl(p, q) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    assert total_variation(p, q) == 0.25
    assert js(p, q) == pytest.approx(jensenshannon(p, q) ** 2)


@pytest.mark.parametrize("theta", [-1.0, -0.3, 1e-3, 0.5])
def test_parallel_segments(theta):
    p, q = masses(theta)
    assert kl(p, q) == reverse_kl(p, q) == math.inf
    assert js(p, q) == pytest.approx(LOG2)
    assert total_variation(p, q) == pytest.approx(1)
    assert earth_moved(theta) == pytest.approx(abs(theta))


def test_parallel_segments_that_coincide():
    p, q = masses(0.0)
    assert p.sum() == pytest.approx(1)
    assert kl(p, q) == js(p, q) == total_variation(p, q) == 0
    assert earth_moved(0.0) == pytest.approx(0, abs=1e-12)


def test_four_piles_of_earth():
    assert carried(EARTH_P, EARTH_Q).tolist() == [0, 2, 2, -1, 0]
    assert cheapest_plan(EARTH_P, EARTH_Q).tolist() == [
        [1, 2, 0, 0],
        [0, 0, 2, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 3],
    ]


@given(
    st.integers(1, 6).flatmap(lambda n: st.tuples(*[st.lists(st.integers(1, 9), min_size=n, max_size=n)] * 2))
)
def test_plan_and_recursion_cost_what_scipy_says(piles):
    p, q = (np.array(masses) / sum(masses) for masses in piles)
    places = np.arange(len(p))
    plan, expected = cheapest_plan(p, q), wasserstein_distance(places, places, p, q)
    assert plan.min() >= 0
    assert plan.sum(axis=1) == pytest.approx(p)
    assert plan.sum(axis=0) == pytest.approx(q)
    assert (plan * abs(places[:, None] - places)).sum() == pytest.approx(expected, abs=1e-12)
    assert abs(carried(p, q)).sum() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("divergence", [kl, reverse_kl, js])
@pytest.mark.filterwarnings("error")
def test_a_gaussian_is_nearest_to_itself(divergence):
    fit = fit_gaussian(GRID, norm.pdf(GRID, 1.5, 0.8), divergence)
    assert fit == pytest.approx((1.5, 0.8, 0), abs=1e-6)


@pytest.mark.parametrize("distance", [1.0, 8.0])
def test_kl_matches_the_moments(distance):
    fit = fit_gaussian(GRID, two_modes(GRID, distance), kl)
    assert fit.mean == pytest.approx((0.35 - 0.65) * distance / 2, abs=1e-5)
    assert fit.std == pytest.approx(math.sqrt(1 + 0.65 * 0.35 * distance**2), abs=1e-5)


def test_reverse_kl_takes_the_heavier_mode():
    """All of q sees p as .65 q, or as .35 q where the modes are mirrored."""
    expected = (-4.0, 1.0, -math.log(0.65))
    assert fit_gaussian(GRID, two_modes(GRID, 8.0), reverse_kl) == pytest.approx(expected, abs=2e-2)
    mirrored = fit_gaussian(GRID, two_modes(GRID, -8.0), reverse_kl)
    assert mirrored[:2] == pytest.approx((4.0, 1.0), abs=2e-2)


def test_wide_starts_alone_miss_the_heavier_of_narrow_modes():
    modes = {0.43: (-1.7, 0.65), 0.03: (0.21, 1.54), 0.54: (2.87, 0.55)}
    x = np.linspace(-16, 16, 401)
    fit = fit_gaussian(x, sum(weight * norm.pdf(x, *mode) for weight, mode in modes.items()), reverse_kl)
    assert fit[:2] == pytest.approx(modes[0.54], abs=0.05)
    assert fit.value < -math.log(0.54)  # what the mode itself has at most


def test_js_covers_near_modes_and_takes_one_of_far_ones():
    near, far = (fit_gaussian(GRID, two_modes(GRID, distance), js) for distance in (5.5, 8.0))
    assert near.std > 2.5
    assert far[:2] == pytest.approx((-4.0, 1.0), abs=1e-2)


@pytest.mark.parametrize("divergence", [kl, reverse_kl, js])
def test_no_gaussian_of_a_raster_is_nearer(divergence):
    target = two_modes(GRID, 5.5)
    fit, p = fit_gaussian(GRID, target, divergence), target / target.sum()

    def value(mean, std):
        q = norm.pdf(GRID, mean, std)
        return divergence(p, q / q.sum())

    raster = [value(mean, std) for mean in np.arange(-5, 5.1, 0.25) for std in np.arange(0.75, 4, 0.25)]
    assert fit.value <= min(raster)
    assert fit.value == pytest.approx(value(fit.mean, fit.std), rel=1e-9)
    assert fit.value == pytest.approx(min(raster), abs=0.03)


def test_tails_beyond_the_smallest_float():
    x = np.linspace(-60, 60, 1201)
    target = np.exp(-np.abs(x))  # 1e-26 where a Gaussian of its width is 1e-391
    fit = fit_gaussian(x, target, kl)
    assert fit[:2] == pytest.approx((0, math.sqrt(target @ x**2 / target.sum())), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "cost", "in_d", "in_logit"),
    [
        ("saturating", lambda d: np.log1p(-d), lambda d: -1 / (1 - d), lambda d: -d),
        ("non_saturating", lambda d: -np.log(d), lambda d: -1 / d, lambda d: d - 1),
        ("maximum_likelihood", lambda d: -d / (1 - d), lambda d: -1 / (1 - d) ** 2, lambda d: -d / (1 - d)),
    ],
)
def test_costs_and_their_slopes(name, cost, in_d, in_logit):
    """Goodfellow 2016, sections 3.2.2 to 3.2.4."""
    d = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999])
    played = played_cost(COSTS[name][0](), d)
    assert played.cost == pytest.approx(cost(d), rel=1e-9)
    assert played.slope_d == pytest.approx(in_d(d), rel=1e-9)
    assert played.slope_logit == pytest.approx(in_logit(d), rel=1e-9)
