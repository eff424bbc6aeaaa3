"""Exponents of small games against the eigenvalues of the update, for every loss and rule."""

import math
import sys
from functools import cache, partial
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "theory"))
from ensembles import FORCES, descent, ensemble, mse, points

from gcn.commands.lab import ensemble as configured
from gcn.config.build import build
from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.game.rules import SGA, Alternating, Extragradient, Lookahead, Optimistic, Simultaneous
from gcn.game.unrolled import Unrolled
from gcn.lab.analysis import equilibrium
from gcn.lab.discrete import growth
from gcn.lab.ensemble import play_on
from gcn.lab.neighbours import exponent_along, exponents_at_rest
from gcn.losses.adversarial import NonSaturating, Wasserstein

UNROLLED = partial(Unrolled, 5, 0.02)
RULES = [Simultaneous, Alternating, Extragradient, Optimistic, Lookahead, SGA, UNROLLED]
H = 0.4


# one loss for each force p at the equilibrium; with one rule all losses of the same p have the same linear map there
OF_FORCE = {1 / 2: "ns", 1: "wgan", 2: "lsgan pair"}
CASES = [(name, Optimistic) for name in OF_FORCE.values()] + [
    ("ns", rule) for rule in RULES if rule is not Optimistic
]
MU = torch.tensor(
    [0.05, 1.8], dtype=torch.float64
)  # turning and without rotation; no two moduli nearly coincide there


def at_rest(name, rule, updates):
    """Leading exponents of the loss with each distortion, and the growth of its update."""
    made, at = ensemble(FORCES[name][0], mse(1.0), rule=rule, **descent(H)), points((0.0, 0.0), (0.0, 0.0))
    copies = made.with_weights({"mse": MU.repeat_interleave(9)})
    found = exponents_at_rest(copies, at, updates)
    return found[:, 0].tolist(), growth(
        made, at, torch.full((2,), H, dtype=torch.float64), {"mse": MU}
    ).tolist()


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_at_rest_it_is_the_logarithm_of_the_spectral_radius(name, rule):
    found, expected = at_rest(name, rule, 100 if rule is Lookahead else 50)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", [name for name in FORCES if name not in OF_FORCE.values()])
def test_at_rest_losses_of_the_same_force_grow_alike(name):
    """From the first updates on, so that few are enough."""
    for found, expected in zip(at_rest(name, Optimistic, 4), of_force(FORCES[name][1]), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


@cache
def of_force(force):
    return at_rest(OF_FORCE[force], Optimistic, 4)


@pytest.mark.parametrize(
    "words",
    ["game=lossy mse=0.1", "game=quantiser mse=0.3", "game=linear_nd mse=1", "game=bilinear", "game=concave mse=0.3",
     "game=uniform mse=0.3", "loss=ml mse=0.3", "optimizer=momentum mse=0.3", "d_steps=2 mse=0.3",
     "lecam=0.5 mse=0.3", "mse=0.3 r1=1 terms.r1.every=3", "mse=0.3 instance_noise=0.5", "consensus=0.3"],
)  # fmt: skip
def test_at_rest_in_other_games(words):
    cfg = parse([*words.split(), "optimizer.lr=0.5"], root=LAB)
    made = configured(cfg, build(cfg, "game"))
    rest = equilibrium(made)
    assert rest.smooth
    found = exponents_at_rest(made, rest.point[None], 120 if len(rest.point) > 3 else 75)[0]
    assert float(found[0]) == pytest.approx(expected_of(made, rest.point), abs=1e-3)


def expected_of(made, at):
    from gcn.lab.discrete import update_map

    game = made.game(at[None])
    players = made.players(game)
    lr = tuple(float(player.lr) for player in players)
    radius = torch.linalg.eigvals(update_map(made, at, lr, tuple(p.linear() for p in players))).abs().max()
    return float(radius.log()) / made.period


@pytest.mark.parametrize(
    ("rule", "sign"), [(Alternating, 0), (Simultaneous, 1), (Extragradient, -1), (Optimistic, -1)]
)
def test_along_a_trajectory_circles_spirals_and_widening(rule, sign):
    """On the bilinear game the update is the same linear map everywhere: 0, ½log(1 + h²), or negative."""
    made = ensemble(Wasserstein(), rule=rule, **descent(0.2))
    path, players = play_on(made, made.game(points((1.0, 0.5))), 5)
    found = exponent_along(made, path[-1, 0], players, 60)
    expected = float(growth(made, points((0.0, 0.0)), torch.tensor([0.2]).double(), {}))
    assert found.value == pytest.approx(expected, abs=1e-3)
    assert (found.value > 1e-3) - (found.value < -1e-3) == sign
    assert found.low < found.value < found.high


def test_one_that_escapes_has_no_exponent():
    made = ensemble(NonSaturating(), mse(1.0), rule=Simultaneous, **descent(1e3))
    path, players = play_on(made, made.game(points((1.0, 0.5))), 1)
    assert math.isnan(exponent_along(made, path[-1, 0], players, 400).value)
