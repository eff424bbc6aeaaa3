"""scripts/margin.py: from the words of a user to margin.json and the figure, on tiny networks."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import images
from small_study import TINY

from gcn.commands import margin
from gcn.config.assemble import codec as first_codec
from gcn.config.parse import parse
from gcn.models import package
from gcn.schema.conf_folder import CONF
from gcn.study.arms import MarginPlan
from gcn.study.margin import own_margin
from gcn.study.margin.judge import Reference

SMALL = MarginPlan(
    own_margin.REFERENCE, own_margin.SETTLING, settle=2,
    judge_train=40, judge_test=32, judge_epochs=1, judges=1, classifiers=2,
    lr_lowest=1e-4, lr_octaves=1, adv_lowest=0.5, adv_octaves=1, ramp_updates=8,
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("coarse_figures", "empty_figures")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of images, a model file and an empty folder for the runs of all tests, which share data and judge."""
    folder = tmp_path_factory.mktemp("margin")
    images(folder / "data", val_side=256)
    package.save(first_codec(parse([*TINY, "mse=1"])).for_coding(), folder / "model.safetensors", {})
    return folder


@pytest.fixture
def said(place, monkeypatch):
    """The words of a small measurement."""
    monkeypatch.setattr(own_margin, "PLAN", SMALL)
    monkeypatch.setattr(own_margin, "POOL", 4)
    monkeypatch.setattr(own_margin, "VAL_CROPS", 1)
    monkeypatch.setattr(
        torch.backends.mkldnn, "enabled", False
    )  # it takes most of the time of small networks
    return [
        "loss=ns", "mse=1", *TINY, "data=folder", f"data.root={place / 'data'}", "updates=6",
        f"init_from={place / 'model.safetensors'}", f"out={place / 'out'}",
    ]  # fmt: skip


def record_in(place):
    return json.loads((place / "out" / "margin.json").read_text())


def test_a_margin_is_measured_written_and_resumed(said, place, capsys):
    assert margin.main(said) == 0
    first = capsys.readouterr().out
    record = record_in(place)
    assert (place / "out" / "margin.png").read_bytes().startswith(b"\x89PNG")
    assert {run["arm"] for run in record["runs"]} == {"game", "rescaled"}
    for found in record["margins"]:
        own = [run for run in record["runs"] if run["arm"] == found["arm"]]
        assert found["runs"] == len(own) in (2, 3)
        holding = [run["h"] for run in own if run["holds"]]
        assert found["below"] == (not holding)
        assert found["below"] or found["margin"] == max(holding)
    assert margin.main(said) == 0
    again = capsys.readouterr().out
    assert again.replace(" (stored)", "") == first.replace(" (stored)", "")
    runs = [line for line in again.splitlines() if " bits, limit " in line]
    assert len(runs) >= len(record["runs"])
    assert all(line.endswith(" (stored)") for line in runs)


def test_a_game_that_holds_nowhere_has_a_record_without_its_twin(said, place, monkeypatch, capsys):
    monkeypatch.setattr(own_margin.Cell, "reference", lambda cell: Reference(-1.0, 0.0))
    assert margin.main(["mse=2" if word == "mse=1" else word for word in said]) == 0
    record = record_in(place)
    assert {run["arm"] for run in record["runs"]} == {"game"}
    assert record["margin"] is None
    assert record["twin_margin"] is None
    assert "does not hold below its margin, so there is none to repeat" in capsys.readouterr().out


def test_a_loss_of_the_user_has_a_margin_alone_and_by_a_ramp(said, place, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(CONF.parent / "examples" / "plugin"))
    own = ["loss=squared_hinge", *said[1:], "method=ramp", "twin=null"]
    assert margin.main(own) == 2
    assert capsys.readouterr().err.startswith("error: loss=squared_hinge: no such choice")
    assert margin.main([*own, "plugins=[gcn_example]"]) == 0
    record = record_in(place)
    (run,) = record["runs"]
    assert run["method"] == "ramp"
    assert math.isfinite(run["h"])
    assert record["cost_octaves"] is None
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["freeze=encoder"], "not a word of a margin: encoder and entropy model are frozen here; drop it"),
        (["steps=5"], "give updates="),
        (["experiment=frozen"], "give its words one by one"),
        (["loss=none"], "the generator has nothing to learn from"),
        (["axis=adv", "method=ramp"], "method=ramp: raises learning rates"),
        (["method=ramp"], "twin=rescaled repeats a game at a constant one; give twin=yoked, no twin"),
        (["-m", "loss=ns"], "--multirun: not a flag of this command"),
        (["init_from=nothing"], "init_from=nothing: "),
        (["generator.N=8"], "init_from=mid: its architecture is not the configured generator's"),
        (["twin=frozn"], "twin=frozn: must be one of yoked"),
    ],
)
def test_bad_words_are_one_line(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert margin.main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_folders_are_named_after_the_words_that_decide_the_runs():
    asked = own_margin.Asked(("loss=ns", "mse=1"))
    assert asked.name.startswith("ns-1-")
    assert asked.name == own_margin.Asked(("loss=ns", "mse=1"), axis="adv", method="grid", twin=None).name
    assert asked.name != own_margin.Asked(("loss=ns", "mse=1"), init_from="low").name


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        (2.0, ["the game costs 2.00 octaves: h*(twin) / h* = 4"]),
        (
            0.5,
            [
                "the game costs 0.50 octaves: h*(twin) / h* = 1.41",
                "  less than 1 octave: the limit is the twin's",
            ],
        ),
        (-1.0, ["the game bears 1.00 octaves more than its twin: h* / h*(twin) = 2"]),
        (math.nan, []),
    ],
)
def test_the_cost_of_a_game_is_said_with_its_sign(cost, says):
    found = own_margin._cost_of(cost, {"octaves": -10.0}, {"octaves": -10.0 + cost}, "h*")
    assert len(found) == len(says)
    assert all(line.startswith(text) for line, text in zip(found, says, strict=True))
