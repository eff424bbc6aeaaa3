"""Values of stage 1 from simulated margins whose spread, correlation and effects are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gcn.commands.registered import main
from gcn.study.registered import margin_plan
from gcn.study.registered.margin_pilot import stage_1
from gcn.study.registered.margin_samples import Margin
from gcn.study.registered.simulate import Truth, grid, margins

FILE = Path(__file__).parents[3] / margin_plan.PLAN
PLAN = margin_plan.load(FILE)


def rows(seed=0, spread=0.0, seeds=3, **truth):
    plan, given = replace(PLAN, spread=spread, seeds=seeds), Truth(**truth)
    return margins(given, plan, grid(given, plan), np.random.default_rng(seed))


def test_spread_and_correlation_are_recovered():
    """Twenty seeds, deviation .8 and correlation .5, and rounding to quarter octaves."""
    found = [stage_1(rows(seed=k, spread=0.8, seeds=20), PLAN) for k in range(4)]
    assert np.mean([f["spread"] for f in found]) == pytest.approx(0.8, abs=0.08)
    assert np.mean([f["common"] for f in found]) == pytest.approx(0.5, abs=0.1)


def test_mu_star_is_the_smallest_weight_that_is_as_good_as_the_best():
    weights = {0.1: 4.0, 1.0: 5.75, 3.0: 6.0, 10.0: 5.0}
    own = [
        Margin(setting, weight, "none", "none", "none", seed, h, 0.0)
        for setting in PLAN.settings
        for weight, h in weights.items()
        for seed in (0, 1)
    ]
    found = stage_1(own, PLAN)
    assert found["mse_star"] == dict.fromkeys(PLAN.settings, 1.0)
    assert found["seeds_used"] == [0, 1]
    assert found["assay"]["r1"] == {"level": None, "endpoint": None, "settings": None}


def test_a_trick_is_taken_at_its_best_level_on_the_margin_that_shows_it_where_there_is_room():
    table = rows(alone=(1.0,), rise=2)
    stronger = [m._replace(trick="r1=100", a_star=m.a_star + 2) for m in table if m.trick == "r1"]
    narrow = PLAN.settings[0]
    table = [
        m._replace(a_star=m.a_star - 2) if (m.setting, m.twin) == (narrow, "yoked") else m for m in table
    ]
    found = stage_1([*table, *stronger], PLAN)["assay"]
    assert found["r1"] == {"level": "r1=100", "endpoint": "a", "settings": list(PLAN.settings[1:])}
    assert found["gp"]["endpoint"] == "either"


def test_the_printed_block_is_read_by_the_plan(tmp_path, capsys):
    file = tmp_path / "m.csv"
    lines = [",".join(Margin._fields), *(",".join(map(str, m)) for m in rows(spread=0.4, alone=(1.0,)))]
    file.write_text("\n".join(lines))
    assert main([f"pilot={file}", f"plan={FILE}"]) == 0
    block = yaml.safe_load(capsys.readouterr().out)
    plan = margin_plan.plan({**yaml.safe_load(FILE.read_text()), **block})
    assert plan.open == ("stage_1.exponent_predicts", "stage_1.controls.prox", "stage_1.controls.wrong")
    assert plan.seeds_used == {1000, 1001, 1002}
