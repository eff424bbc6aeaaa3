"""Where searches begin that start from the margin of another seed, and when they are planned."""

import dataclasses

import pytest

from gcn.study import design
from gcn.study.arms import Arm
from gcn.study.margin.starts import started

LEVELS = {"loss": "ns", "search": "near"}


def arm(seed=3):
    return Arm(LEVELS, seed, ("loss=ns",), False, own={"method": "near"})


def rows(margin, seed=2, **levels):
    return [
        {
            **LEVELS, **levels, "seed": seed, "axis": "lr", "method": "near", "updates": 200, "h": h, "adv": 1.0,
            "holds": float(h <= margin), "reach": 0.0, "seconds": 1.0,
        }
        for h in (1.0, 2.0, 4.0, 8.0)
    ]  # fmt: skip


def test_a_search_starts_at_the_margin_of_the_first_seed():
    others = [*rows(1.0, loss="wgan"), *rows(8.0, search="bisection"), *rows(2.0, seed=4)]
    assert started(arm(), 2, [*others, *rows(4.0)]) == dataclasses.replace(arm(), start=4.0)


def test_it_waits_for_the_first_seed():
    assert started(arm(), 2, rows(4.0, seed=4)) is None
    assert started(arm(), 2, []) is None


def test_where_nothing_holds_it_starts_at_the_lowest_value():
    assert started(arm(), 2, rows(0.5)).start == 1.0


def test_a_first_seed_that_failed_gives_no_start():
    failed = {**LEVELS, "seed": 2, "verdict": "failed", "axis": None}
    assert started(arm(), 2, [failed]) == arm()


@pytest.mark.parametrize(("search", "axis", "column"), [("near", "lr", "h"), ("near_adv", "adv", "adv")])
def test_later_seeds_are_planned_when_the_first_is_in_the_table(search, axis, column):
    part = design.Choice(["stage1_mse"], {"search": [search], "mse": ["0.1"], "loss": ["ns"], "beta1": ["0"]})
    (first,) = design.load("margin", choice=part).arms
    assert (first.seed, first.start) == (2, None)
    found = [
        {**row, **first.levels, "name": f"{first.name} {k}", "axis": axis, "h": 1e-5, column: row["h"]}
        for k, row in enumerate(rows(4.0))
    ]
    arms = design.load("margin", choice=part, rows=found).arms
    assert [(a.seed, a.start) for a in arms] == [(2, None), (3, 4.0), (4, 4.0)]
    assert arms[0] == first
