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


def games(loss, names):
    """The production game and the one by hand."""
    bias = loss == "lsgan 01"  # with labels 0 and 1 a D without a bias has no force at θ = ψ = 0
    noise = "instance_noise" in names
    terms = {name: TERMS[name] for name in names if name != "instance_noise"}
    production = ensemble(LOSSES[loss], terms, [InstanceNoise(SIGMA)] if noise else [], small=Dirac(bias))
    weights = {name: weight for name, (weight, _) in terms.items()}
    return production, Hand(loss, bias, SIGMA if noise else 0.0, EPSILON, **weights)


def somewhere(size):
    """Three points away from the equilibrium, on both sides of hinge's margin."""
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand(3, size, generator=generator, dtype=torch.float64) - 1.5


# All pairs of terms with one loss of each kind, and every loss with pairs in which every term is present.
EVERY_TERM = [("mse", "grad_norm"), ("charbonnier", "r2"), ("r1", "jare"), ("instance_noise", "consensus")]
CASES = [
    (loss, names)
    for loss in LOSSES
    for names in (combinations(TERMS, 2) if loss in ("ns", "lsgan 01", "ns average") else EVERY_TERM)
]


@pytest.mark.parametrize(("loss", "names"), CASES)
def test_two_terms_make_the_field_and_the_spectrum_that_formulas_say(loss, names):
    production, hand = games(loss, names)
    at = torch.cat([points(hand.rest()), somewhere(len(hand.rest()))])
    velocities, jacobians = production.velocity(at), production.jacobian(at)
    assert np.abs(hand.velocity(hand.rest())).max() < 1e-15
    for row, velocity, jacobian in zip(at.numpy(), velocities, jacobians, strict=True):
        assert np.abs(velocity.numpy() - hand.velocity(row)).max() < 1e-10
        assert np.abs(jacobian.numpy() - hand.jacobian(row)).max() < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_the_second_derivatives_typed_by_hand_are_those_of_the_field(loss):
    """Without norms of gradients the field's derivative is typed; the complex step finds the same."""
    _, hand = games(loss, ("mse", "charbonnier", "r1", "r2", "instance_noise"))
    for row in somewhere(len(hand.rest())).numpy():
        assert np.abs(hand.smooth(row)[1] + hand.jacobian(row)).max() < 1e-12


@pytest.mark.parametrize("name", ["consensus", "jare"])
def test_norms_of_gradients_contain_everything_that_is_paid_but_themselves(name):
    """With a distortion, a penalty and noise present the norm's weight acts on their gradients too."""
    names = (name, "mse", "r1", "instance_noise", "grad_norm")
    production, hand = games("ns", names)
    at = somewhere(2)
    expected = np.stack([hand.velocity(row) for row in at.numpy()])
    assert np.abs(production.velocity(at).numpy() - expected).max() < 1e-10


def test_shuffled_pairs_stay_within_their_game():
    game = ensemble(Relativistic("pair_shuffled").wrap(NonSaturating()), small=Uniform())
    at = somewhere(2)
    alone = torch.cat([game.velocity(row[None]) for row in at])
    assert torch.allclose(game.velocity(at), alone, atol=1e-12)
