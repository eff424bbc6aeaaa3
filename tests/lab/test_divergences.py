"""The divergences: numbers by hand, the examples of the lecture, laws, and SciPy as a second opinion."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, jensenshannon
from scipy.stats import wasserstein_distance

from gcn.errors import InputError
from gcn.lab.divergences import (
    Gaussian,
    fit_gaussian,
    generator_costs,
    js,
    kl,
    optimal_discriminator,
    parallel_segments,
    reverse_kl,
    total_variation,
    transport,
    wasserstein_line,
)

LOG2 = math.log(2)
EARTH_P, EARTH_Q = (3, 2, 1, 4), (1, 2, 4, 3)
PLACES = np.arange(4.0)
ROUNDING = 1e-12


def weights(size, least=0):
    """Probabilities in lowest terms: zeros, ties and lumps are frequent."""
    lists = st.lists(st.integers(least, 9), min_size=size, max_size=size)
    return lists.filter(any).map(lambda values: np.array(values) / sum(values))


def distributions(number, least=0):
    return st.integers(1, 6).flatmap(lambda size: st.tuples(*[weights(size, least)] * number))


@st.composite
def clouds(draw, number):
    """Distributions on the same points of a plane, and the distances between these."""
    several = draw(distributions(number))
    place = st.tuples(st.integers(-9, 9), st.integers(-9, 9))
    points = np.array(draw(st.lists(place, min_size=len(several[0]), max_size=len(several[0]))), dtype=float)
    return several, cdist(points, points)


@st.composite
def lines(draw):
    """Two distributions on the same ascending positions."""
    p, q = draw(distributions(2))
    gaps = draw(st.lists(st.integers(0, 20), min_size=len(p), max_size=len(p)))
    return p, q, np.cumsum(gaps) / 7


# Numbers by hand


def test_kl_by_hand():
    p, q = (0.5, 0.5), (0.25, 0.75)
    assert kl(p, q) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert kl(q, p) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    assert reverse_kl(p, q) == kl(q, p) != kl(p, q)


def test_mass_where_the_other_has_none():
    p, q = (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)
    assert kl(p, q) == math.inf
    assert kl(q, p) == pytest.approx(LOG2)  # 0 log 0 = 0, also where both are 0
    assert js(p, q) == pytest.approx(0.5 * (0.5 * math.log(2 / 3) + 0.5 * LOG2) + 0.5 * math.log(4 / 3))
    assert total_variation(p, q) == 0.5


def test_disjoint_support_is_the_maximum():
    p, q = (0.3, 0.7, 0.0), (0.0, 0.0, 1.0)
    assert kl(p, q) == reverse_kl(p, q) == math.inf
    assert js(p, q) == pytest.approx(LOG2, rel=ROUNDING)
    assert total_variation(p, q) == 1


def test_the_smallest_float_is_mass():
    assert js((5e-324, 1.0), (0.0, 1.0)) == pytest.approx(0, abs=ROUNDING)
    assert kl((5e-324, 1.0), (0.0, 1.0)) == math.inf


def test_probabilities_in_single_precision_pass():
    p, q = np.full(7, 1 / 7, dtype=np.float32), np.array([0.1] * 6 + [0.4], dtype=np.float32)
    assert js(p, p) == 0
    assert kl(p, q) == pytest.approx(6 / 7 * math.log(10 / 7) + 1 / 7 * math.log(1 / 2.8), rel=1e-6)


# The lecture's examples


def test_four_piles_of_earth():
    line = wasserstein_line(EARTH_P, EARTH_Q)
    assert line.deltas.tolist() == [0, 2, 2, -1, 0]
    assert line.value == 5
    moved = transport(EARTH_P, EARTH_Q, np.abs(PLACES[:, None] - PLACES))
    assert moved.value == pytest.approx(5, rel=ROUNDING)
    assert moved.plan.sum(axis=1) == pytest.approx(EARTH_P)
    assert moved.plan.sum(axis=0) == pytest.approx(EARTH_Q)


def test_the_way_back_carries_the_other_way():
    back = wasserstein_line(EARTH_Q, EARTH_P)
    assert back.deltas.tolist() == [0, -2, -2, 1, 0]
    assert back.value == 5


def test_gaps_count():
    assert wasserstein_line(EARTH_P, EARTH_Q, (0, 1, 1, 11)).value == 2 * 1 + 2 * 0 + 1 * 10


@pytest.mark.parametrize("theta", [-1.0, -0.3, 1e-3, 0.5, 2.0])
def test_parallel_segments(theta):
    pair = parallel_segments(theta)
    assert kl(pair.p, pair.q) == reverse_kl(pair.p, pair.q) == math.inf
    assert js(pair.p, pair.q) == pytest.approx(LOG2, rel=ROUNDING)
    assert total_variation(pair.p, pair.q) == pytest.approx(1, rel=ROUNDING)
    assert transport(*pair).value == pytest.approx(abs(theta), rel=1e-9)


def test_parallel_segments_that_coincide():
    pair = parallel_segments(0.0)
    assert (pair.p > 0).all()
    assert kl(pair.p, pair.q) == js(pair.p, pair.q) == total_variation(pair.p, pair.q) == 0
    assert transport(*pair).value == 0


@pytest.mark.parametrize("points", [1, 5])
def test_segments_do_not_depend_on_how_finely_they_are_cut(points):
    pair = parallel_segments(0.4, points)
    assert len(pair.p) == 2 * points
    assert pair.p.sum() == pytest.approx(1)
    assert pair.q.sum() == pytest.approx(1)
    assert transport(*pair).value == pytest.approx(0.4)


@pytest.mark.parametrize(("theta", "points"), [(math.nan, 4), (math.inf, 4), (0.5, 0)])
def test_impossible_segments(theta, points):
    with pytest.raises(InputError, match="theta="):
        parallel_segments(theta, points)


# Laws


@given(distributions(2, least=1))
def test_pinsker(pair):
    p, q = pair
    assert 2 * total_variation(p, q) ** 2 <= kl(p, q) + ROUNDING


@given(distributions(2))
def test_kl_is_zero_only_at_home(pair):
    p, q = pair
    assert kl(p, p) == 0
    assert (kl(p, q) > ROUNDING) == (not np.allclose(p, q))


@given(distributions(3))
def test_js_and_total_variation_are_distances(several):
    p, q, r = several
    for distance in (total_variation, lambda a, b: math.sqrt(max(0.0, js(a, b)))):
        assert distance(p, p) == 0
        assert distance(p, q) == pytest.approx(distance(q, p), rel=1e-9, abs=1e-9)
        assert distance(p, r) <= distance(p, q) + distance(q, r) + 1e-7
    assert -ROUNDING <= js(p, q) <= LOG2 + ROUNDING
    assert 0 <= total_variation(p, q) <= 1 + ROUNDING


@given(distributions(2))
def test_js_agrees_with_scipy(pair):
    assert js(*pair) == pytest.approx(jensenshannon(*pair) ** 2, abs=ROUNDING)


@given(distributions(2), st.integers(0, 2**6 - 1))
def test_total_variation_is_the_largest_difference_on_an_event(pair, chosen):
    p, q = pair
    events = [np.array([(bits >> i) & 1 for i in range(len(p))]) for bits in range(2 ** len(p))]
    assert total_variation(p, q) == pytest.approx(max((p - q) @ event for event in events), abs=ROUNDING)
    assert (p - q) @ events[chosen % len(events)] <= total_variation(p, q) + ROUNDING


@given(lines(), st.sampled_from([1.0, 10.0, 0.3]))
def test_the_recursion_agrees_with_the_linear_program_and_with_scipy(line, total):
    p, q, x = line
    value = wasserstein_line(total * p, total * q, x).value
    program = transport(total * p, total * q, np.abs(x[:, None] - x)).value
    assert value == pytest.approx(program, rel=1e-9, abs=1e-9)
    assert value == pytest.approx(total * wasserstein_distance(x, x, p, q), rel=1e-9, abs=1e-9)


@given(clouds(2))
def test_a_plan_has_the_right_margins(cloud):
    (p, q), cost = cloud
    value, plan = transport(p, q, cost)
    assert (plan >= 0).all()
    assert plan.sum(axis=1) == pytest.approx(p, abs=1e-9)
    assert plan.sum(axis=0) == pytest.approx(q, abs=1e-9)
    assert value == pytest.approx((plan * cost).sum(), abs=1e-9)
    assert np.count_nonzero(plan > 1e-9) <= 2 * len(p) - 1


@given(clouds(3))
def test_wasserstein_is_a_distance(cloud):
    (p, q, r), cost = cloud
    assert transport(p, p, cost).value == pytest.approx(0, abs=1e-9)
    assert transport(p, q, cost).value == pytest.approx(transport(q, p, cost).value, abs=1e-9)
    direct, detour = transport(p, r, cost).value, transport(p, q, cost).value + transport(q, r, cost).value
    assert direct <= detour + 1e-9


@given(st.lists(st.integers(-9, 9), min_size=9, max_size=9))
def test_equal_masses_are_an_assignment(entries):
    cost = np.array(entries, dtype=float).reshape(3, 3)
    best = min(
        sum(cost[row, column] for row, column in enumerate(order))
        for order in itertools.permutations(range(3))
    )
    assert transport([1, 1, 1], [1, 1, 1], cost).value == pytest.approx(best, abs=1e-9)


def test_from_two_heaps_to_three():
    value, plan = transport((2, 1), (1, 1, 1), [[0, 1, 5], [5, 5, 1]])
    assert value == pytest.approx(2)
    assert plan == pytest.approx(np.array([[1, 1, 0], [0, 0, 1]]))


@pytest.mark.parametrize("mass", [1e-12, 1e12])
@pytest.mark.parametrize("length", [1e-12, 1e12])
def test_units_do_not_matter(mass, length):
    cost = length * np.abs(PLACES[:, None] - PLACES)
    value, plan = transport(mass * np.array(EARTH_P), mass * np.array(EARTH_Q), cost)
    assert value == pytest.approx(5 * mass * length)
    assert plan.sum(axis=1) == pytest.approx(mass * np.array(EARTH_P))


# The players' side


def test_the_best_discriminator_by_hand():
    best = optimal_discriminator([0.5, 1.0, 3.0, 0.0], [0.5, 3.0, 0.0, 2.0])
    assert best.probability.tolist() == [0.5, 0.25, 1, 0]
    assert best.logit[:2] == pytest.approx([0, -math.log(3)])
    assert best.logit[2:].tolist() == [math.inf, -math.inf]


def test_where_nothing_is_every_discriminator_is_best():
    best = optimal_discriminator([0.0, 1.0], [0.0, 1.0])
    assert np.isnan(best.probability).tolist() == np.isnan(best.logit).tolist() == [True, False]


@given(distributions(2, least=1), st.floats(0.01, 0.99))
def test_the_best_discriminator_turns_the_game_into_js(pair, other):
    """max_D E_p log D + E_q log(1 − D) = 2 JS − log 4 (Goodfellow et al. 2014, theorem 1)."""
    p, q = pair
    best, logit = optimal_discriminator(p, q)
    assert (p * np.log(best) + q * np.log1p(-best)).sum() == pytest.approx(2 * js(p, q) - 2 * LOG2)
    assert (p * math.log(other) + q * math.log1p(-other)).sum() <= 2 * js(p, q) - 2 * LOG2 + ROUNDING
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(best)


def test_generator_costs_by_hand():
    costs = generator_costs([0.5, 0.2])
    assert costs.saturating == pytest.approx([-LOG2, math.log(0.8)])
    assert costs.non_saturating == pytest.approx([LOG2, math.log(5)])
    assert costs.maximum_likelihood == pytest.approx([-1, -0.25])


@pytest.mark.parametrize("d", [0.0, 1.0, -0.1, [0.5, 2.0], math.nan])
def test_costs_of_what_is_no_probability(d):
    with pytest.raises(InputError, match=r"^d: "):
        generator_costs(d)


# One Gaussian for two

GRID = np.linspace(-24, 24, 481)


def two_modes(distance, heavy=0.65):
    left, right = Gaussian(-distance / 2, 1.0), Gaussian(distance / 2, 1.0)
    return heavy * left.density(GRID) + (1 - heavy) * right.density(GRID)


def test_density():
    assert Gaussian(1.0, 2.0).density(np.array([1.0, 3.0])) == pytest.approx(
        np.array([1, math.exp(-0.5)]) / math.sqrt(8 * math.pi)
    )


@pytest.mark.parametrize("divergence", [kl, reverse_kl, js])
def test_a_gaussian_is_nearest_to_itself(divergence):
    fit = fit_gaussian(GRID, Gaussian(1.5, 0.8).density(GRID), divergence)
    assert fit.gaussian == pytest.approx((1.5, 0.8), abs=1e-6)
    assert fit.value == pytest.approx(0, abs=ROUNDING)


@pytest.mark.parametrize("distance", [1.0, 4.0, 8.0])
def test_kl_matches_the_moments(distance):
    fit = fit_gaussian(GRID, two_modes(distance), kl)
    assert fit.gaussian.mean == pytest.approx((0.35 - 0.65) * distance / 2, abs=1e-5)
    assert fit.gaussian.std == pytest.approx(math.sqrt(1 + 0.65 * 0.35 * distance**2), abs=1e-5)


@pytest.mark.parametrize(("heavy", "mode"), [(0.65, -4.0), (0.35, 4.0)])
def test_reverse_kl_takes_the_heavier_mode(heavy, mode):
    fit = fit_gaussian(GRID, two_modes(8.0, heavy), reverse_kl)
    assert fit.gaussian == pytest.approx((mode, 1.0), abs=2e-2)
    assert fit.value == pytest.approx(-math.log(0.65), abs=1e-3)  # all of q sees p as 0.65 q


def test_wide_starts_alone_miss_the_heavier_of_narrow_modes():
    modes = {0.43: Gaussian(-1.7, 0.65), 0.03: Gaussian(0.21, 1.54), 0.54: Gaussian(2.87, 0.55)}
    x = np.linspace(-16, 16, 401)
    fit = fit_gaussian(x, sum(weight * mode.density(x) for weight, mode in modes.items()), reverse_kl)
    assert fit.gaussian == pytest.approx(modes[0.54], abs=0.05)
    assert fit.value < -math.log(0.54)  # what the mode itself has at most


def test_js_covers_near_modes_and_takes_one_of_far_ones():
    near, far = (fit_gaussian(GRID, two_modes(distance), js).gaussian for distance in (5.5, 8.0))
    assert near.std > 2.5
    assert far == pytest.approx((-4.0, 1.0), abs=1e-2)


@pytest.mark.parametrize("divergence", [kl, reverse_kl, js])
@pytest.mark.parametrize("distance", [3.0, 5.5])
def test_no_gaussian_of_a_raster_is_nearer(divergence, distance):
    target = two_modes(distance)
    fit, p = fit_gaussian(GRID, target, divergence), target / target.sum()

    def value(mean, std):
        q = Gaussian(mean, std).density(GRID)
        return divergence(p, q / q.sum())

    raster = [value(mean, std) for mean in np.arange(-5, 5.1, 0.25) for std in np.arange(0.75, 4, 0.25)]
    assert fit.value <= min(raster)
    assert fit.value == pytest.approx(value(*fit.gaussian), rel=1e-9)
    assert fit.value == pytest.approx(min(raster), abs=0.03)


def test_the_fit_moves_and_scales_with_its_target():
    target = two_modes(5.5)
    fit, other = fit_gaussian(GRID, target, js), fit_gaussian(1e3 + 1e-3 * GRID, 7 * target, js)
    assert other.gaussian.mean == pytest.approx(1e3 + 1e-3 * fit.gaussian.mean, abs=1e-8)
    assert other.gaussian.std == pytest.approx(1e-3 * fit.gaussian.std, rel=1e-5)
    assert other.value == pytest.approx(fit.value)


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        ([0, 1], [1, 1], "^x: "),
        ([0, 1, 3], [1, 1, 1], "^x: "),
        ([2, 1, 0], [1, 1, 1], "^x: "),
        ([0, 1, 2], [1, 1], "^x, target: "),
        ([0, 1, 2], [1, -1, 1], "^target: negative"),
        ([0, 1, 2], [0, 1, 0], "^target: deviation"),
    ],
)
def test_no_grid_and_no_target(x, target, message):
    with pytest.raises(InputError, match=message):
        fit_gaussian(x, target, kl)


def test_tails_beyond_the_smallest_float():
    x = np.linspace(-60, 60, 1201)
    target = np.exp(-np.abs(x))  # 1e-26 where a Gaussian of its width is 1e-391
    p = target / target.sum()
    assert fit_gaussian(x, target, kl).gaussian == pytest.approx((0, math.sqrt(p @ x**2)), abs=1e-6)


def test_reverse_kl_of_a_target_with_holes():
    box = np.where(np.abs(GRID) < 3, 1.0, 0.0)
    with pytest.raises(InputError, match="infinitely far"):
        fit_gaussian(GRID, box, reverse_kl)
    assert fit_gaussian(GRID, box, kl).gaussian == pytest.approx(
        (0, 0.1 * math.sqrt((59**2 - 1) / 12)), abs=1e-6
    )


# Bad input

PROBABILITIES = {"kl": kl, "reverse_kl": reverse_kl, "js": js, "total_variation": total_variation}
MASSES = {"line": wasserstein_line, "transport": lambda p, q: transport(p, q, np.ones((2, 2)))}


@pytest.mark.parametrize(
    "function", [*PROBABILITIES.values(), *MASSES.values()], ids=[*PROBABILITIES, *MASSES]
)
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([-0.5, 1.5], [0.5, 0.5], "negative"),
        ([0.5, math.nan], [0.5, 0.5], "finite"),
        ([0.5, 0.5], [0.5, math.inf], "finite"),
        ([0.5, 0.5], [0.5, 0.4], "mass|sums to"),
        ([0.0, 0.0], [0.0, 0.0], "mass"),
        ([[0.5, 0.5]], [0.5, 0.5], "shape"),
        ([], [], "empty"),
        (["a", "b"], [0.5, 0.5], "numbers"),
        ([[0.5], [0.2, 0.3]], [0.5, 0.5], "numbers"),
        ([0.5, 0.5], [0.5, 0.25, 0.25], "lengths|cost: shape"),
    ],
)
def test_bad_masses(function, p, q, message):
    with pytest.raises(InputError, match=message) as caught:
        function(p, q)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", PROBABILITIES.values(), ids=PROBABILITIES)
def test_masses_are_no_probabilities(function):
    with pytest.raises(InputError, match="sums to 10, not to 1"):
        function(EARTH_P, EARTH_Q)


@pytest.mark.parametrize(
    ("positions", "message"),
    [([0, 2, 1, 3], "ascending"), ([0, 1], "one for each"), ([0, 1, 2, math.nan], "finite")],
)
def test_bad_positions(positions, message):
    with pytest.raises(InputError, match=message):
        wasserstein_line(EARTH_P, EARTH_Q, positions)


@pytest.mark.parametrize(
    ("cost", "message"),
    [(np.ones((2, 3)), "shape"), (np.ones(4), "shape"), ([[0, math.inf], [1, 0]], "finite")],
)
def test_bad_cost(cost, message):
    with pytest.raises(InputError, match=f"^cost: .*{message}"):
        transport((1, 1), (1, 1), cost)


@pytest.mark.parametrize(("p", "q"), [([1.0], [1.0, 2.0]), ([-1.0], [1.0]), ([math.inf], [1.0])])
def test_bad_densities(p, q):
    with pytest.raises(InputError):
        optimal_discriminator(p, q)


def test_nothing_of_the_training_code_is_needed():
    code = (
        "import sys, gcn.lab.divergences\n"
        "print(sorted({'torch', 'lightning', 'hydra', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
