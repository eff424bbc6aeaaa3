import math
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn.metrics.stability import TOO_SHORT, verdict
from gcn.metrics.watchdog import Event, Watchdog

NAMES = {"stable", "oscillating", "diverged", "collapsed", TOO_SHORT}


# The Dirac-GAN: data at 0, generator at θ, D(x) = ψx, logistic losses (slope ½ at 0)


@cache
def dirac(loss, simultaneous, mse=0.0, lr=0.1, steps=2000, start=(1.0, 1.0)):
    """Rows of a Dirac-GAN by gradient descent; the generator's loss is ``loss`` + mse·θ²."""

    def sigmoid(logit):
        return 1 / (1 + math.exp(-logit))

    theta, psi = start
    rows = []
    for step in range(steps):
        d_gradient = sigmoid(psi * theta) * theta
        new_psi = psi - lr * d_gradient
        seen = psi if simultaneous else new_psi
        pull = sigmoid(-seen * theta) if loss == "ns" else sigmoid(seen * theta)
        g_gradient = -pull * seen + 2 * mse * theta
        rows.append(
            {
                "step": step,
                "train/d/logit_fake": psi * theta,
                "train/d/logit_gap": -psi * theta,
                "train/g/grad_norm": abs(g_gradient),
                "train/d/grad_norm": abs(d_gradient),
            }
        )
        theta, psi = theta - lr * g_gradient, new_psi
    return rows


@pytest.mark.parametrize("every", [1, 5, 10])
@pytest.mark.parametrize("run", [{}, {"lr": 0.05, "steps": 4000}, {"steps": 300}, {"start": (0.1, 0.1)}])
def test_vanilla_under_simultaneous_descent_diverges_although_all_is_finite(run, every):
    judged = verdict(dirac("vanilla", simultaneous=True, **run)[::every])
    assert judged.name == "diverged", judged
    assert "wider" in judged.reason


@pytest.mark.parametrize("every", [1, 5, 10])
@pytest.mark.parametrize("run", [{}, {"lr": 0.05}, {"steps": 500}, {"steps": 10000}])
def test_non_saturating_alternating_oscillates(run, every):
    judged = verdict(dirac("ns", simultaneous=False, **run)[::every])
    assert judged.name == "oscillating", judged
    assert judged.indicators["period"] == pytest.approx(2 * math.pi / 0.5 / 2 / run.get("lr", 0.1), rel=0.1)


