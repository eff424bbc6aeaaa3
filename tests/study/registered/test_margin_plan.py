"""The plan file and tables of margins: what is read, and what is refused in one line."""

import copy
import dataclasses
import math
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from gcn.commands.registered import main
from gcn.errors import InputError
from gcn.files.reading import read_yaml
from gcn.study import table
from gcn.study.arms import partner
from gcn.study.registered import margin_plan, margin_rows

FILE = Path(__file__).with_name("four_settings.yaml")
CONTENT = read_yaml(FILE)
PLAN = margin_plan.load(FILE)


def changed(path, value):
    content = copy.deepcopy(CONTENT)
    place = content
    *parents, last = path.split("/")
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return content


FILLED = {
    "stage_1/seeds_used": [0, 1, 2],
    "stage_1/spread": 0.4,
    "stage_1/common": 0.3,
    "stage_1/exponent_predicts": False,
    "stage_1/mse_star": {"ns beta1=0": 1, "ns beta1=0.9": 0.3, "wgan beta1=0": 1, "wgan beta1=0.9": 3},
    "stage_1/controls": {
        "prox": "prox=1",
        "wrong": {
            "ns beta1=0": "wrong=1",
            "ns beta1=0.9": "wrong=0.3",
            "wgan beta1=0": "wrong=1",
            "wgan beta1=0.9": "wrong=3",
        },
    },
    "stage_1/assay": {
        t: {"level": f"{t}=1", "endpoint": "h", "settings": ["wgan beta1=0"]} for t in CONTENT["tricks"]
    },
}


def filled():
    content = copy.deepcopy(CONTENT)
    for path, value in FILLED.items():
        content["stage_1"][path.split("/")[1]] = value
    return content


def test_values_of_stage_1_are_open_until_they_are_given():
    assert "stage_1.spread" in PLAN.open
    assert "stage_1.assay.r1.endpoint" in PLAN.open
    plan = margin_plan.plan(filled())
    assert plan.open == ()
    assert (plan.spread, plan.mse_star["wgan beta1=0.9"]) == (0.4, 3.0)
    assert plan.controls["prox"] == dict.fromkeys(plan.settings, "prox=1")
    assert list(plan.controls["wrong"].values()) == ["wrong=1", "wrong=0.3", "wrong=1", "wrong=3"]
    assert plan.assay["gp"] == margin_plan.Assay("gp=1", "h", ("wgan beta1=0",))
    assert (margin_plan.chains_of(PLAN), margin_plan.chains_of(plan)) == (40, 21)


def test_a_plan_may_be_left_without_tricks():
    """None had room: no chain of H2 shares the error rate, and the others are decided."""
    plan = margin_plan.plan({**filled(), "tricks": []})
    assert (plan.assay, margin_plan.chains_of(plan)) == ({}, 16)


def test_the_plan_of_the_study_is_complete_or_says_what_is_open():
    """And stage 2 is refused the seeds of the stages before."""
    plan = margin_plan.load(Path(__file__).parents[3] / margin_plan.PLAN)
    measured = {row["seed"] for row in table.read(Path(__file__).parents[3] / "docs/study/margin")}
    assert plan.open or plan.seeds_used == measured | set(map(partner, measured))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("alpha", 0.7, "alpha=0.7: a number from 0 to 0.5"),
        ("alpha", ..., "alpha is missing"),
        ("seeds", 21, "seeds=21: an integer from 2 to 20"),
        ("least_seeds", 13, "least_seeds=13 is larger than seeds=12"),
        ("weights", [0.1, 1], "at least three"),
        ("weights", [0.1, 0.01, 1], "from small to large"),
        ("settings", ["a", "a"], "settings: a list of different names"),
        ("settings", ["ns beta1=0", "hinge"], "settings: hinge is none of the candidates"),
        ("ceilling", 1, "ceilling: unknown; nearest: ceiling"),
        ("tricks", ["r1", "sgd"], "stage_1.assay.sgd is missing"),
        ("stage_1", 3, "stage_1: names with values"),
        (
            "stage_1/spred",
            1,
            "stage_1.spred: unknown; nearest: stage_1.spread|stage_1.spred: unknown; nearest: spread",
        ),
        ("stage_1/exponent_predicts", "yes", "true or false is expected"),
        ("stage_1/mse_star", {"ns beta1=0": 1}, "stage_1.mse_star: the setting ns beta1=0.9 is missing"),
        (
            "stage_1/controls/wrong",
            {"hinge": "wrong=1"},
            "stage_1.controls.wrong: the setting ns beta1=0 is missing",
        ),
        ("stage_1/seeds_used", [0.5], "stage_1.seeds_used: a list of integers"),
        ("stage_1/assay/r1/endpoint", "psnr", "stage_1.assay.r1.endpoint=psnr: one of h, a, either"),
        ("stage_1/assay/r1/settings", ["hinge"], "hinge is none of the settings"),
    ],
)
def test_a_wrong_plan_is_refused(path, value, said):
    with pytest.raises(InputError, match=said):
        margin_plan.plan(changed(path, value))


