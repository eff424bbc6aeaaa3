"""Effects of methods in a table of runs: paired differences by seed, and what they say of runs without a value."""

import math

import pytest
from scipy.stats import t

from gcn.study.methods import methods_page
from gcn.study.methods.effects import effects


def row(method, seed, octaves, mse="0", verdict="fails"):
    return {
        "method": method, "seed": seed, "mse": mse, "measured": "margin", "octaves": octaves, "exponent": math.nan,
        "verdict": verdict, "verdict_reason": "no look held",
    }  # fmt: skip


def exponent(method, seed, value, mse="0"):
    return row(method, seed, math.nan, mse) | {"measured": "exponent", "exponent": value}


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


def test_what_the_distortion_adds_is_paired_by_seed_and_a_bound_where_a_training_held_to_the_end():
    rows = [row("r1", seed, octaves) for seed, octaves in enumerate((-11.0, -10.0))]
    rows += [row("r1", 1, -8.5, mse="1", verdict="holds"), row("r1", 2, -3.0, mse="1")]
    found = effects(rows, "margin")
    assert found["r1", "1"].gain_over(found["r1", "0"]) == (1.5, math.inf)
    assert methods_page._gain(found["r1", "0"], found["r1", "1"]) == "≥ +1.50"
    assert methods_page._gain(found["r1", "0"], None) == ""
    assert methods_page._gain(found["r1", "1"], found["r1", "1"]) == ""  # both held: nothing is known


def test_an_exponent_has_its_mean_its_interval_and_its_seeds_or_says_why_there_is_none():
    rows = [exponent("r1", seed, value) for seed, value in enumerate((0.1, 0.3))]
    failed = {**row("gp", 0, math.nan, verdict="failed"), "measured": "exponent"}
    diverged = "InputError: the training diverges at update 9; it has no exponent from there on"
    found = effects([*rows, {**failed, "verdict_reason": diverged}], "exponent")
    half = t.ppf(0.975, 1) * 0.1
    assert methods_page._exponent(found["r1", "0"], {})[:2] == (f"0.200 ± {half:.3f}", "2")
    assert methods_page._exponent(found["gp", "0"], {}) == ("the training diverges at update 9", "0", "")
    lost = effects([{**failed, "verdict_reason": ""}], "exponent")["gp", "0"]
    assert methods_page._exponent(lost, {}) == ("not finite", "0", "")


def test_the_sentence_counts_methods_that_gain_or_lose_in_each_seed():
    content = {"factors": {"mse": {"0": "", "1": ""}}}
    rows = [
        row("r1", 0, -11.0),
        row("r1", 1, -11.0),
        row("gp", 0, -8.0),
        row("wgan", 0, -9.0),
        row("ml", 0, -9.0),
    ]
    assert methods_page.agreement(rows, content, "margin") == ""
    beside = {("r1", 0): -8.0, ("r1", 1): -10.0, ("gp", 0): -9.0, ("wgan", 0): -9.0}
    rows += [row(method, seed, octaves, mse="1") for (method, seed), octaves in beside.items()]
    said = methods_page.agreement(rows, content, "margin")
    assert "Of 3 methods 1 held to a higher rate" in said
    assert "1 to a lower one. The median gain is 0.0 octaves" in said


def test_the_sentence_on_exponents_counts_methods_whose_exponent_falls_or_rises_in_each_seed():
    content = {"factors": {"mse": {"0": "", "1": ""}}}
    alone = {("r1", 0): 0.2, ("r1", 1): 0.3, ("gp", 0): 0.1, ("gp", 1): 0.1, ("wgan", 0): 0.1}
    beside = {("r1", 0): 0.1, ("r1", 1): 0.2, ("gp", 0): 0.08, ("gp", 1): 0.14, ("wgan", 0): 0.14}
    rows = [exponent(*of, value) for of, value in alone.items()]
    assert methods_page.agreement(rows, content, "exponent") == ""
    rows += [exponent(*of, value, mse="1") for of, value in beside.items()]
    said = methods_page.agreement(rows, content, "exponent")
    assert "Of 3 methods 1 have a smaller Λ" in said
    assert "1 a larger one. The median change is +0.010 per update" in said
