"""Values of stage 1 from simulated margins whose spread, correlation and effects are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import yaml
from pyarrow import parquet

from gcn.commands.registered import main
from gcn.errors import InputError
from gcn.study.registered import margin_plan, margin_rows
from gcn.study.registered.margin_pilot import rooms, rooms_of_tricks, stage_1
from gcn.study.registered.margin_samples import Margin
from gcn.study.registered.simulate import Truth, grid, margins

FILE = Path(__file__).with_name("four_settings.yaml")
PLAN = margin_plan.load(FILE)


def rows(plan=PLAN, seed=0, spread=0.0, seeds=3, **truth):
    plan, given = replace(plan, spread=spread, seeds=seeds), Truth(**truth)
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
    table = rows(weak=(1.0,), rise=2)
    stronger = [m._replace(trick="r1=100", a_star=m.a_star + 2) for m in table if m.trick == "r1"]
    narrow = PLAN.settings[0]
    table = [
        m._replace(a_star=m.a_star - 2) if (m.setting, m.twin) == (narrow, "rescaled") else m for m in table
    ]
    found = stage_1([*table, *stronger], PLAN)["assay"]
    assert found["r1"] == {"level": "r1=100", "endpoint": "a", "settings": list(PLAN.settings[1:])}
    assert found["gp"]["endpoint"] == "either"


def test_tricks_need_room_at_the_chosen_weight():
    """Between a* of the game and of its twin at μ*, in each setting."""
    found = stage_1(rows(gap=0.75), PLAN)
    assert all(assay["settings"] is None for assay in found["assay"].values())
    said = rooms_of_tricks(rows(gap=0.75), found["mse_star"])
    assert said == [
        f"room in {s} at mse={w:g}: +0.75 octaves of a*, mean over seeds; 1.5 is needed for tricks"
        for s, w in found["mse_star"].items()
    ]
    assert rooms_of_tricks(rows(), None) == []


def test_each_setting_has_its_own_controls():
    """``prox`` where a* is largest on average, ``wrong`` with the weight μ* of the setting."""
    own = [
        m._replace(mse=0.0, control=control, a_star=a + (m.seed == 1000) * 9)
        for m in rows()
        if (m.mse, m.trick, m.control, m.twin) == (1, "none", "none", "none")
        for control, a in (
            ("prox=1", 3.0),
            ("prox=3", 2.0 + 2 * (m.setting == PLAN.settings[1])),
            ("wrong=1", 1.0),
            ("wrong=3", 5.0),
        )
    ]
    named = [m for m in rows() if m.control == "none"]
    found = stage_1([*named, *own], PLAN)
    assert set(found["mse_star"].values()) == {0.03}
    assert found["controls"]["wrong"] is None  # of this stiffness none was measured
    assert found["controls"]["prox"] == dict.fromkeys(PLAN.settings, "prox=1") | {PLAN.settings[1]: "prox=3"}
    assert stage_1(own, PLAN)["controls"]["wrong"] is None  # μ* is not known
    right = [m._replace(control="wrong=0.03") if m.control == "wrong=1" else m for m in own]
    assert stage_1([*named, *right], PLAN)["controls"]["wrong"] == dict.fromkeys(PLAN.settings, "wrong=0.03")


CANDIDATES = replace(
    PLAN,
    settings=PLAN.candidates,
    mse_star=dict.fromkeys(PLAN.candidates, 1.0),
    controls={name: dict.fromkeys(PLAN.candidates, name) for name in PLAN.controls},
)


def test_room_is_said_for_each_candidate_at_the_smallest_weight():
    *lines, _ = rooms(rows(CANDIDATES, cost=1.5), PLAN)
    assert [line.partition(": ")[0] for line in lines] == [
        f"room in {s} at mse=0.01" for s in PLAN.candidates
    ]
    assert all(line.endswith("+1.50 octaves, median of 3 seeds; 1 is needed") for line in lines)
    assert all("not measured" in line for line in rooms([], PLAN)[:-1])


@pytest.mark.parametrize(
    ("roomy", "measured", "said"),
    [
        ((1, 4, 6, 8, 9), 10, (1, 4, 6, 8)),
        ((0, 1, 2, 3), 4, (0, 1, 2, 3)),  # further ones need no measurement
        ((7,), 10, (7,)),
        ((1, 4), 9, "open, because not all candidates are measured with three seeds"),
        ((), 10, "as they are, for no candidate has room"),
    ],
)
def test_the_first_four_candidates_with_room_are_the_settings(roomy, measured, said):
    names = PLAN.candidates
    own = [
        m._replace(h_star=m.h_star + (m.twin == "rescaled" and names.index(m.setting) in roomy))
        for m in rows(CANDIDATES, cost=0.5)
        if m.setting in names[:measured]
    ]
    two = [m for m in own if m.seed < 2]
    assert rooms(two, PLAN)[-1] == "settings: open, because not all candidates are measured with three seeds"
    text = said if isinstance(said, str) else ", ".join(names[k] for k in said)
    assert rooms(own, PLAN)[-1] == f"settings: {text}"


def test_the_printed_block_is_read_by_the_plan(tmp_path, capsys):
    file = tmp_path / "m.csv"
    lines = [",".join(Margin._fields), *(",".join(map(str, m)) for m in rows(spread=0.4, weak=(1.0,)))]
    file.write_text("\n".join(lines))
    assert main([f"pilot={file}", f"plan={FILE}"]) == 0
    said = capsys.readouterr().out
    block = yaml.safe_load(said)
    plan = margin_plan.plan({**yaml.safe_load(FILE.read_text()), **block})
    assert plan.open == ("stage_1.exponent_predicts", "stage_1.controls.wrong")
    assert plan.controls["prox"] == dict.fromkeys(plan.settings, "prox")
    assert "# controls.wrong: not measured; it needs a* of a game with it in every setting" in said
    assert plan.seeds_used == set(range(1000, 1006))  # twins of 1000 repeat games of 1001


def folder(tmp_path, lowest=8, **levels):
    """A table of nine games with exponents that fall as the margin rises."""
    weights = ["0", "0.01", "0.03", "0.1", "0.3", "1", "3", "10", "30"][: lowest + 1]
    plain = {"stage": "0", "loss": "ns", "trick": "none", "beta1": "0", "twin": "none", "seed": 3, **levels}
    search = {"axis": "lr", "method": "grid", "updates": 200, "adv": 1.0, "reach": 0.0, "seconds": 1.0}
    games = list(enumerate(weights))
    runs = [
        {**plain, **search, "name": f"{mse} {k}", "mse": mse, "h": 1e-5 * 2**k, "holds": float(k <= place)}
        for place, mse in games
        for k in range(11)
    ]
    exponents = [{**plain, "mse": mse, "exponent": -0.1 * k, "share_of_the_game": k} for k, mse in games]
    for name, rows in (("runs", runs), ("exponents", exponents)):
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    return tmp_path


def test_exponents_of_a_folder_are_joined_and_ranked_against_the_margins(tmp_path, capsys):
    found = margin_rows.read(folder(tmp_path), PLAN, ("0",))
    assert {m.mse: (m.h_star, m.coupling) for m in found}[0.1] == (3.0, 3.0)
    assert main([f"pilot={tmp_path}", f"plan={FILE}"]) == 0
    said = capsys.readouterr().out
    assert yaml.safe_load(said)["stage_1"]["exponent_predicts"] is True
    assert "# exponent_predicts: rank correlation -1.00, 95 % interval [-1.00, -1.00], 9 games" in said
    assert "# spread: not measured; it needs" in said


def test_a_relation_of_few_games_is_not_reported(tmp_path):
    found = margin_rows.read(folder(tmp_path, lowest=5), PLAN, ("0",))
    assert stage_1(found, PLAN)["exponent_predicts"] is None


def test_runs_with_another_optimizer_are_no_margins_of_the_plan(tmp_path):
    with pytest.raises(
        InputError, match=r"no row with a margin of stage 0 in the plan's settings \(ns beta1=0, "
    ):
        margin_rows.read(folder(tmp_path, epsilon="1e-4"), PLAN, ("0",))
