"""A study whose arms are games of the lab: levels that a scan decides, run folders, and the published table."""

import csv
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from lab_inside import inside

from gcn.commands.study import main
from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.lab.intervals import interval
from gcn.lab.plane import plane_figure, plane_spectrum
from gcn.study import design, lab_arm, report, table
from gcn.study import run as running
from gcn.study.arms import Arm, Protocol
from gcn.study.design import scan_scores
from gcn.study.reports import contrasts, lab_report
from gcn.study.reports.phrases import filled

STORED = Path(__file__).parents[2] / "docs" / "study" / "modes"
SMALL = ("game=ring", "game.width=4", "game.batch=4", "steps=3")


@pytest.fixture(scope="module")
def stored():
    return table.read(STORED)


@pytest.fixture(scope="module")
def study(stored):
    return design.load("modes", rows=stored)


def test_without_runs_only_what_no_scan_decides_is_planned():
    first = design.load("modes")
    assert {level for arm in first.arms for level in arm.levels.values()}.isdisjoint({design.BEST})
    assert {run for arm in first.arms for run in arm.runs} >= first.scans["mse_weight"]
    decided = [arm for arm in first.arms if arm.levels["trick"] == "r1" and arm.name not in first.scan]
    assert decided == []


def test_the_stored_table_is_that_of_the_plan(study, stored):
    """Every planned game is there, and every stored game was planned, with the levels that its scan decides."""
    names = [run for arm in study.arms for run in arm.runs]
    assert sorted(names) == sorted(row["name"] for row in stored)
    assert len(names) == 920 + 540
    assert {len(arm.runs) for arm in study.arms if arm.name not in study.scan} == {10}
    assert {row["seed"] for row in stored if row["name"] in study.scan} == {100, 101, 102}
    assert running.remaining(study, Path("nowhere"), set(names), study.diagnostics) == []


def test_a_level_is_undecided_as_long_as_a_run_of_its_scan_is_missing(study, stored):
    def planned(rows):
        arms = design.load("modes", rows=rows, choice=design.Choice(["plain_mse"], {"data": ["ring"]})).arms
        return {(arm.levels["loss"], arm.levels["mse_weight"]) for arm in arms}

    scan = [row for row in stored if row["name"] in study.scans["mse_weight"]]
    lost = next(row for row in scan if row["loss"] == "ns" and row["data"] == "ring")
    whole, part = planned(scan), planned([row for row in scan if row is not lost])
    assert whole == {("ns", "1"), ("wgan", "1"), ("hinge", "1")}
    assert part == {("wgan", "1"), ("hinge", "1")}


def test_the_best_level_has_the_largest_mean_product():
    rule = {"score": ["recovered", "good"]}
    found = {"0.1": (0.2, 0.9), "1": (0.7, 0.6), "10": (0.9, math.nan)}
    rows = [{"weight": w, "recovered": 4.0, "good": good} for w, both in found.items() for good in both]
    scores = scan_scores(rule, "weight", rows)
    assert scores == {"0.1": pytest.approx(2.2), "1": pytest.approx(2.6), "10": pytest.approx(1.8)}


def test_words_of_a_level_name_other_factors(study):
    arm = next(a for a in study.arms if a.levels["trick"] == "noise" and a.levels["distortion"] == "mse")
    assert f"instance_noise={arm.levels['weight']}" in arm.words
    assert f"mse={arm.levels['mse_weight']}" in arm.words
    assert {"steps=4000", f"seeds={arm.seeds}", f"seed={arm.seed}"} <= set(arm.words)


def arm(*words, seeds=2):
    return Arm({"data": "ring"}, 3, (*words, "seed=3", f"seeds={seeds}"), False, seeds)


@pytest.fixture
def lab_inside(monkeypatch):
    """Arms are trained in this process."""
    monkeypatch.setattr(lab_arm, "subprocess", SimpleNamespace(run=inside))
    for made in (plane_figure, "portrait"), (plane_spectrum, "spectrum"):
        monkeypatch.setattr(*made, lambda *_: pytest.fail("a study uses neither figure nor spectrum"))


