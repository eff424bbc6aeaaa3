"""Contrasts: what is paired, what an interval is, and what a correction does."""

import math

import numpy as np
import pytest
from scipy import stats

from gcn.study.reports.statistics import contrast, differences, effect, holm, interaction, settings

RNG = np.random.default_rng(0)


def rows(function, seeds=5):
    """A row for each combination of two factors and a seed."""
    return [
        {"mse": m, "trick": t, "heat": h, "seed": s, "psnr_loss": (y := function(m, t, h, s)), "jitter": math.exp(y)}
        for m in ("0", "1")
        for t in ("none", "r1")
        for h in ("cold", "hot")
        for s in range(seeds)
    ]  # fmt: skip


OVER = settings(trick=["none", "r1"], heat=["cold", "hot"])


def test_seeds_cancel():
    """Differences between seeds, however large, do not enter a paired contrast."""
    table = rows(lambda m, t, h, s: 100 * s - 2.0 * (m == "1"))
    found = differences(table, "psnr_loss", {"mse": "0"}, {"mse": "1"}, OVER)
    assert found == pytest.approx(dict.fromkeys(range(5), -2.0))


def test_ratios_are_logarithms():
    table = rows(lambda m, t, h, s: s + math.log(3) * (m == "1"))
    found = effect("", "jitter", differences(table, "jitter", {"mse": "0"}, {"mse": "1"}, OVER))
    assert math.exp(found.effect) == pytest.approx(3)
    assert found.text.startswith("×3.00")


def test_only_seeds_that_both_sides_have_are_paired():
    table = [r for r in rows(lambda m, t, h, s: float(m)) if not (r["mse"] == "1" and r["seed"] > 2)]
    assert set(differences(table, "psnr_loss", {"mse": "0"}, {"mse": "1"}, OVER)) == {0, 1, 2}


def test_what_was_not_measured_is_left_out():
    table = rows(lambda m, t, h, s: math.nan if (m, s) == ("1", 4) else float(m))
    assert set(differences(table, "psnr_loss", {"mse": "0"}, {"mse": "1"}, OVER)) == {0, 1, 2, 3}


def test_an_interaction_is_a_difference_of_effects():
    """r1 helps by 3 without the distortion and by 1 with it."""
    table = rows(lambda m, t, h, s: s - (t == "r1") * (1.0 if m == "1" else 3.0))
    trick, given = ({"trick": "none"}, {"trick": "r1"}), ({"mse": "0"}, {"mse": "1"})
    found = interaction(table, "psnr_loss", trick, given, settings(heat=["cold", "hot"]))
    assert found == pytest.approx(dict.fromkeys(range(5), 2.0))


def test_the_interval_is_student_s():
    values = RNG.normal(1, 2, 5)
    found = effect("", "psnr_loss", dict(enumerate(values)))
    expected = stats.ttest_1samp(values, 0)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((low, high, expected.pvalue))
    assert found.size == pytest.approx(values.mean() / values.std(ddof=1))


def test_one_seed_has_no_interval_and_none_no_effect():
    assert math.isnan(effect("", "psnr_loss", {3: 1.0}).low)
    assert effect("", "psnr_loss", {3: 1.0}).text == "+1.00 [one seed]"
    assert effect("", "psnr_loss", {}).text == "no pairs"


def test_holm():
    values = [effect("", "psnr_loss", dict(enumerate(RNG.normal(shift, 1, 6)))) for shift in (3, 0, 1)]
    corrected = holm(values)
    order = np.argsort([e.p for e in values])
    expected = np.maximum.accumulate([values[i].p * (3 - rank) for rank, i in enumerate(order)]).clip(max=1)
    assert [corrected[i].corrected for i in order] == pytest.approx(expected)


def test_few_seeds_are_never_significant():
    clear = {seed: 5.0 + 0.01 * seed for seed in range(4)}
    (four,) = holm([effect("", "psnr_loss", clear)])
    (five,) = holm([effect("", "psnr_loss", clear | {4: 5.0})])
    assert not four.significant
    assert five.significant


def test_a_ratio_beyond_a_factor_of_100_is_not_printed_as_a_number():
    huge = effect("", "logit_gap", dict(enumerate(RNG.normal(8, 0.1, 5))))
    vague = effect("", "logit_gap", dict(enumerate((-5.0, 5.0, 0.0, -4.0, 6.0))))
    assert {huge.text, vague.text} == {"beyond measurement"}
    assert effect("", "logit_gap", dict(enumerate((0.1, 0.2, 0.1)))).measured
    assert effect("", "psnr_loss", {0: 1e4, 1: 1.1e4}).measured  # a difference in dB is no ratio


def test_a_share_leaves_out_runs_without_a_verdict():
    table = [{"mse": m, "seed": s, "unstable": 1.0 if m == "0" else 0.0} for m in "01" for s in range(5)]
    table[0]["unstable"] = None
    found = contrast("", "unstable", table, {"mse": "0"}, {"mse": "1"}, [{}])
    assert found.seeds == 4
    assert found.effect == -1