ROW = {"setting": "ns beta1=0", "mse": 1, "trick": "none", "control": "none", "twin": "none", "seed": 7,
       "h_star": 4.25, "a_star": ""}  # fmt: skip


def test_a_table_is_read_from_csv(tmp_path):
    csv = tmp_path / "m.csv"
    csv.write_text(f"{','.join(ROW)},h_end,seconds\n{','.join(map(str, ROW.values()))},above,3\n")
    (one,) = margin_rows.read(csv, PLAN)
    assert one[:7] == ("ns beta1=0", 1.0, "none", "none", "none", 7, 4.25)
    assert math.isnan(one.a_star)
    assert (one.h_end, one.monotone) == ("above", True)


def runs(axis, held, **more):
    """Runs of a search: value to whether it holds."""
    levels = {
        "stage": "2",
        "loss": "ns",
        "beta1": "0",
        "mse": "1",
        "trick": "none",
        "twin": "rescaled",
        "seed": 9,
    }
    facts = {"axis": axis, "method": "bisection", "updates": 200, "reach": False, "seconds": 5.0}
    name = "h" if axis == "lr" else "adv"
    return [{**levels, **facts, "h": 1e-5, "adv": 1.0, name: v, "holds": h, **more} for v, h in held.items()]


def test_both_margins_of_a_seed_come_from_the_table_of_runs(tmp_path):
    """The learning rate holds up to 8e-5, three octaves above 1e-5; no weight of the adversary holds."""
    own = [
        *runs("lr", {1e-5: True, 4e-5: True, 8e-5: True, 1.6e-4: False, 3.2e-4: True}),
        *runs("adv", {0.25: False}),
    ]
    pilot = [*runs("lr", {1e-5: False}, stage="1"), *runs("lr", {1e-5: True}, method="ramp")]
    parquet.write_table(pyarrow.Table.from_pylist([*own, *pilot]), tmp_path / "runs.parquet")
    (one,) = margin_rows.read(tmp_path, PLAN)
    assert one[:6] == ("ns beta1=0", 1.0, "none", "none", "rescaled", 9)
    assert (one.h_star, one.h_end, one.a_star, one.a_end) == (pytest.approx(3), "", -2.0, "below")
    assert one.monotone is False


def test_another_optimizer_is_another_setting(tmp_path):
    """Its margins count if the plan has the setting, and never beside those of the usual one."""
    own = [
        *runs("lr", {1e-5: True}),
        *runs("lr", {4e-5: True}, epsilon="sgd"),
        *runs("lr", {2e-5: True}, ratio="10"),
    ]
    found = {row["setting"]: row["h_star"] for row in margin_rows.of_runs(own)}
    names = ["ns beta1=0", "ns beta1=0 epsilon=sgd", "ns beta1=0 ratio=10"]
    assert found == {name: pytest.approx(octaves) for name, octaves in zip(names, (0, 2, 1), strict=True)}
    parquet.write_table(
        pyarrow.Table.from_pylist([{"epsilon": "1e-8", "ratio": "1", **r} for r in own]),
        tmp_path / "runs.parquet",
    )
    assert [m.setting for m in margin_rows.read(tmp_path, PLAN)] == names[:1]
    wider = dataclasses.replace(PLAN, settings=(*PLAN.settings, names[1]))
    assert [m.setting for m in margin_rows.read(tmp_path, wider)] == names[:2]