@pytest.mark.usefixtures("lab_inside")
def test_an_arm_is_a_run_folder_of_the_lab(tmp_path):
    small = arm(*SMALL)
    protocol = Protocol((), (), updates=3, command="lab")
    assert running.train_task((small, protocol, str(tmp_path), True)) == (small.name, "finished")
    folder = tmp_path / "arms" / small.name
    study = design.Study("s", "S", protocol, {"data": ["ring"]}, [small], frozenset({small.name}))
    results = list(running.finished(study, tmp_path))
    assert [(r["name"], r["seed"]) for r in results] == list(zip(small.runs, (3, 4), strict=True))
    with (folder / "curves.csv").open() as file:
        last = list(csv.DictReader(file))[-2:]
    rows = [table.row(result) for result in results]
    for name in ("recovered", "kl", "logit_gap", "mse"):
        assert [row[name] for row in rows] == [float(end[name]) for end in last]
    before = (folder / "lab.json").stat().st_mtime_ns
    assert lab_arm.play(small, folder)[0]["responses"] == results[0]["responses"]
    assert (folder / "lab.json").stat().st_mtime_ns == before  # a finished folder is read, not played again
    (look,) = running.finished(study, tmp_path, running.diagnostics_file)
    assert not [path.name for path in folder.iterdir() if path.stem == "lab" and path.suffix != ".json"]
    assert bytes.fromhex(look["view"]) == (folder / "view.npz").read_bytes()


