"""What the tests of the theory share: small games with production objectives, and comparisons of spectra.

The code's convention is high = real: D(x) = ψx, and G climbs D. The formulas in the literature have the other sign,
ψ → -ψ, which no spectrum notices.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from gcn.game.objective import Objective
from gcn.game.rules import Simultaneous
from gcn.lab.ensemble import Discriminator, GameEnsemble, play
from gcn.lab.games import Dirac
from gcn.lab.players import SGD
from gcn.losses.adversarial import LSGAN, Hinge, NonSaturating, Relativistic, Vanilla, Wasserstein
from gcn.losses.distortion import MSE

# losses with a bias-free D, and the force p = √bc that each player feels at the equilibrium
FORCES = {
    "ns": (NonSaturating(), 1 / 2),
    "vanilla": (Vanilla(), 1 / 2),
    "wgan": (Wasserstein(), 1),
    "hinge": (Hinge(), 1),
    "lsgan": (LSGAN(), 1),
    "ns pair": (Relativistic("pair").wrap(NonSaturating()), 1 / 2),
    "vanilla pair": (Relativistic("pair").wrap(Vanilla()), 1 / 2),
    "wgan pair": (Relativistic("pair").wrap(Wasserstein()), 1),
    "hinge pair": (Relativistic("pair").wrap(Hinge()), 1),
    "lsgan pair": (Relativistic("pair").wrap(LSGAN()), 2),
    "ns average": (Relativistic("average").wrap(NonSaturating()), 1 / 2),
    "vanilla average": (Relativistic("average").wrap(Vanilla()), 1 / 2),
    "wgan average": (Relativistic("average").wrap(Wasserstein()), 1),
    "hinge average": (Relativistic("average").wrap(Hinge()), 1),
    "lsgan average": (Relativistic("average").wrap(LSGAN()), 2),
}


def ensemble(loss, terms=None, perturbations=(), adv=1.0, small=None, **how):
    """A small game, by default the Dirac-GAN, with an objective of production terms; ``how`` the players move."""
    return GameEnsemble(small or Dirac(), Objective(loss, adv, terms, perturbations), **how)


def mse(mu, coordinates=1):
    """μ·Σ(x_hat - x)² as a weight of the production term, which is a mean over coordinates in units of grey levels."""
    return {"mse": (mu, MSE(unit=255 / math.sqrt(coordinates)))}


def descent(h):
    """Gradient descent with step h, one for all games or one each."""
    return {"optimizer": partial(SGD, lr=h)}


def points(*rows):
    """Games that stand at these points, float64."""
    return torch.tensor(rows, dtype=torch.float64)


def distance(found, expected):
    """Largest distance of two spectra under the best pairing of their eigenvalues."""
    found, expected = np.asarray(found, dtype=complex), np.asarray(expected, dtype=complex)
    assert found.shape == expected.shape
    apart = np.abs(found[:, None] - expected[None])
    return apart[linear_sum_assignment(apart)].max()


def measured(game, at=None):
    """Eigenvalues of the production field at its equilibrium; that ``at`` is one is asserted."""
    at = points(at or [0.0] * len(game.small.names))
    assert game.velocity(at).norm() < 1e-11
    return torch.linalg.eigvals(game.jacobian(at)[0]).tolist()


def measured_each(game, weights):
    """Eigenvalues of the production field at θ = ψ = 0 for each of several weights, all in one ensemble.

    Args:
        game: has the terms.
        weights: of terms by their names, a sequence each.
    """
    together = game.with_weights({name: points(values)[0] for name, values in weights.items()})
    at = torch.zeros(len(next(iter(weights.values()))), len(game.small.names), dtype=torch.float64)
    assert together.velocity(at).norm() < 1e-11
    return torch.linalg.eigvals(together.jacobian(at)).tolist()


def assert_spectra(game, weights, expected):
    """:func:`assert_spectrum` for each of several weights, see :func:`measured_each`; returns the spectra."""
    spectra = measured_each(game, weights)
    for i, (found, spectrum) in enumerate(zip(spectra, expected, strict=True)):
        alone = game.with_weights({name: values[i] for name, values in weights.items()})
        _assert_same(found, alone.small.closed_form(alone.strengths), spectrum)
    return spectra


def assert_spectrum(game, expected, at=None):
    """The production field has these eigenvalues at its equilibrium, and the game's closed form says so too."""
    _assert_same(measured(game, at), game.small.closed_form(game.strengths), expected)


def _assert_same(found, formula, expected):
    assert distance(found, expected) < 1e-6, f"{found} is not {expected}"
    assert formula is not None
    assert distance(formula, expected) < 1e-9, f"the closed form says {formula}, not {expected}"


def root(square):
    """√ of a real number, imaginary where that is negative."""
    return complex(square) ** 0.5


def radii(path):
    """Distances from the origin, for each update and game."""
    return path.norm(dim=2)


def played(game, starts, steps, rule=Simultaneous, h=0.01, every=1):
    """Trajectories of gradient descent, (T, E, N)."""
    return play(replace(game, rule=rule, **descent(h)), points(*starts), steps, every)


def inputs_of_d(monkeypatch):
    """A list that collects everything that the small games' discriminators are given from now on."""
    seen, forward = [], Discriminator.forward

    def watch(self, images, cond=None):
        seen.append(images.detach().clone())
        return forward(self, images, cond)

    monkeypatch.setattr(Discriminator, "forward", watch)
    return seen
