"""Effects of methods in a table of runs: paired differences by seed, and what they say of runs without a value."""

import math

import pytest
from scipy.stats import t

from gcn.study.methods.effects import effects


def row(method, seed, octaves, mse="0", verdict="fails"):
    return {
        "method": method, "seed": seed, "mse": mse, "measured": "margin", "octaves": octaves, "exponent": math.nan,
        "verdict": verdict, "verdict_reason": "no look held",
    }  # fmt: skip


def test_differences_are_paired_by_seed_and_have_student_s_interval():
    rows = [row("plain", seed, octaves) for seed, octaves in enumerate((-11.0, -10.0, -9.0))]
    rows += [row("r1", seed, octaves) for seed, octaves in enumerate((-10.5, -9.0, -7.5))]
    found = effects(rows, "margin")
    assert found["r1", "0"].differences == [0.5, 1.0, 1.5]
    mean, half = found["r1", "0"].difference
    assert mean == 1.0
    assert half == pytest.approx(t.ppf(0.975, 2) * 0.5 / math.sqrt(3))
    assert found["r1", "0"].mean == -9.0
    assert found["plain", "0"].differences == []


def test_other_weights_of_the_distortion_and_other_seeds_are_not_compared():
    rows = [row("plain", 0, -10.0), row("plain", 1, -10.0, mse="1"), row("r1", 1, -9.0)]
    assert effects(rows, "margin")["r1", "0"].differences == []


def test_a_run_without_a_margin_is_counted_and_does_not_enter_the_mean():
    rows = [row("r1", 0, math.nan), row("r1", 1, -8.0, verdict="holds")]
    found = effects(rows, "margin")["r1", "0"]
    assert (found.mean, found.missing, found.above) == (-8.0, ["no look held"], 1)
