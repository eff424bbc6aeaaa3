"""Historical averaging against its recursion on two numbers, its spectrum, and on a codec."""

import sys
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("theory", "training")]
from ensembles import distance, ensemble, played, points
from small import Small

from gcn.game.rules import Simultaneous
from gcn.lab.discrete import update_map
from gcn.lab.players import PLAIN
from gcn.losses.adversarial import Wasserstein
from gcn.losses.historical_averaging import HistoricalAveraging

pytestmark = pytest.mark.usefixtures("native_convolutions")

WEIGHT, H = 0.3, 0.2
STARTS = [(0.7, -0.4), (-1.0, 0.2)]


def made(**how):
    return ensemble(Wasserstein(), {"past": (WEIGHT, HistoricalAveraging())}, **how)


def test_its_recursion_on_the_dirac_gan_with_wgan():
    """θ ← θ + h(ψ - 2λ(θ - mean)), ψ ← ψ - h(θ + 2λ(ψ - mean)), the means over the start and all updates so far."""
    paths = played(made(), STARTS, 20, Simultaneous, H)
    for i, start in enumerate(STARTS):
        t, p = start
        past = [start]
        for found in paths[1:, i].tolist():
            mean_t, mean_p = (sum(values) / len(past) for values in zip(*past, strict=True))
            t, p = t + H * (p - 2 * WEIGHT * (t - mean_t)), p - H * (t + 2 * WEIGHT * (p - mean_p))
            past.append((t, p))
            assert found == pytest.approx((t, p), abs=1e-13)


def test_at_an_equilibrium_the_players_are_damped_and_the_means_stand_still():
    """I + h(J - 2λI), J = [[0, 1], [-1, 0]], and an eigenvalue of 1 for each mean and for the share of the newest."""
    update = update_map(made(rule=Simultaneous), points((0.0, 0.0))[0], (H, H), (PLAIN, PLAIN))
    held = 1 - 2 * WEIGHT * H
    assert distance(torch.linalg.eigvals(update), [held + 1j * H, held - 1j * H, 1, 1, 1]) < 1e-7


@pytest.mark.parametrize("rule", ["alternating d_steps=2", "extragradient", "unrolled"])
def test_on_a_codec_the_value_is_the_distance_from_the_mean_of_all_points(rule):
    """Each rule moves the mean once an update, and both players' terms see their own parameters alone."""
    small = Small(f"loss=ns mse=1 historical_averaging=0 dynamics={rule}")
    past = []
    for step in range(3):
        past.append(small.weights())
        small.play(1, start=step)
    turn = small.game.turn("both", small.batches(3)[0], 3)
    term = small.game.objective.terms["historical_averaging"]
    assert term.share.item() == pytest.approx(1 / 4)
    past.append(small.weights())
    for player, prefix in (("g", "generator."), ("d", "discriminator.")):
        turn.payer = player
        moving = {id(p) for p in small.game.parameters_of(player)}
        names = [
            prefix + n for n, p in getattr(small.game, prefix[:-1]).named_parameters() if id(p) in moving
        ]
        expected = sum(
            float((past[-1][name] - sum(point[name] for point in past) / 4).square().sum()) for name in names
        )
        assert expected > 0
        assert term(turn).item() == pytest.approx(expected, rel=1e-4)


def test_before_the_first_update_there_is_nothing_to_hold():
    small = Small("loss=ns mse=1 historical_averaging=1")
    losses = small.game.objective.losses(small.game.turn("d", small.batches(0)[0], 0), "d")
    assert {loss.name: loss.value.item() for loss in losses}["historical_averaging"] == 0
