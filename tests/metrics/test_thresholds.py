"""Every threshold of the verdict from both sides: a run that just passes it and one that just does not.

The curves have no noise, so that a few per cent decide. Halving or doubling a constant must change a verdict here.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gcn.metrics import stability
from gcn.metrics.stability import TOO_SHORT, verdict

ROWS = 60
GAP, PULL = "train/d/logit_gap", "train/g/grad_at_x_hat/adv"
G_NORM, D_NORM = "train/g/grad_norm", "train/d/grad_norm"
SWD, JITTER, DEAD, RATE = "val/swd", "val/jitter", "val/dead_channels", "val/bpp"
QUIET = {GAP: 1.0, G_NORM: 1.0, D_NORM: 0.0, SWD: 0.05, JITTER: 1.0, DEAD: 0.1, RATE: 0.3}


def record(rows=ROWS, evaluations=12, **changed):
    """Rows of steps 10, 20, …, constant but for ``changed``: arrays over the rows, or over the evaluations.

    Realism is measured in the last row of each of ``evaluations`` equal stretches.
    """
    curves = {**QUIET, **{globals()[name]: values for name, values in changed.items()}}
    stretch = rows // evaluations
    table = []
    for index in range(rows):
        row: dict[str, Any] = {"step": 10 * (index + 1)}
        evaluation, rest = divmod(index + 1, stretch)
        for name, values in curves.items():
            if name == SWD:
                if rest == 0 and evaluation <= evaluations:
                    row[name] = values if np.isscalar(values) else float(values[evaluation - 1])
            else:
                row[name] = values if np.isscalar(values) else float(values[index])
        table.append(row)
    return table


def ends(value, count=6, rows=ROWS, before=1.0):
    """A curve at ``before`` whose last values are another one. The end of 60 rows is its last 6."""
    return np.r_[np.full(rows - count, before), np.full(count, value)]


def wave(decrement=0.0, level=0.0, amplitude=1.0, length=20, rows=160):
    """level + amplitude · e^(-decrement · turns) · a cosine of ``length`` rows a turn."""
    turn = np.arange(rows) / length
    return level + amplitude * np.exp(-decrement * turn) * np.cos(2 * math.pi * turn)


def rotation(growth, turns, length=32):
    """A logit gap that swings through zero ``turns`` times, each time e^growth wider, and stays positive after."""
    rows = length * turns + length // 2
    turn = (np.arange(rows) - length // 4) / length  # begins at its least value, so the first rise is seen
    return np.exp(growth * turn) * np.sin(2 * math.pi * turn)


def geometric(factor, rows=ROWS, straight=1.0):
    """A norm that grows by ``factor`` from the first to the last row of the second half, its logarithm on a straight
    line up to a rest that leaves r² = ``straight`` there."""
    middle, half = rows // 2, rows - rows // 2
    line = math.log(factor) / (half - 1) * (np.arange(rows) - middle)
    rest = np.random.default_rng(3).normal(size=half)
    index = np.arange(half) - (half - 1) / 2
    rest -= rest.mean()
    rest -= index * (index @ rest) / (index @ index)
    rest *= math.sqrt((1 / straight - 1) * line[middle:].var() / rest.var())
    line[middle:] += rest
    return np.exp(line)


def swinging_realism(deviation, evaluations=24):
    """Realism between 1 ± deviation, in an order that no straight line and no period fits; its second half is
    symmetric."""
    signs = np.array([1, -1, -1, 1] * 6)[:evaluations]
    return 0.05 * (1 + deviation * signs)


class Case(NamedTuple):
    """A rule that speaks of a run beyond a threshold, in these words, and not of one before it."""

    constant: str
    rule: str
    beyond: Callable[[], list[dict[str, Any]]]
    before: Callable[[], list[dict[str, Any]]]
    name: str
    step: int
    words: str
    otherwise: str


def swings(growth, level=0.0, length=16, **columns):
    """A norm that swings with a period, ``growth`` a turn, over 160 rows of which the second half counts."""
    values = wave(-growth, 0.0, length=length) + level
    return record(160, 16, G_NORM=values if level else np.abs(values), **columns)


def turning(growth, turns):
    gap = rotation(growth, turns)
    return record(len(gap), 4, GAP=gap)


LOST = np.r_[np.full(6, 0.05), np.full(6, 0.2)]

CASES = [
    Case(
        "NON_FINITE_ROWS", "three rows that are not a number",
        lambda: record(G_NORM=ends(math.nan, 3)), lambda: record(G_NORM=ends(math.nan, 2)),
        "diverged", 580, "not a number from step 580 on", "stable",
    ),
    Case(
        "RUNAWAY", "a norm",
        lambda: record(G_NORM=ends(2020.0, before=2.0)), lambda: record(G_NORM=ends(1980.0, before=2.0)),
        "diverged", 550, "the norm of the gradients ends 1.01e+03 times its median", "stable",
    ),
    Case(
        "RUNAWAY", "the jitter",
        lambda: record(JITTER=ends(1010.0)), lambda: record(JITTER=ends(990.0)),
        "diverged", 550, "val/jitter ends 1.01e+03 times its median", "stable",
    ),
    Case(
        "GROWTH", "growth over the second half",
        lambda: record(G_NORM=geometric(10.2)), lambda: record(G_NORM=geometric(9.8)),
        "diverged", 310, "grows geometrically, 10.2 times", "stable",
    ),
    Case(
        "STRAIGHT", "growth on a straight line",
        lambda: record(G_NORM=geometric(30, straight=0.81)), lambda: record(G_NORM=geometric(30, straight=0.79)),
        "diverged", 310, "grows geometrically", "stable",
    ),
    Case(
        "LOST", "realism",
        lambda: record(SWD=ends(0.1005, 6, 12, 0.05)), lambda: record(SWD=ends(0.0995, 6, 12, 0.05)),
        "collapsed", 350, "stays worse than 2 times its best of 0.05 from step 350", "stable",
    ),
    Case(
        "LOST_EVALUATIONS", "evaluations that stay worse",
        lambda: record(SWD=ends(0.15, 3, 12, 0.05)), lambda: record(SWD=ends(0.15, 2, 12, 0.05)),
        "collapsed", 500, "stays worse than 2 times its best of 0.05 from step 500", "stable",
    ),
    Case(
        "BLOW_UP", "the norm",
        lambda: record(SWD=LOST, G_NORM=ends(10.2)), lambda: record(SWD=LOST, G_NORM=ends(9.8)),
        "diverged", 350, "the norm of the gradients ends 10.2 times its median", "collapsed",
    ),
    Case(
        "BLOW_UP", "the jitter",
        lambda: record(SWD=LOST, JITTER=ends(10.2)), lambda: record(SWD=LOST, JITTER=ends(9.8)),
        "diverged", 350, "val/jitter ends 10.2 times its median", "collapsed",
    ),
    Case(
        "RATE_RUNAWAY", "the rate",
        lambda: record(RATE=ends(3.06, before=0.3)), lambda: record(RATE=ends(2.94, before=0.3)),
        "diverged", 550, "the rate ran away: val/bpp ends at 3.06, its least was 0.3", "stable",
    ),
    Case(
        "RATE_RAW", "the rate of the uncoded image",
        lambda: record(RATE=24.2), lambda: record(RATE=23.8),
        "diverged", 10, "the rate ran away: val/bpp ends at 24.2", "stable",
    ),
    Case(
        "RATE_DEAD", "no rate",
        lambda: record(RATE=ends(0.98e-3, before=5e-3)), lambda: record(RATE=ends(1.02e-3, before=5e-3)),
        "collapsed", 550, "the rate fell to nothing: val/bpp ends at 0.00098", "stable",
    ),
    Case(
        "ALL_DEAD", "latents",
        lambda: record(DEAD=ends(0.995)), lambda: record(DEAD=ends(0.985, before=0.1)),
        "collapsed", 10, "all latent channels are dead", "stable",
    ),
    Case(
        "VANISHED", "the discriminator's pull",
        lambda: record(PULL=ends(1.96e-3, before=2.0)), lambda: record(PULL=ends(2.04e-3, before=2.0)),
        "collapsed", 540, "no longer moves the generator", "stable",
    ),
    Case(
        "MIN_TURNS", "turns of the logit gap",
        lambda: turning(0.7, 3), lambda: turning(0.7, 2),
        "diverged", 100, "swings through zero", "stable",
    ),
    Case(
        "GROWING", "turns of the logit gap",
        lambda: turning(0.052, 9), lambda: turning(0.048, 9),
        "diverged", 420, "swings through zero and every turn is 5% wider", "oscillating",
    ),
    Case(
        "GROWING", "periods of a norm",
        lambda: swings(0.052, level=5, length=8), lambda: swings(0.048, level=5, length=8),
        "diverged", 810, "train/g/grad_norm swings every 8", "oscillating",
    ),
    Case(
        "WIDER", "turns of the logit gap",
        lambda: turning(math.log(1.32) / 2, 3), lambda: turning(math.log(1.28) / 2, 3),
        "diverged", 100, "swings through zero", "stable",
    ),
    Case(
        "WIDER", "periods of a norm",
        lambda: swings(0.0735, level=3, length=16), lambda: swings(0.0630, level=3, length=16),
        "diverged", 810, "train/g/grad_norm swings every 16", "oscillating",
    ),
    Case(
        "DAMPED", "a swing that hardly loses",
        lambda: swings(-0.098, level=1), lambda: swings(-0.102, level=1),
        "oscillating", 810, "train/g/grad_norm swings with a period of 160 steps and loses 9.3% a period", "stable",
    ),
    Case(
        "RESIDUE", "a swing that is small beside the run",
        lambda: record(160, 16, GAP=np.r_[48.5, wave()[1:]]), lambda: record(160, 16, GAP=np.r_[51.5, wave()[1:]]),
        "oscillating", 810, "train/d/logit_gap swings with a period of 20", "stable",
    ),
    Case(
        "SIZEABLE", "a ripple on a level",
        lambda: record(160, 16, GAP=wave(amplitude=0.257, level=1)),
        lambda: record(160, 16, GAP=wave(amplitude=0.243, level=1)),
        "oscillating", 810, "train/d/logit_gap swings with a period of 20", "stable",
    ),
    Case(
        "QUALITY_SWING", "realism that comes and goes",
        lambda: record(72, 24, SWD=swinging_realism(0.244)), lambda: record(72, 24, SWD=swinging_realism(0.236)),
        "oscillating", 390, "val/swd goes up and down by 24% of its mean", "stable",
    ),
    Case(
        "ENOUGH_ROWS", "rows of a stable run",
        lambda: record(39, 4), lambda: record(40, 4),
        TOO_SHORT, 390, "39 rows of gradient norms and 4 evaluations", "stable",
    ),
    Case(
        "ENOUGH_EVALUATIONS", "evaluations of a stable run",
        lambda: record(60, 3), lambda: record(60, 4),
        TOO_SHORT, 600, "60 rows of gradient norms and 3 evaluations", "stable",
    ),
    Case(
        "MIN_ROWS", "rows of a growth",
        lambda: record(16, 1, G_NORM=geometric(100, 16)), lambda: record(15, 1, G_NORM=geometric(100, 15)),
        "diverged", 90, "grows geometrically, 100 times", TOO_SHORT,
    ),
    Case(
        "MIN_ROWS", "rows before the pull is gone",
        lambda: record(19, 1, PULL=ends(1e-5, 3, 19)), lambda: record(18, 1, PULL=ends(1e-5, 3, 18)),
        "collapsed", 160, "no longer moves the generator", TOO_SHORT,
    ),
]  # fmt: skip
CONSTANTS = sorted({case.constant for case in CASES})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.constant}: {case.rule}")
def test_a_run_just_beyond_and_one_just_before(case):
    judged = verdict(case.beyond())
    assert (judged.name, judged.step) == (case.name, case.step), judged
    assert case.words in judged.reason
    judged = verdict(case.before())
    assert judged.name == case.otherwise, judged


def test_a_rate_runs_away_where_its_end_and_its_last_value_are_both_beyond():
    """The end is a median, so a single last value is no end; and one that came back has not run away."""
    last_alone, came_back = np.full(ROWS, 0.3), ends(5.0, before=0.3)
    last_alone[-1], came_back[-1] = 5.0, 0.3
    assert verdict(record(RATE=came_back[:-1], rows=59, evaluations=4)).name == "diverged"
    assert verdict(record(RATE=last_alone)).name == "stable"
    assert verdict(record(RATE=came_back)).name == "stable"


def test_the_rate_of_training_is_judged_as_well():
    rows = [{**row, "train/bpp": 30.0} for row in record()]
    assert verdict(rows)[:2] == ("diverged", 10)
    assert "train/bpp" in verdict(rows).reason


def test_few_values_before_the_end_are_no_level_to_compare_with():
    """Of five rows three are the end."""
    assert verdict(record(5, 1, G_NORM=2000.0)).name == TOO_SHORT
    assert verdict(record(6, 1, G_NORM=np.r_[1, 1, 1, 2e3, 2e3, 2e3])).name == "diverged"


def test_a_pull_is_gone_only_while_the_discriminator_separates():
    for now, name in ((0.51, "collapsed"), (0.49, "stable")):
        assert verdict(record(PULL=ends(1e-5), GAP=ends(now))).name == name, now
    without = [{**row, G_NORM: row[G_NORM] * (1 if row["step"] <= 540 else 1e-5)} for row in record()]
    assert verdict(without)[:2] == ("collapsed", 540), (
        "the whole gradient stands in where the pull is not logged"
    )


def test_realism_is_restless_from_four_crossings_and_six_values_on():
    """The second half of 12 evaluations has 6; it crosses its line 3, 4 or 5 times."""
    patterns = {
        (1, -1, -1, 1, 1, -1): "stable",
        (1, -1, 1, -1, -1, 1): "oscillating",
        (1, -1, 1, -1, 1, -1): "oscillating",
    }
    for signs, name in patterns.items():
        realism = 0.05 * (1 + 0.3 * np.r_[signs, signs])
        assert verdict(record(SWD=realism)).name == name, signs
    assert verdict(record(60, 10, SWD=0.05 * (1 + 0.3 * np.array([1, -1] * 5)))).name == "stable", (
        "five values"
    )


def test_crossings_are_those_of_a_straight_line():
    """Realism that improves fourfold while it comes and goes crosses its mean 3 times, and its line 6 times."""
    line = np.linspace(7, 1, 24)
    swing = np.r_[np.zeros(12), np.tile([1, -1, -1, 1], 3)]
    assert verdict(record(72, 24, SWD=0.05 * (line + 0.3 * line[12:].mean() * swing))).name == "oscillating"


def test_a_swing_that_widens_a_little_loses_nothing():
    judged = verdict(swings(0.03, level=5))
    assert judged[:2] == ("oscillating", 810)
    assert "with a period of 160 steps and loses nothing a period" in judged.reason


def test_rate_distortion_training_is_judged_without_a_discriminator():
    alone = [{name: cell for name, cell in row.items() if name != D_NORM} for row in record()]
    assert verdict(alone).name == "stable"
    half = [{**row, D_NORM: None if row["step"] > 200 else 0.0} for row in record()]
    assert verdict(half).name == TOO_SHORT, "where there is one, its norm is needed as well"


def test_an_empty_record_dates_from_the_start():
    assert verdict([]).step == 0


def test_every_threshold_is_among_the_cases():
    names = {n for n, v in vars(stability).items() if n.isupper() and isinstance(v, int | float)}
    assert names == set(CONSTANTS)


@pytest.mark.parametrize("factor", [0.5, 2.0], ids=["halved", "doubled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.constant}: {case.rule}")
def test_half_and_double_a_threshold_would_be_noticed(case, factor, monkeypatch):
    monkeypatch.setattr(stability, case.constant, factor * getattr(stability, case.constant))
    found = verdict(case.beyond()).name, verdict(case.before()).name
    assert found != (case.name, case.otherwise)
