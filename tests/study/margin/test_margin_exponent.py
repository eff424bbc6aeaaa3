"""Exponents of the arms of a margin study: one row for each arm, in a table of their own."""

import json

import pytest
from small_study import GROUND_WORDS, ground_of

from gcn.commands.study import main
from gcn.errors import InputError
from gcn.files.atomic import make_folder
from gcn.spectrum.exponent import Settings
from gcn.study import design
from gcn.study.arms import Arm, MarginPlan, Protocol
from gcn.study.margin import margin_exponent
from gcn.study.margin.margins import Margin
from gcn.study.margin.material import Material

SETTINGS = Settings(updates=2, align=1, every=1, directions=1, distances=())
PROTOCOL = Protocol(("x",), GROUND_WORDS, 6, command="margin", margin=MarginPlan((), (), settle=0))


def arm(*said, **own):
    return Arm({"loss": "ns"}, 0, (*GROUND_WORDS, *said, "seed=0"), False, own=own)


def test_an_arm_has_a_row_with_the_players_exponents(tmp_path, monkeypatch):
    monkeypatch.setattr(margin_exponent, "material", lambda *_: Material(ground_of(0), None))
    row = margin_exponent.measure(arm("optim.d.lr=4e-4"), tmp_path, PROTOCOL, 1e-4, 2, SETTINGS)
    for name in ("exponent", "exponent_g", "exponent_d"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert row["share_of_the_game"] == pytest.approx(
        row["exponent"] - max(row["exponent_g"], row["exponent_d"])
    )
    assert "optim.g.lr=0.0001 optim.d.lr=0.0004" in row["words"]  # D keeps its ratio to G
    margin_exponent.write([row], tmp_path)
    margin_exponent.write([{**row, "name": "other"}, {**row, "exponent": 2.0}], tmp_path)
    assert [(r["name"], r["exponent"]) for r in margin_exponent.read(tmp_path)] == [
        (row["name"], 2.0),
        ("other", row["exponent"]),
    ]


def test_a_twin_is_refused(tmp_path):
    with pytest.raises(InputError, match="twin=yoked: exponents are of games here"):
        margin_exponent.measure(arm(twin="yoked"), tmp_path, PROTOCOL, 1e-4, 2, SETTINGS)


@pytest.mark.parametrize(("below", "octaves"), [({}, 2), ({"below": "3"}, 3)])
def test_exponents_are_measured_below_the_game_s_own_margin(tmp_path, monkeypatch, below, octaves):
    searched = []

    def search(cell):
        searched.append((cell.arm.seed, cell.twin, cell.method))
        return Margin(20, True, False, False, 6)

    monkeypatch.setattr(margin_exponent.Cell, "search", search)
    rate = margin_exponent.low_rate(arm(**below), tmp_path, PROTOCOL)
    assert rate == pytest.approx(PROTOCOL.margin.lr_lowest * 2 ** (20 / 4 - octaves))
    assert searched == [(0, None, "bisection")]
    monkeypatch.setattr(margin_exponent.Cell, "search", lambda cell: Margin(-1, True, True, False, 6))
    with pytest.raises(InputError, match="does not hold at this learning rate, so h\\* is unknown"):
        margin_exponent.low_rate(arm(), tmp_path, PROTOCOL)


def test_a_game_has_one_row_whatever_the_rate_it_was_measured_at(tmp_path):
    rows = [{"name": f"ns_0_{digest}", "h": h} for digest, h in (("aaaa", 1e-4), ("bbbb", 1e-5))]
    for row in rows:
        margin_exponent.write([row], tmp_path)
    assert margin_exponent.read(tmp_path) == rows[1:]


def test_no_rows_make_no_file(tmp_path):
    margin_exponent.write([], tmp_path)
    assert margin_exponent.read(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_study_of_exponents_alone_has_its_table(tmp_path, capsys):
    choice = design.Choice(
        ["stage0_exponents"], {"loss": ["ns"], "mse": ["1"], "trick": ["none"], "beta1": ["0"]}
    )
    (own,) = design.load("margin", ["data.root=data/photographs"], choice).arms
    stored = {"runs": [], "exponents": [{"name": own.name, "exponent": 0.5}]}
    (make_folder(tmp_path / "arms") / f"{own.name}.json").write_text(json.dumps(stored), encoding="utf-8")
    words = [
        "study=margin",
        "data.root=data/photographs",
        "grids=stage0_exponents",
        "minutes=0",
        f"out={tmp_path}",
    ]
    assert main([*words, "only.loss=ns", "only.mse=1", "only.trick=none", "only.beta1=0"]) == 0
    assert "0 of 1 arms are left; " in capsys.readouterr().out
    assert margin_exponent.read(tmp_path / "table") == stored["exponents"]
