import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gcn.metrics import indicators
from gcn.metrics.indicators import Curve, curve

finite = st.integers(-(10**6), 10**6).map(lambda value: value / 1000)


def series(values):
    return Curve(10.0 * np.arange(len(values)), np.array(values, dtype=float))


def test_a_curve_holds_what_was_measured():
    rows = [
        {"step": 1, "a": 3, "b": 4},
        {"step": 2, "a": math.nan, "b": 1.0},
        {"step": 3, "b": None},
        {"step": 4, "a": 5.0},
    ]
    assert curve(rows, "a").steps.tolist() == [1, 4]
    assert curve(rows, "a", "b").values.tolist() == [5.0]
    assert len(curve(rows, "c").steps) == 0
    assert curve(rows, "c").end() is None


def test_last_to_best():
    assert indicators.last_to_best(series([4, 1, 2])) == 2
    assert indicators.last_to_best(series([4, 2, 1])) == 1
    assert indicators.last_to_best(series([])) is None


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([4, 1, 1, 3, 3, 3], 30),
        ([4, 1, 3, 3, 1, 3, 3], None),  # too short
        ([4, 1, 3, 3, 3, 1], None),  # recovered
        ([4, 1, 2, 2, 2, 2], None),  # worse, not twice as bad
        ([1, 3, 3, 3], 10),
        ([], None),
    ],
)
def test_step_of_collapse(values, step):
    assert indicators.collapse_step(series(values), factor=2.0, evaluations=3) == step


def test_deviation_of_the_second_half_ignores_progress():
    assert indicators.second_half_std(series(range(100))) == pytest.approx(0, abs=1e-9)
    swinging = [5.0] * 50 + [(-1.0) ** k for k in range(50)]
    assert indicators.second_half_std(series(swinging)) == pytest.approx(1, rel=1e-2)


def test_growth_rate_is_the_exponent():
    slope, straight = indicators.growth_rate(series(np.exp(0.02 * 10 * np.arange(60))))
    assert slope == pytest.approx(0.02)
    assert straight == pytest.approx(1)


@pytest.mark.parametrize("rate", [-0.002, 0.0, 0.002])
def test_period_and_decrement_of_a_damped_sine(rate):
    steps = 10.0 * np.arange(400)
    values = 3 + np.exp(rate * steps) * np.sin(2 * np.pi * steps / 250)
    length, decrement = indicators.period(Curve(steps, values))
    assert length == pytest.approx(250, rel=0.05)
    assert decrement == pytest.approx(-rate * 250, abs=0.05)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 1.0])
def test_noise_has_no_period(memory):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        values = [0.0]
        for shock in rng.normal(size=100):
            values.append(memory * values[-1] + shock)
        found += indicators.period(series(values)) is not None
    assert found <= 2


@pytest.mark.parametrize("growth", [0.9, 1.0, 1.2])
def test_turns_of_a_swing_that_slows_down(growth):
    time = np.linspace(0, 1, 1000)
    phase = 2 * np.pi * 12 * (1 - np.exp(-2 * time)) / (1 - math.exp(-2))  # 12 turns, ever slower
    turns = indicators.turns(Curve(time, growth ** (phase / 2 / np.pi) * np.sin(phase)))
    assert len(turns.ranges) >= 10
    decrement, error = turns.decrement()
    assert decrement == pytest.approx(-math.log(growth), abs=0.02)
    assert error < 0.02


def test_noise_about_zero_makes_no_turns():
    assert len(indicators.turns(series(np.random.default_rng(0).normal(size=500))).ranges) == 0


@given(arrays(float, st.integers(0, 60), elements=finite))
def test_indicators_take_any_curve(values):
    metric = series(values)
    for indicator in (
        indicators.last_to_best,
        indicators.second_half_std,
        indicators.growth_rate,
        indicators.period,
    ):
        result = indicator(metric)
        assert result is None or np.isfinite(result).all()
    swings = indicators.turns(metric)
    assert (swings.ranges > 0).all()
    indicators.collapse_step(metric, 2.0, 3)


@given(st.floats(0.1, 10), st.integers(0, 2**32 - 1))
def test_period_and_turns_do_not_depend_on_the_unit(scale, seed):
    rng = np.random.default_rng(seed)
    values = np.sin(np.arange(80)) + 0.1 * rng.normal(size=80)
    a, b = indicators.period(series(values)), indicators.period(series(scale * values))
    assert (a is None) == (b is None)
    assert a is None or b == pytest.approx(a)
    assert len(indicators.turns(series(values)).ranges) == len(
        indicators.turns(series(scale * values)).ranges
    )
