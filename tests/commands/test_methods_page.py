"""docs/methods.md is what scripts/methods.py makes of the configuration and of the stored runs."""

from pathlib import Path

import numpy as np
import pytest

from gcn.commands import method_spectra, methods
from gcn.study.methods import catalogue

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_command_makes():
    text = methods.text(ROOT, ROOT / "docs" / "study" / "methods")
    made = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert made == text, "run python scripts/methods.py"
    assert "superfluous" not in made


@pytest.fixture(scope="module")
def by_name():
    return {method.name: method for method in catalogue.catalogue(ROOT)}


@pytest.mark.parametrize(
    ("name", "damping"), [("plain", 0), ("r1", 0.5), ("gp_0", 1.0), ("instance_noise", 0.5)]
)
def test_the_leading_eigenvalue_is_that_of_the_update_by_hand(by_name, name, damping):
    """D moves first: ψ ← (1 - hγ)ψ - hpθ, then θ ← θ + hpψ, p = ½: trace 2 - hγ - h²p², determinant 1 - hγ."""
    h, p = 0.1, 0.5
    roots = np.roots([1, -(2 - h * damping - h**2 * p**2), 1 - h * damping])
    assert method_spectra.leading(by_name[name]).modulus == pytest.approx(max(abs(roots)), abs=1e-6)


def test_the_modulus_of_a_rule_with_a_period_is_that_of_one_update(by_name):
    """Look-ahead over k = 5 alternating updates M, share ½: ½ + ½M⁵."""
    h, p = 0.1, 0.5
    d, g = np.array([[1, 0], [-h * p, 1]]), np.array([[1, h * p], [0, 1]])
    whole = (np.eye(2) + np.linalg.matrix_power(g @ d, 5)) / 2
    expected = max(abs(np.linalg.eigvals(whole))) ** (1 / 5)
    assert method_spectra.leading(by_name["lookahead"]).modulus == pytest.approx(expected, abs=1e-6)


def test_a_method_that_two_numbers_cannot_show_says_why(by_name):
    assert method_spectra.leading(by_name["batch_norm"]).reason == "D is a line here, without layers"
    assert "not of images" in method_spectra.leading(by_name["diffaugment"]).reason
    found = method_spectra.leading(by_name["gp"])
    assert "kink" in found.reason
    assert found.word == "persisting"


def test_without_a_checkout_the_command_says_what_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert methods.main([]) == 2
    assert "checkout" in capsys.readouterr().err