@pytest.mark.usefixtures("lab_inside")
def test_an_arm_that_was_interrupted_is_trained_again_bit_for_bit(tmp_path):
    study = design.load("plane", choice=design.Choice(["modes"], {"data": ["ring"], "generator": ["noise"]}))
    own = [w for w in study.arms[0].words if not w.startswith(("seed", "steps="))]
    small = (*own, "game.compared=16", "steps=3")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    first = lab_arm.play(arm(*small), whole)
    cut.mkdir()  # a killed run has no lab.json, which is written last
    (cut / "curves.csv").write_text("update,seed\n0,")
    again = lab_arm.play(arm(*small), cut)
    for name in ("curves.csv", "view.npz"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes()
    for one, other in zip(first, again, strict=True):
        assert (one["rows"], one["responses"]) == (other["rows"], other["responses"])
        assert {"w1", "recovered", "held"} < set(one["rows"][-1])
        assert one["responses"]["w1"] == one["rows"][-1]["w1"] > one["responses"]["w1_of_data"] > 0


@pytest.mark.parametrize("level", ["pearson", "gp0", "clip", "unrolled", "mse"])
def test_words_of_the_plane_study_are_words_of_the_lab(level):
    trained = next(a for a in design.load("plane").arms if level in a.levels.values())
    parse(list(trained.words), root=LAB)


def test_a_command_that_fails_is_an_outcome_of_its_seeds(tmp_path):
    """In the process that a study starts for an arm: the reason is what the lab said."""
    bad = arm(*SMALL, "loss=nothing")
    (tmp_path / "arms" / bad.name).mkdir(parents=True)
    (tmp_path / "arms" / bad.name / "config.yaml").write_text("of a run that was killed")
    protocol = Protocol((), (), updates=3, command="lab")
    assert running.train_task((bad, protocol, str(tmp_path), False)) == (bad.name, "failed")
    results = json.loads(running.file_of(tmp_path, bad).read_text())["runs"]
    assert [r["name"] for r in results] == bad.runs
    assert all("the lab ended with status 2: error: loss=nothing: " in r["verdict_reason"] for r in results)
    table.write(results, tmp_path)
    assert {row["verdict"] for row in table.read(tmp_path)} == {"failed"}


def games(value):
    """Rows of a study of the ring; ``value(generator, distortion, trick, seed)`` is the share of good samples."""
    return [
        {"name": "_".join([g, loss, d, t, str(seed)]), "data": "ring", "generator": g, "loss": loss, "distortion": d,
         "trick": t, "mse_weight": "1", "weight": "1", "seed": seed, "verdict": "finished", "steps": 3, "seconds": 30.0,
         "recovered": 8.0, "held": 4.0, "good": value(g, d, t, seed), "verdict_reason": "", "words": ""}
        for loss in ("ns", "hinge")
        for g, d in (("noise", "none"), ("codec", "none"), ("codec", "mse"))
        for t in ("none", "r1")
        for seed in range(5)
    ]  # fmt: skip


def test_differences_are_paired_by_seed(study):
    def value(generator, distortion, trick, seed):
        base = 0.1 * seed + 0.001 * (seed % 2) * (trick == "r1")  # differs between seeds, and drops out
        if trick == "r1":
            return base + {"none": 0.2, "mse": 0.05}[distortion] + (0.1 if generator == "noise" else 0)
        return base + (0.4 if distortion == "mse" else 0)

    ask = contrasts.load(study.text, study.labels)
    asked = {(q.kind, q.subject): q for q in contrasts.questions(games(value), ask)}
    assert list(asked) == [
        ("H1", "none"), ("GAN", "r1"), ("without", "r1"), ("beside", "r1"), ("H1", "r1"), ("H2", "r1"),
    ]  # fmt: skip
    means = {key: next(e.effect for e in q.effects if e.response == "good") for key, q in asked.items()}
    near = {
        ("H1", "none"): 0.4, ("GAN", "r1"): 0.3, ("without", "r1"): 0.2, ("beside", "r1"): -0.35, ("H1", "r1"): -0.15,
        ("H2", "r1"): -0.55,
    }  # fmt: skip
    assert means == {key: pytest.approx(mean, abs=0.001) for key, mean in near.items()}
    assert lab_report._tally(list(asked.values()), "H1", "good") == ("+2 −2 of 4", 4)
    assert lab_report._tally(list(asked.values()), "H1", "good", ["ns"])[0] == "+1 −1 of 2"
    assert lab_report._tally(list(asked.values()), "H2", "recovered") == ("+0 −0 of 2", 0)


@pytest.mark.usefixtures("coarse_pngs")
def test_the_page_is_made_of_the_table(study, tmp_path):
    rows = games(lambda generator, distortion, trick, seed: (0.25 if trick == "r1" else 0.5) + 0.01 * seed)
    table._write({row["name"]: row for row in rows}, {}, tmp_path)
    text = report.write(study, tmp_path, tmp_path / "report")[0].read_text(encoding="utf-8")
    half = interval([0.01 * seed for seed in range(5)]).half
    assert f"| GAN, none | 8.0 ± 0.0 | 4.0 ± 0.0 | 0.52 ± {half:.2f} |" in text
    assert f"{len(rows)} of 920 planned games" in text
    assert f"took {0.5 * len(rows):.0f} minutes" in text
    assert "![" in text
    assert "pictures" not in text  # no game of these was kept


def test_the_published_page_has_the_numbers_that_the_theory_page_quotes(study, stored):
    """The counts in docs/theory.md are those of the stored table."""
    rows = [row for row in stored if row["name"] not in study.scan]
    ask = contrasts.load(study.text, study.labels)
    asked = contrasts.questions(rows, ask)

    def counts(kind, of=()):
        return tuple(map(int, re.findall(r"\d+", lab_report._tally(asked, kind, "recovered", of)[0])))

    assert counts("H1") == (22, 0, 30)
    assert (counts("without"), counts("beside")) == ((5, 0, 24), (5, 2, 24))
    assert counts("GAN") == (14, 0, 24)
    assert (counts("H2"), counts("H2", ["ns", "hinge"])) == ((1, 3, 24), (0, 0, 16))
    said = " ".join((STORED.parents[1] / "theory.md").read_text(encoding="utf-8").split())
    for sentence in (
        "of 30 comparisons 22 have more modes",
        "in 5 of 24 comparisons for the better",
        "in 4 of 24",
    ):
        assert sentence in said


def test_an_interval_by_hand():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half == pytest.approx(
        4.302653 / math.sqrt(3), rel=1e-6
    )  # t of .975 with 2 degrees of freedom
    assert interval([5.0]).half == math.inf


def test_a_sentence_names_what_there_is():
    assert filled("{{ twice(2) }}  of\n{{ n }}", twice=lambda x: 2 * x, n=5) == "4 of 5"
    with pytest.raises(InputError, match="a sentence of a report cannot be made"):
        filled("{{ nothing }}")


STAGES = """
title: Two stages
text: modes
protocol: {command: lab, arm: [game=ring, game.width=4, game.batch=4], updates: 3}
factors: {loss: {ns: loss=ns}, trick: {none: "", r1: "r1={weight}"}, weight: ["-", "0.1", "1"]}
choose: {weight: {among: [scan], same: [loss, trick], score: [kl]}}
grids:
  scan: {trick: [r1], weight: ["0.1", "1"], first_seed: 100, seeds: 2}
  games: {trick: [r1], weight: [best], seeds: 2}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("workers_with_the_lab_inside")
def test_a_study_plays_its_scan_and_then_what_the_scan_decides(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "stages.yaml").write_text(STAGES)
    monkeypatch.setattr(design, "CONF", tmp_path / "conf")
    words = ["study=stages", f"out={tmp_path / 'out'}", "workers=1", "report=false"]
    assert main(words) == 0
    assert "0 of 3 arms are left" in capsys.readouterr().out
    rows = table.read(tmp_path / "out" / "table")
    kl = {w: sum(r["kl"] for r in rows if r["seed"] >= 100 and r["weight"] == w) for w in ("0.1", "1")}
    assert {row["weight"] for row in rows if row["seed"] < 100} == {max(kl, key=kl.__getitem__)}
    assert sorted(row["seed"] for row in rows) == [0, 1, 100, 100, 101, 101]
