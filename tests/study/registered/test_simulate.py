"""The deciding code on simulated studies: its error rates, its power, and the table that the plan quotes."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gcn.commands.registered import main
from gcn.files.reading import read_yaml
from gcn.study.registered import margin_plan, rival_tests, simulate, simulated_cases
from gcn.study.registered.simulate import Truth, heavy, is_false, margins, normal, rates, skewed
from gcn.study.registered.simulated_cases import CASES, interval

ROOT = Path(__file__).parents[3]
FILE = Path(__file__).with_name("four_settings.yaml")
PLAN = margin_plan.load(FILE)
STUDIES = 200
TWO = {**read_yaml(FILE), "settings": ["ns", "wgan"], "candidates": ["ns", "wgan"], "tricks": ["r1", "gp"]}
SMALL = margin_plan.plan(TWO)


@pytest.mark.parametrize("case", ["null", "half true", "adds half an octave", "half an octave everywhere"])
def test_the_error_rate_is_kept(case):
    """The interval of the share of studies with a false word does not lie above the plan's error rate."""
    found = rates(CASES[case].truth, SMALL, STUDIES, np.random.default_rng(5))
    for wrong in (found.false_claims, found.false_contrary):
        assert interval(wrong, STUDIES)[0] <= PLAN.alpha


def test_power_is_that_of_the_table():
    """Two hundred studies agree with the committed table to four standard errors of the difference."""
    registered = margin_plan.load(ROOT / margin_plan.PLAN)
    with (ROOT / "docs/study/margin/simulations.csv").open() as file:
        lines = [
            line for line in csv.DictReader(file) if (line["table"], line["case"]) == ("power", "0.5, 10")
        ]
    found = rates(
        Truth(fall=1, rise=1, coupling=1, truth=1, weak=(1,), beside=(0, 1)),
        replace(registered, spread=0.5, seeds=10, least_seeds=10, seeds_used=frozenset()), STUDIES,
        np.random.default_rng(6),
    )  # fmt: skip
    tricks = [c for c in found.words if c[2] == "superfluous"]
    for label, word, contrasts in (
        ("H1: cost falls", "supported", [(s, "H1", "cost falls") for s in registered.settings]),
        (
            "truth: mse above prox",
            "supported",
            [(s, "truth, prox", "mse above prox") for s in registered.settings],
        ),
        ("H2: superfluous", "equivalent", tricks[::2]),
        ("H2: superfluous (adds 1 octave)", "adds", tricks[1::2]),
    ):
        if not contrasts:
            continue  # no trick had room
        own = {line["word"]: int(line["count"]) for line in lines if line["contrast"] == label}
        expected = own.get(word, 0) / sum(own.values())
        error = math.sqrt(
            max(expected * (1 - expected), 0.01) * (1 / STUDIES + len(contrasts) / sum(own.values()))
        )
        assert found.share(word, *contrasts) == pytest.approx(expected, abs=4 * error)


def test_a_ceiling_is_never_called_equivalence():
    found = rates(CASES["ceiling"].truth, SMALL, 20, np.random.default_rng(7))
    for contrast, words in found.words.items():
        if contrast[2] == "superfluous":
            assert words == {"ceiling: not tested": 20}


def test_the_spread_is_that_of_a_paired_difference():
    """Noise as it is stated: deviation in a setting, and correlation between settings of a seed."""
    plan = replace(PLAN, seeds=20, spread=1.0, common=0.5)
    cells, rng = simulate.grid(Truth(), plan), np.random.default_rng(8)
    differences = []
    for _ in range(60):
        values = {
            (m.setting, m.mse, m.control, m.seed): m.a_star
            for m in margins(Truth(), plan, cells, rng)
            if m.trick == m.twin
        }
        differences += [
            [values[s, 1.0, "none", k] - values[s, 0.0, "prox", k] for s in plan.settings[:2]]
            for k in range(simulate.FIRST_SEED, simulate.FIRST_SEED + 2 * plan.seeds, 2)
        ]
    assert np.std(differences, axis=0) == pytest.approx([1.0, 1.0], abs=0.06)
    assert np.corrcoef(np.transpose(differences))[0, 1] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("shape", [normal, heavy, skewed])
def test_noise_is_of_mean_0_and_variance_1(shape):
    values = shape(np.random.default_rng(9), (200_000,))
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.var() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(
    ("word", "effect", "wrong"),
    [
        ("supported", 0.0, True), ("supported", 0.1, False), ("opposite", -0.1, False), ("opposite", 0.0, True),
        ("no effect", 0.5, True), ("no effect", -0.4, False), ("equivalent", -0.5, True), ("equivalent", 0.4, False),
        ("adds", 0.4, True), ("adds", 0.5, False), ("harms", -0.4, True), ("harms", -0.5, False),
        ("undecided", 3.0, False), ("ceiling: not tested", 3.0, False),
    ],
)  # fmt: skip
def test_which_words_are_false(word, effect, wrong):
    assert is_false(word, effect, 0.5) is wrong


@pytest.mark.parametrize("tricks", [["r1", "gp"], []])
def test_the_command_writes_table_and_page(tmp_path, monkeypatch, tricks):
    monkeypatch.setattr(simulated_cases, "SPREADS", (0.35,))
    monkeypatch.setattr(simulated_cases, "SEEDS", (10,))
    monkeypatch.setattr(rival_tests, "SHAPES", {"normal": normal})
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({**TWO, "tricks": tricks}))
    assert main(["simulate=10", f"plan={plan}", f"out={tmp_path}"]) == 0
    page = (tmp_path / "simulations.md").read_text()
    assert ("No trick is compared" in page) is (not tricks)
    assert all(f"| {case} |" in page for case in CASES)
    with (tmp_path / "simulations.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["table"] for line in lines} == {"errors", "words", "power", "tests: error", "tests: power"}
    assert all(float(r["low"]) <= float(r["share"]) <= float(r["high"]) for r in lines)