@pytest.mark.parametrize("every", [1, 5, 10])
@pytest.mark.parametrize("mse", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("loss", ["ns", "vanilla"])
def test_a_distortion_makes_it_stable(loss, mse, every):
    judged = verdict(dirac(loss, simultaneous=False, mse=mse)[::every])
    assert judged.name == "stable", judged
    assert judged.step == 2000 - every


def test_vanilla_alternating_is_conserved_hence_oscillates():
    assert verdict(dirac("vanilla", simultaneous=False)).name == "oscillating"


# Codecs: curves as runs record them, with their noise


def codec(seed=0, rows=120, evaluations=12, *, gap=None, field=None, swd=None, bpp=None):
    """A frozen-encoder run that works: D separates more and more, gradients drift, realism settles.

    ``gap``, ``field``, ``swd`` and ``bpp`` replace the curve of that name, each a function of time in [0, 1].
    """
    rng = np.random.default_rng(seed)
    memory = np.zeros(3)
    record = []
    for index in range(rows):
        time = index / (rows - 1)
        memory = 0.7 * memory + 0.7 * rng.normal(size=3)
        field_now = field(time) if field else 1 + time
        record.append(
            {
                "step": 20 * (index + 1),
                "train/d/logit_gap": (gap(time) if gap else 2 * (1 - math.exp(-8 * time)) + 2 * time)
                + 0.4 * memory[0],
                "train/g/grad_norm": 3 * field_now * math.exp(0.3 * memory[1]),
                "train/d/grad_norm": 0.5 * field_now * math.exp(0.3 * memory[2]),
                "train/bpp": (bpp(time) if bpp else 0.27 + 3 * math.exp(-10 * time))
                * (1 + 0.05 * rng.normal()),
            }
        )
        if (index + 1) % (rows // evaluations) == 0:
            level = swd(time) if swd else 0.05 + 0.5 * math.exp(-6 * time)
            record[-1] |= {
                "val/swd": level * (1 + 0.05 * rng.normal()),
                "val/jitter": 3 * field_now * math.exp(-2 * time),
                "val/psnr": 25.0,
            }
    return record


@pytest.mark.parametrize("rows", [48, 120, 240])
def test_a_separating_discriminator_in_a_run_that_works_is_stable(rows):
    names = Counter(verdict(codec(seed, rows)).name for seed in range(40))
    assert names["stable"] >= 39, names


def test_lost_realism_without_a_blow_up_is_a_collapse():
    judged = verdict(codec(swd=lambda t: 0.05 if t < 0.5 else 0.4))
    assert judged.name == "collapsed"
    assert judged.step == judged.indicators["collapse_step"] == 1400
    assert judged.indicators["last_to_best"] > 5


def test_lost_realism_that_came_back_is_no_collapse():
    assert verdict(codec(swd=lambda t: 0.4 if 0.3 < t < 0.6 else 0.05)).name == "stable"


def test_lost_realism_with_a_blow_up_is_a_divergence():
    judged = verdict(codec(swd=lambda t: 0.05 if t < 0.6 else 0.6, field=lambda t: 1 if t < 0.6 else 60))
    assert judged.name == "diverged"
    assert "val/swd" in judged.reason


def test_psnr_alone_decides_nothing():
    rows = [{**row, "val/psnr": 25 - 20 * row["step"] / 2400} for row in codec()]
    assert verdict(rows).name == "stable"


def test_gradients_that_grow_geometrically():
    judged = verdict(codec(field=lambda t: math.exp(8 * t)))
    assert judged.name == "diverged"
    assert judged.indicators["growth_rate"] == pytest.approx(8 / 2400, rel=0.15)


def test_swings_of_the_gap_that_grow_on_top_of_a_separation():
    judged = verdict(codec(gap=lambda t: 6 + 0.3 * math.exp(4 * t) * math.sin(2 * math.pi * 12 * t)))
    assert judged.name == "diverged"
    judged = verdict(codec(gap=lambda t: 3 + 3 * math.sin(2 * math.pi * 12 * t)))
    assert judged.name == "oscillating"
    assert judged.indicators["period"] == pytest.approx(200, rel=0.1)


def test_realism_that_comes_and_goes():
    judged = verdict(codec(evaluations=24, swd=lambda t: 0.1 + 0.06 * math.sin(2 * math.pi * 6 * t)))
    assert judged.name == "oscillating"


def test_a_ripple_on_a_large_gap_is_no_oscillation():
    assert verdict(codec(gap=lambda t: 10 + math.sin(2 * math.pi * 12 * t))).name == "stable"


def test_rates_that_run_away_or_die():
    assert verdict(codec(bpp=lambda t: 0.2 * math.exp(4 * t))).name == "diverged"
    assert verdict(codec(bpp=lambda t: 30.0)).name == "diverged"
    judged = verdict(codec(bpp=lambda t: 0.3 * math.exp(-9 * t)))
    assert judged.name == "collapsed"
    assert "rate" in judged.reason


def test_a_discriminator_that_wins_and_no_longer_pulls():
    rows = codec()
    for row in rows:
        row["train/g/grad_at_x_hat/adv"] = math.exp(-14 * max(0.0, row["step"] / 2400 - 0.3))
    judged = verdict(rows)
    assert judged.name == "collapsed"
    assert "no longer moves" in judged.reason


def test_dead_latents():
    rows = [
        {**row, "val/dead_channels": 1.0 if row["step"] > 1000 else 0.4}
        for row in codec()
        if "val/swd" in row
    ]
    judged = verdict(rows)
    assert judged.name == "collapsed"
    assert judged.step == 1200
    half_dead = [{**row, "val/dead_channels": 0.6} for row in codec()]
    assert verdict(half_dead).name == "stable"


def test_what_is_not_finite():
    rows = codec()
    rows[70]["train/d/grad_norm"] = math.inf
    assert verdict(rows)[:2] == ("diverged", 1420)
    rows = codec()
    for row in rows[100:]:
        row["train/g/grad_norm"] = math.nan
    assert verdict(rows)[:2] == ("diverged", 2020)
    gaps = codec()
    for row in gaps[50:60]:
        row["train/g/grad_norm"] = math.nan
    assert verdict(gaps).name == "stable"


def test_the_word_of_the_watchdog_is_final():
    judged = verdict(codec(), Event(777, "train/g/total is nan at step 777"))
    assert judged[:3] == ("diverged", 777, "train/g/total is nan at step 777")


def test_short_runs_say_how_little_they_show():
    assert verdict([]).name == "too short to tell"
    judged = verdict(codec()[:5])
    assert (judged.name, judged.step) == ("too short to tell", 100)
    assert "5 rows" in judged.reason
    assert "lower log_every" in judged.reason
    assert "too few" not in verdict(codec()).reason


def test_what_is_enough_for_a_verdict_is_what_its_rules_look_at():
    rows = codec()
    seen = [row for row in rows if row.get("val/swd") is not None]
    assert verdict(rows[:39]).name == "too short to tell", "a swing shows in 20 rows of the second half"
    few = [{**row, "val/swd": row.get("val/swd") if row in seen[:3] else None} for row in rows[:60]]
    assert verdict(few).name == "too short to tell", "a best validation and three that stay worse"
    enough = [{**row, "val/swd": row.get("val/swd") if row in seen[:4] else None} for row in rows[:60]]
    assert verdict(enough).name == "stable"


def test_a_short_run_can_still_fail():
    assert verdict(codec()[:3], Event(3, "train/g/total is nan at step 3")).name == "diverged"
    assert verdict([{"step": 1, "train/g/grad_norm": math.inf}]).name == "diverged"


cells = st.one_of(st.none(), st.floats(), st.integers(-5, 5))
keys = st.sampled_from(
    [
        "train/d/logit_gap",
        "train/g/grad_norm",
        "train/d/grad_norm",
        "val/swd",
        "val/jitter",
        "train/bpp",
        "other",
    ]
)


@given(st.lists(st.dictionaries(keys, cells), max_size=40))
def test_any_record_gets_a_verdict_with_a_reason(record):
    judged = verdict([{**row, "step": index} for index, row in enumerate(record)])
    assert judged.name in NAMES
    assert judged.reason
    assert "\n" not in judged.reason
    assert isinstance(judged.step, int)


# The watchdog


def test_the_watchdog_names_what_is_not_finite():
    dog = Watchdog()
    assert dog.check(1, {"train/g/total": 1.0, "train/g/grad_norm": 2.0}) is None
    event = dog.check(2, {"train/g/total": 1.0, "train/g/grad_norm": math.nan})
    assert event is not None
    assert event.step == 2
    assert "train/g/grad_norm" in event.reason


def test_the_watchdog_fires_for_a_runaway_and_not_for_a_spike():
    dog = Watchdog()
    for step in range(50):
        assert dog.check(step, {"loss": 5.0 + step % 3}) is None
    assert dog.check(50, {"loss": 1e6}) is None
    assert dog.check(51, {"loss": 5.0}) is None
    events = [dog.check(step, {"loss": -1e6}) for step in (52, 53, 54)]
    assert events[:2] == [None, None]
    assert events[2] is not None
    assert "loss" in events[2].reason


def test_steady_growth_is_left_to_the_verdict():
    dog = Watchdog()
    assert all(dog.check(step, {"loss": step**2}) is None for step in range(2000))


def test_losses_about_zero_do_not_alarm_the_watchdog():
    dog = Watchdog()
    rng = np.random.default_rng(0)
    assert all(dog.check(step, {"loss": 1e-6 * rng.normal() + (step == 30)}) is None for step in range(100))


def test_a_resumed_watchdog_fires_at_the_same_step():
    values = [1.0] * 40 + [1e7] * 5
    whole, before, after = Watchdog(), Watchdog(), Watchdog()
    expected = [whole.check(step, {"loss": value}) for step, value in enumerate(values)]
    actual = [before.check(step, {"loss": value}) for step, value in enumerate(values[:41])]
    after.load_state_dict(before.state_dict())
    actual += [after.check(step, {"loss": value}) for step, value in enumerate(values[41:], 41)]
    assert actual == expected
    assert expected[42] is not None
