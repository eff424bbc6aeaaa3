"""The Dirac-GAN of two classes: its spectrum from the production field, its closed form, and the formula typed here."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "theory"))
from ensembles import FORCES, distance, ensemble, measured, mse

from gcn.lab.two_classes import TwoClasses
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.penalties import R1, R2
from gcn.losses.perturbation import InstanceNoise


def jacobian(conditional, force, mu=0.0, gamma=0.0):
    """In the coordinates (θ1, θ2, ψ, e1, e2), from L_G = -p·E D(x_hat) + μ·E x_hat² and L_D = p·E D(x_hat) + ½γ·E(D')²,
    p the force, expectations over the two classes."""
    slopes = np.array([[1, 1, 0], [1, 0, 1]]) if conditional else np.array([[1], [1]])  # of D in each class
    n = slopes.shape[1]
    result = np.zeros((2 + n, 2 + n))
    result[:2, :2] = -2 * mu * np.eye(2) / 2
    result[:2, 2:] = force * slopes / 2
    result[2:, :2] = -force * slopes.T / 2
    result[2:, 2:] = -gamma * slopes.T @ slopes / 2
    return result


def assert_all_three(game, expected):
    found, formula = measured(game), game.small.closed_form(game.strengths)
    assert (
        distance(found, np.linalg.eigvals(expected)) < 1e-7
    )  # of a kernel beside damping: √ of the rounding
    assert distance(formula, found) < 1e-7


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("name", FORCES)
def test_the_spectrum_of_every_loss(name, conditional):
    loss, force = FORCES[name]
    assert_all_three(
        ensemble(loss, mse(0.3), small=TwoClasses(conditional)), jacobian(conditional, force, mu=0.3)
    )


@pytest.mark.parametrize("conditional", [True, False])
def test_penalties_and_noise_damp_as_in_the_dirac_gan(conditional):
    small = TwoClasses(conditional)
    terms = {"r1": (0.4, R1()), "r2": (0.3, R2())}
    assert_all_three(ensemble(Wasserstein(), terms, small=small), jacobian(conditional, 1.0, gamma=0.7))
    noisy = ensemble(NonSaturating(), mse(0.2), [InstanceNoise(0.8)], small=small)
    assert_all_three(noisy, jacobian(conditional, 0.5, mu=0.2, gamma=0.5 * 0.64))


def test_a_label_makes_the_difference_of_the_classes_visible():
    """Without damping both coordinates turn with a label, at p·√3/2 and p/2; without it one stands still."""
    with_label, without = (
        sorted(abs(np.imag(measured(ensemble(Wasserstein(), small=TwoClasses(conditional))))))
        for conditional in (True, False)
    )
    assert with_label == pytest.approx([0, 0.5, 0.5, 3**0.5 / 2, 3**0.5 / 2], abs=1e-7)
    assert without == pytest.approx([0, 0.5**0.5, 0.5**0.5], abs=1e-7)
