"""Words of the registered contrasts: where the truth is known without noise, and where nothing may be decided."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gcn.errors import InputError
from gcn.study.registered import margin_plan
from gcn.study.registered.decide import decide
from gcn.study.registered.decisions_page import answers, lines, write
from gcn.study.registered.margin_samples import Cell, Margin, Margins, h_star
from gcn.study.registered.simulate import Truth, grid, margins

PLAN = replace(margin_plan.load(Path(__file__).with_name("four_settings.yaml")), spread=0.0)
TRICKS = list(PLAN.assay)
COST, RISE = ("H1", "cost falls"), ("H1", "margin rises")
ASSAY, SUPERFLUOUS = (f"H2, {TRICKS[0]}", "assay"), (f"H2, {TRICKS[0]}", "superfluous")
TWIN, NOTHING = ("confinement", "twin's margin rises"), ("confinement", "game costs nothing")
PROX = ("truth, prox", "mse above prox")


def rows(**truth):
    given = Truth(**truth)
    return margins(given, PLAN, grid(given, PLAN), np.random.default_rng(0))


def words(table, plan=PLAN):
    return {(d.chain, d.name): d.word for d in decide(table, plan)}


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ({"fall": 2, "rise": 2}, {COST: "supported", RISE: "supported"}),
        ({"fall": 2}, {COST: "supported", RISE: "no effect"}),
        ({"fall": -2}, {COST: "opposite", RISE: "not testable here"}),
        ({}, {COST: "no effect", PROX: "no effect", ASSAY: "no effect", SUPERFLUOUS: "not testable here"}),
        ({"cost": 0.5}, {COST: "ceiling: not tested", NOTHING: "not testable here"}),
        ({"rise": 2, "cost": 0, "gap": 0}, {TWIN: "supported", NOTHING: "equivalent", PROX: "ceiling: not tested"}),
        ({"rise": 2, "cost": 0.5}, {TWIN: "supported", NOTHING: "undecided"}),
        ({"rise": 2}, {TWIN: "supported", NOTHING: "costs"}),
        ({"cost": -3}, {TWIN: "no effect", NOTHING: "helps"}),
        ({"truth": 1}, {PROX: "supported"}),
        ({"truth": -1}, {PROX: "opposite"}),
        ({"gap": 0.5}, {PROX: "ceiling: not tested"}),
        ({"gap": 0.5, "truth": 1}, {PROX: "supported"}),
        ({"weak": (2,)}, {ASSAY: "supported", SUPERFLUOUS: "equivalent"}),
        ({"weak": (2,), "beside": (1,)}, {ASSAY: "supported", SUPERFLUOUS: "adds"}),
        ({"weak": (2,), "beside": (-1,)}, {ASSAY: "supported", SUPERFLUOUS: "harms"}),
        ({"weak": (2,), "beside": (0.5,)}, {ASSAY: "supported", SUPERFLUOUS: "undecided"}),
        ({"weak": (2,), "gap": 0.5}, {ASSAY: "supported", SUPERFLUOUS: "ceiling: not tested"}),
        ({"weak": (-2,)}, {ASSAY: "opposite", SUPERFLUOUS: "not testable here"}),
        ({"beside": (1,)}, {ASSAY: "no effect", SUPERFLUOUS: "adds"}),
        ({"beside": (-1,)}, {ASSAY: "no effect", SUPERFLUOUS: "harms"}),
        ({"weak": (2,), "top": 4.0}, {ASSAY: "not measured", COST: "not measured", PROX: "not measured"}),
    ],
)  # fmt: skip
def test_without_noise_the_word_is_the_truth(truth, expected):
    found = words(rows(**truth))
    assert {contrast: found[contrast] for contrast in expected} == expected


def test_a_trend_is_the_line_of_least_squares():
    """Three weights, one seed: the change over the range of the line through the costs."""
    weights, game, twin = (0.01, 0.1, 2.0), (4.0, 4.5, 6.0), (8.0, 7.0, 7.25)
    table = Margins(
        Margin("s", w, "none", "none", level, 3, h, 0.0)
        for level, values in (("none", game), ("rescaled", twin))
        for w, h in zip(weights, values, strict=True)
    )
    found = table.trend(h_star, {"rescaled": -1.0, "none": 1.0}, weights, ["s"])
    slope, _ = np.polyfit(np.log2(weights), np.subtract(game, twin), 1)
    assert found.seeds == {3: pytest.approx(slope * math.log2(200))}


def test_a_seed_counts_only_where_all_settings_have_it():
    cells = [("a", 1, 2.0), ("a", 2, 3.0), ("b", 2, 5.0)]
    table = Margins(
        Margin(s, m, "none", "none", "none", seed, h * m, 0.0) for s, seed, h in cells for m in (0.0, 1.0)
    )
    found = table.difference(h_star, lambda _: Cell(1.0), lambda _: Cell(0.0), ["a", "b"])
    assert found.seeds == {2: 4.0}
    assert found.settings["a"] == {1: 2.0, 2: 3.0}


def test_too_few_seeds_decide_nothing():
    few = [m for m in rows(fall=2) if m.seed < 1016]
    decision = decide(few, PLAN)[0]
    assert (decision.word, math.isnan(decision.p)) == ("not measured", True)
    assert decision.note == "8 complete seeds, 9 are needed"


def test_equivalence_needs_the_twin():
    found = decide(
        [m for m in rows(weak=(2,)) if m.twin == "none" or m.mse not in PLAN.mse_star.values()], PLAN
    )
    last = next(d for d in found if (d.chain, d.name) == SUPERFLUOUS)
    assert (last.word, last.note) == ("not measured", "the twin was not measured")


def test_a_setting_with_the_opposite_effect_is_named():
    """One of four settings loses an octave while the others gain four."""
    odd = PLAN.settings[2]
    table = [
        m._replace(a_star=m.a_star + 1.0) if (m.setting, m.control) == (odd, "prox") else m
        for m in rows(truth=4)
    ]
    table = [
        m._replace(a_star=m.a_star + 4.0) if (m.setting, m.control) == (odd, "prox") else m for m in table
    ]
    decision = next(d for d in decide(table, PLAN) if d.chain == PROX[0])
    assert decision.word == "supported"
    assert decision.note == f"settings differ: the interval of {odd} is on the other side of zero"
    assert decision.settings[odd].high < 0 < decision.interval.low
    (sentence,) = [said for said in answers(decide(table, PLAN)) if said.startswith(PROX[0])]
    assert sentence.endswith(f" (an average; settings differ in {PROX[1]}: read their intervals).")


def test_holes_are_counted():
    table = [m._replace(monotone=m.seed != 1000) for m in rows()]
    decision = next(d for d in decide(table, PLAN) if d.chain == PROX[0])
    assert decision.note == "holding is not monotone at 8 of 80 margins"


def test_an_exponent_that_predicts_nothing_is_described_and_frees_its_share():
    table = rows(fall=2, coupling=4)
    with_it, without = (decide(table, replace(PLAN, exponent_predicts=g)) for g in (True, False))
    assert next(d.word for d in with_it if d.chain == "exponent") == "supported"
    assert next(d.word for d in without if d.chain == "exponent") == "descriptive"
    assert [round(f[0].adjusted / f[0].p) for f in (with_it, without)] == [10, 9]


def test_seeds_are_new_and_as_many_as_planned():
    with pytest.raises(InputError, match="seed 1002 was used in an earlier stage"):
        decide(rows(), replace(PLAN, seeds_used=frozenset({1002})))
    moved = [m._replace(seed=1001) if m.seed == 1002 else m for m in rows()]
    with pytest.raises(InputError, match="seeds 1000 and 1001: the twin of each repeats the other's game"):
        decide(moved, PLAN)
    with pytest.raises(InputError, match="of 10 seeds, the plan has 9; no seed may be added"):
        decide(rows(), replace(PLAN, seeds=9))
    with pytest.raises(
        InputError, match=r"mse=0.01, trick none, control none, twin none, seed 1000 occur twice"
    ):
        decide([*rows(), rows()[0]], PLAN)


def test_what_is_printed_and_written(tmp_path):
    found = decide(rows(fall=2, rise=2, weak=(2, 0, 0), beside=(0, 0, 1)), PLAN)
    said = answers(found)
    assert said[0] == "H1: the distortion lowers the cost of the game and raises the game's own margin."
    assert (
        f"H2, {TRICKS[0]}: the trick helps beside the smallest weight and is superfluous beside μ*." in said
    )
    assert f"H2, {TRICKS[1]}: no effect; then not testable here." in said
    adds = "the trick helps beside μ*, so it is not superfluous; beside the smallest weight: no effect."
    assert f"H2, {TRICKS[2]}: {adds}" in said
    assert "confinement: no effect; then costs." in said
    game_free = answers(decide(rows(rise=2, cost=0), PLAN))
    assert game_free[1].startswith(
        "confinement: the distortion confines: it raises margins as much without a game"
    )
    near = answers(decide(rows(cost=0.5, gap=0.5), PLAN))
    assert near[0].startswith("H1: not tested: the game is too close to its twin")
    assert any(text.startswith("truth, prox: not tested: the game is too close") for text in near)
    none = answers(decide(rows(weak=(2,), top=4.0), PLAN))
    assert none[0] == "H1: not measured, so nothing is said about it."
    printed = list(lines(found))
    assert "| H1: cost falls | h | 10 | +2.00 [+2.00, +2.00] | 0.0010 | 0.0098 | supported |  |" in printed[2]
    table = write(found, tmp_path).read_text().splitlines()
    assert len(table) == 1 + sum(1 + len(d.settings) for d in found)
