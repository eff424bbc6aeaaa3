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
    """The word of each contrast, which is the same in all settings."""
    found = {}
    for d in decide(table, plan):
        assert found.setdefault((d.chain, d.name), d.word) == d.word
    return found


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
    found = table.trend(h_star, {"rescaled": -1.0, "none": 1.0}, weights, "s")
    slope, _ = np.polyfit(np.log2(weights), np.subtract(game, twin), 1)
    assert found.seeds == {3: pytest.approx(slope * math.log2(200))}


def test_a_seed_counts_only_with_all_its_margins():
    cells = [(1.0, 1, 2.0), (1.0, 2, 3.0), (1.0, 3, math.nan), (0.0, 2, 0.5), (0.0, 3, 0.5)]
    table = Margins(Margin("s", mse, "none", "none", "none", seed, h, 0.0) for mse, seed, h in cells)
    found = table.difference(h_star, Cell(1.0), Cell(0.0), "s")
    assert found.seeds == {2: 2.5}
    assert [m.seed for m in found.margins] == [2, 2]


def test_too_few_seeds_decide_nothing():
    few = [m for m in rows(fall=2) if m.seed < 1016]
    decision = decide(few, PLAN)[0]
    assert (decision.word, math.isnan(decision.p)) == ("not measured", True)
    assert decision.note == "8 complete seeds, 11 are needed"


def test_equivalence_needs_the_twin():
    found = decide(
        [m for m in rows(weak=(2,)) if m.twin == "none" or m.mse not in PLAN.mse_star.values()], PLAN
    )
    last = next(d for d in found if (d.chain, d.name) == SUPERFLUOUS)
    assert (last.word, last.note) == ("not measured", "the twin was not measured")


def test_each_setting_has_its_own_word():
    """Opposite truths in two settings, which an average would hide."""
    found = decide(rows(fall=2, rise=2, others=Truth(fall=-2, rise=-2)), PLAN)
    first, *others = PLAN.settings
    said = {(d.setting, d.name): d.word for d in found}
    assert (said[first, "cost falls"], said[first, "margin rises"]) == ("supported", "supported")
    for setting in others:
        assert (said[setting, "cost falls"], said[setting, "margin rises"]) == (
            "opposite",
            "not testable here",
        )
    raises = "the distortion lowers the cost of the game and raises the game's own margin."
    assert f"H1 ({first}): {raises}" in answers(found)
    assert f"H1 ({others[0]}): opposite; then not testable here." in answers(found)


def test_holes_are_counted():
    table = [m._replace(monotone=m.seed != 1000) for m in rows()]
    decision = next(d for d in decide(table, PLAN) if d.chain == PROX[0])
    assert decision.note == "holding is not monotone at 2 of 24 margins"


def test_an_exponent_that_predicts_nothing_is_described_and_frees_its_share():
    table = rows(fall=2, coupling=4)
    with_it, without = (decide(table, replace(PLAN, exponent_predicts=g)) for g in (True, False))
    assert next(d.word for d in with_it if d.chain == "exponent") == "supported"
    assert next(d.word for d in without if d.chain == "exponent") == "descriptive"
    assert [round(f[0].adjusted / f[0].p) for f in (with_it, without)] == [40, 36]


def test_seeds_are_new_and_as_many_as_planned():
    with pytest.raises(InputError, match="seed 1002 was used in an earlier stage"):
        decide(rows(), replace(PLAN, seeds_used=frozenset({1002})))
    moved = [m._replace(seed=1001) if m.seed == 1002 else m for m in rows()]
    with pytest.raises(InputError, match="seeds 1000 and 1001: the twin of each repeats the other's game"):
        decide(moved, PLAN)
    with pytest.raises(InputError, match="of 12 seeds, the plan has 9; no seed may be added"):
        decide(rows(), replace(PLAN, seeds=9))
    with pytest.raises(
        InputError, match=r"mse=0.01, trick none, control none, twin none, seed 1000 occur twice"
    ):
        decide([*rows(), rows()[0]], PLAN)


def test_what_is_printed_and_written(tmp_path):
    found = decide(rows(fall=2, rise=2, weak=(2, 0, 0), beside=(0, 0, 1)), PLAN)
    said = answers(found)
    first = PLAN.settings[0]
    assert (
        said[0]
        == f"H1 ({first}): the distortion lowers the cost of the game and raises the game's own margin."
    )
    assert (
        f"H2, {TRICKS[0]} ({first}): the trick helps beside the smallest weight and is superfluous beside μ*."
        in said
    )
    assert f"H2, {TRICKS[1]} ({first}): no effect; then not testable here." in said
    adds = "the trick helps beside μ*, so it is not superfluous; beside the smallest weight: no effect."
    assert f"H2, {TRICKS[2]} ({first}): {adds}" in said
    assert f"confinement ({first}): no effect; then costs." in said
    game_free = answers(decide(rows(rise=2, cost=0), PLAN))
    assert game_free[1].startswith(
        f"confinement ({first}): the distortion confines: it raises margins as much without a game"
    )
    near = answers(decide(rows(cost=0.5, gap=0.5), PLAN))
    assert near[0].startswith(f"H1 ({first}): not tested: the game is too close to its twin")
    assert any(text.startswith(f"truth, prox ({first}): not tested: the game is too close") for text in near)
    none = answers(decide(rows(weak=(2,), top=4.0), PLAN))
    assert none[0] == f"H1 ({first}): not measured, so nothing is said about it."
    printed = list(lines(found))
    row = f"| {first} | H1: cost falls | h | 12 | +1.99 [+1.99, +1.99] | 0.0002 | 0.0098 | supported |  |"
    assert printed[2] == row
    table = write(found, tmp_path).read_text().splitlines()
    assert len(table) == 1 + len(found)