def test_of_the_pilot_the_finest_search_counts_and_long_runs_do_not():
    own = [
        *runs("lr", {1e-5: True, 1e-3: False}, stage="1", method="ramp"),
        *runs("lr", {1e-5: True, 2e-5: True, 4e-5: False}, stage="0", method="grid"),
        *runs("lr", {1e-5: False}, stage="0", method="grid", length="4N", updates=800),
    ]
    (one,) = margin_rows.of_runs(own, stages=("0", "1"))
    assert one["h_star"] == pytest.approx(1)


def test_a_twin_without_a_game_to_repeat_is_a_margin_that_is_missing():
    """Its arm has a row, of verdict ``failed`` and with no numbers."""
    refused = dict.fromkeys(runs("lr", {1e-5: True})[0]) | {"stage": "2", "verdict": "failed", "seed": 9}
    (one,) = margin_rows.of_runs([*runs("lr", {1e-5: True}), refused])
    assert (one["twin"], one["h_star"]) == ("rescaled", pytest.approx(0))


def test_a_margin_below_its_grid_is_the_end_of_its_own_grid():
    """That of plain SGD begins far above that of Adam."""
    own = [*runs("lr", {1e-7: True, 2e-7: False}), *runs("lr", {4e-5: False, 8e-5: False}, epsilon="sgd")]
    found = {row["setting"]: (row["h_star"], row["h_end"]) for row in margin_rows.of_runs(own)}
    assert found["ns beta1=0 epsilon=sgd"] == (pytest.approx(2), "below")


def test_runs_of_a_seed_with_two_codecs_are_refused():
    """The same words train another codec on another processor; its reference says so.

    In stages 0 and 1 a seed has one codec in each setting, in stage 2 one in all.
    """
    two = [*runs("lr", {1e-5: True}, b0=0.81), *runs("lr", {2e-5: True}, b0=0.82, trick="r1")]
    settings = [two[0], two[1] | {"epsilon": "sgd"}]
    said = r"seed 9: references of 0\.8100 and 0\.8200 bits, hence two codecs"
    for stage, own in (("2", two), ("2", settings), ("1", two)):
        with pytest.raises(InputError, match=said):
            margin_rows.of_runs([run | {"stage": stage} for run in own], stages=(stage,))
    assert len(margin_rows.of_runs([run | {"stage": "1"} for run in settings], stages=("1",))) == 2
    assert len(margin_rows.of_runs([run | {"seed": k} for k, run in enumerate(two)])) == 2


def test_two_searches_of_one_margin_are_refused():
    with pytest.raises(InputError, match="two searches of the lr axis"):
        margin_rows.of_runs([*runs("lr", {1e-5: True}), *runs("lr", {1e-5: True}, method="grid")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"setting": "lsgan"}, "setting=lsgan: the plan has ns beta1=0"),
        ({"h_end": "left"}, "h_end=left: below, above or nothing"),
        ({"h_star": "inf"}, "h_star=inf: a margin beyond the grid"),
        ({"h_star": "much"}, "h_star=much: a number"),
        ({"seed": "a"}, "seed=a: an integer"),
        ({"seed": ""}, "seed is empty"),
        ({"mse": "-1"}, "at least 0"),
        ({"monotone": "perhaps"}, "true or false"),
    ],
)
def test_a_wrong_row_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        margin_rows.margin({**ROW, **change}, PLAN)


def test_a_missing_column_is_named_with_its_row(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("setting,mse\nns beta1=0,1\n")
    with pytest.raises(InputError, match="row 1: the column trick is missing"):
        margin_rows.read(file, PLAN)
    for place, said in ((tmp_path / "none.csv", "no such file"), (tmp_path, "no runs.parquet here")):
        with pytest.raises(InputError, match=said):
            margin_rows.read(place, PLAN)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of margins=FOLDER, pilot=FOLDER and simulate=NUMBER"),
        (["margins=m.csv", "simulate=20"], "give one of"),
        (["pilot=m.csv", "out=o"], "pilot= only prints; drop out="),
        (["margins=m.csv", "seed=1"], "seed= is of simulated studies"),
        (["margins=m.csv", f"plan={FILE}"], "is null; fill in the values of stage 1"),
        (["simulate=20", "plan=none.yaml"], "none.yaml: no such file"),
    ],
)
def test_a_wrong_command_is_one_line(words, said, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
