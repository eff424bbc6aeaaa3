"""Any two damping terms together: the production field and its Jacobian against formulas written out by hand.

(The name says ``by_hand`` because pytest wants one ``test_pairs`` in all folders.)
"""

from itertools import combinations

import numpy as np
import pytest
import torch
from by_hand import Hand
from ensembles import ensemble, points

from gcn.lab.games import Dirac, Uniform
from gcn.losses.adversarial import (
    FGAN,
    LSGAN,
    Hinge,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Vanilla,
    Wasserstein,
)
from gcn.losses.distortion import MSE, Charbonnier
from gcn.losses.penalties import R1, R2
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.regularizers import JARE, Consensus, GradNorm

PLAIN = {
    "ns": NonSaturating(),
    "vanilla": Vanilla(),
    "hinge": Hinge(),
    "wgan": Wasserstein(),
    "lsgan": LSGAN(),
    "lsgan 01": LSGAN("01"),
    "ml": MaximumLikelihood(),
    "fgan": FGAN(),
}
PAIRED = {
    f"{name} {pairing}": Relativistic(pairing).wrap(PLAIN[name])
    for pairing in ("pair", "average")
    for name in ("ns", "vanilla", "hinge", "wgan", "lsgan")
}
LOSSES = PLAIN | PAIRED

EPSILON, SIGMA = 0.5, 0.7
# weights that are no round multiples of each other: no two contributions can cancel by accident
TERMS = {
    "mse": (0.31, MSE(unit=255)),
    "charbonnier": (0.23, Charbonnier(epsilon=EPSILON, unit=255)),
    "r1": (0.47, R1()),
    "r2": (0.29, R2()),
    "instance_noise": (SIGMA, None),
    "consensus": (0.37, Consensus()),
    "jare": (0.53, JARE()),
    "grad_norm": (0.61, GradNorm()),
}


def produced(loss, terms, noise):
    """The production game; with labels 0 and 1 a D without a bias has no force at θ = ψ = 0."""
    small = Dirac(bias=loss == "lsgan 01")
    return ensemble(LOSSES[loss], terms, [InstanceNoise(SIGMA)] if noise else [], small=small)


def by_hand(loss, names):
    """The game by hand."""
    weights = {name: TERMS[name][0] for name in names if name != "instance_noise"}
    return Hand(loss, loss == "lsgan 01", SIGMA if "instance_noise" in names else 0.0, EPSILON, **weights)


def somewhere(size):
    """Three points away from the equilibrium, on both sides of hinge's margin."""
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand(3, size, generator=generator, dtype=torch.float64) - 1.5


# All pairs of terms with one loss of each kind, and every loss with pairs in which every term is present.
EVERY_TERM = [("mse", "grad_norm"), ("charbonnier", "r2"), ("r1", "jare"), ("instance_noise", "consensus")]


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_two_terms_make_the_field_and_the_spectrum_that_formulas_say(loss, noise):
    """All pairs are one ensemble, in which each game has its two weights, and 0 for the other terms."""
    every = combinations(TERMS, 2) if loss in ("ns", "lsgan 01", "ns average") else EVERY_TERM
    pairs = [names for names in every if ("instance_noise" in names) == noise]
    rest = by_hand(loss, ()).rest()
    at = torch.cat([points(rest), somewhere(len(rest))])
    terms = {
        name: (points([weight * (name in names) for names in pairs])[0].repeat_interleave(len(at)), term)
        for name, (weight, term) in TERMS.items()
        if any(name in names for names in pairs) and name != "instance_noise"
    }
    production, everywhere = produced(loss, terms, noise), at.repeat(len(pairs), 1)
    velocities, jacobians = (
        found(everywhere).reshape(len(pairs), *at.shape, -1).numpy()
        for found in (production.velocity, production.jacobian)
    )
    for names, velocity, jacobian in zip(pairs, velocities, jacobians, strict=True):
        hand = by_hand(loss, names)
        assert np.abs(hand.velocity(rest)).max() < 1e-15
        for i, row in enumerate(at.numpy()):
            assert np.abs(velocity[i, :, 0] - hand.velocity(row)).max() < 1e-10, names
            assert np.abs(jacobian[i] - hand.jacobian(row)).max() < 1e-6, names


@pytest.mark.parametrize("loss", LOSSES)
def test_the_second_derivatives_typed_by_hand_are_those_of_the_field(loss):
    """Without norms of gradients the field's derivative is typed; the complex step finds the same."""
    hand = by_hand(loss, ("mse", "charbonnier", "r1", "r2", "instance_noise"))
    for row in somewhere(len(hand.rest())).numpy():
        assert np.abs(hand.smooth(row)[1] + hand.jacobian(row)).max() < 1e-12


@pytest.mark.parametrize("name", ["consensus", "jare"])
def test_norms_of_gradients_contain_everything_that_is_paid_but_themselves(name):
    """With a distortion, a penalty and noise present the norm's weight acts on their gradients too."""
    names = (name, "mse", "r1", "grad_norm")
    production, hand = (
        produced("ns", {n: TERMS[n] for n in names}, True),
        by_hand("ns", (*names, "instance_noise")),
    )
    at = somewhere(2)
    expected = np.stack([hand.velocity(row) for row in at.numpy()])
    assert np.abs(production.velocity(at).numpy() - expected).max() < 1e-10


def test_shuffled_pairs_stay_within_their_game():
    game = ensemble(Relativistic("pair_shuffled").wrap(NonSaturating()), small=Uniform())
    at = somewhere(2)
    alone = torch.cat([game.velocity(row[None]) for row in at])
    assert torch.allclose(game.velocity(at), alone, atol=1e-12)
