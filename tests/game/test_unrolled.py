"""Unrolling: G's gradient through steps of D, in closed form on two numbers and by differences on a codec."""

import math
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("theory", "spectrum")]
from ensembles import descent, ensemble, inputs_of_d, mse, played, points
from little import TINIEST, batch, vector
from little import game as codec_game
from small import Small, differing

from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.protocols import Players
from gcn.game.replay import Still
from gcn.game.rules import Simultaneous
from gcn.game.streams import Streams
from gcn.game.unrolled import Unrolled
from gcn.lab.discrete import growth
from gcn.lab.ensemble import play
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.penalties import R1
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.regularizers import Consensus, GradNorm

pytestmark = pytest.mark.usefixtures("native_convolutions")

STARTS = [(0.7, -0.4), (-1.0, 0.2), (0.1, 0.9)]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_its_recursion_on_the_dirac_gan_with_wgan(k):
    """L_D = ψθ, so ψ_k = ψ - ksθ; L_G = -ψ_kθ = -ψθ + ksθ², of which G descends -ψ + 2ksθ."""
    h, s, (t, p) = 0.3, 0.2, STARTS[0]
    path = played(ensemble(Wasserstein()), [(t, p)], 30, partial(Unrolled, k, s), h)[:, 0]
    for found in path[1:].tolist():
        t, p = t + h * (p - 2 * k * s * t), p - h * t
        assert found == pytest.approx((t, p), abs=1e-14)


def test_there_it_is_the_foresighted_generator():
    """‖∇_ψ L_D‖² = θ²: k steps of size s are Nagarajan and Kolter's penalty of weight ks (2017)."""
    penalised = ensemble(Wasserstein(), {"grad_norm": (0.6, GradNorm())})
    there = played(penalised, STARTS, 20, Simultaneous, 0.2)
    assert torch.allclose(
        played(ensemble(Wasserstein()), STARTS, 20, partial(Unrolled, 3, 0.2), 0.2), there, atol=1e-13
    )


def test_a_loss_that_is_not_linear():
    """D's gradients and the derivative for θ by central differences of the losses, in plain numbers."""
    s, h, gamma, mu = 0.8, 0.1, 0.5, 0.3

    def softplus(t):
        return math.log1p(math.exp(t))

    def d_loss(t, p):
        return softplus(p * t) + math.log(2) + gamma / 2 * p**2

    def ahead(t, p):
        for _ in range(2):
            p -= s * (d_loss(t, p + 1e-5) - d_loss(t, p - 1e-5)) / 2e-5
        return p

    def g_loss(t, p):
        return softplus(-ahead(t, p) * t) + mu * t**2

    made = ensemble(NonSaturating(), {**mse(mu), "r1": (gamma, R1())})
    moved = played(made, STARTS, 1, partial(Unrolled, 2, s), h)[1]
    for (t, p), (t_new, p_new) in zip(STARTS, moved.tolist(), strict=True):
        e = 1e-4
        assert t_new == pytest.approx(t - h * (g_loss(t + e, p) - g_loss(t - e, p)) / (2 * e), abs=1e-7)
        assert p_new == pytest.approx(p - h * (d_loss(t, p + e) - d_loss(t, p - e)) / (2 * e), abs=1e-8)


def test_the_slope_of_its_spectrum_is_that_of_the_path():
    """The turning Dirac-GAN shrinks by the spectral radius an update: |λ|² = 1 - 2hks + h² (wgan, ks < 1)."""
    h, k, s = 0.2, 5, 0.05
    made = ensemble(Wasserstein(), rule=partial(Unrolled, k, s), **descent(h))
    rate = float(growth(made, points((0.0, 0.0)), torch.tensor([h]).double(), {}))
    assert rate == pytest.approx(math.log(1 - 2 * h * k * s + h**2) / 2, abs=1e-8)
    start, *_, end = play(made, points((1e-3, 0.0)), 125)[:, 0].norm(dim=1).log()  # four turns
    assert float(end - start) / 125 == pytest.approx(rate, abs=2e-3)


class Kept(Still):
    """A player that keeps the gradients which it is given."""

    def step(self, gradients):
        self.gradients = [g.detach().clone() for g in gradients]


@pytest.mark.parametrize(
    "words", ["loss=ns mse=1 r1=1", "loss=hinge relativistic=average gp=1 instance_noise=0.1"]
)
def test_on_a_codec_it_is_the_derivative_of_the_loss_after_the_steps(words):
    """Along a direction of θ: central differences, each with D moved by the game's own gradients."""
    k, s, e = 2, 0.05, 1e-5
    game, at = codec_game(words, size=TINIEST), 3
    x, theta = batch(game, side=16), game.parameters_of("g")
    kept = Players(*(Kept(game.parameters_of(player)) for player in ("g", "d")))
    start = [p.detach().clone() for p in game.parameters_of("d")]
    Unrolled(k, s)(game, [x], at, kept)
    direction = vector(sum(p.numel() for p in theta)).split([p.numel() for p in theta])
    expected = 0.0
    for sign in (1, -1):
        _add(theta, [sign * e * part.view_as(p) for part, p in zip(direction, theta, strict=True)])
        for _ in range(k):
            _add(game.parameters_of("d"), [-s * g for g in game.gradient("d", game.turn("both", x, at))])
        losses = game.objective.losses(game.turn("both", x, at), "g")
        expected += sign * sum(loss.weight * loss.value.item() for loss in losses) / (2 * e)
        _add(theta, [-sign * e * part.view_as(p) for part, p in zip(direction, theta, strict=True)])
        _add(
            game.parameters_of("d"),
            [a - p.detach() for a, p in zip(start, game.parameters_of("d"), strict=True)],
        )
    pairs = zip(kept.g.gradients, direction, strict=True)
    found = float(sum((g.reshape(-1) * part).sum() for g, part in pairs))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    plain = zip(game.gradient("g", game.turn("both", x, at)), direction, strict=True)
    assert abs(found - float(sum((g.reshape(-1) * part).sum() for g, part in plain))) > 1e-4 * abs(found)


@torch.no_grad()
def _add(parameters, moves):
    for parameter, move in zip(parameters, moves, strict=True):
        parameter.add_(move)


@pytest.mark.parametrize("words", ["spectral_norm=true", "discriminator.norm=batch"])
def test_the_discriminator_moves_as_if_there_were_no_steps_ahead(words):
    """Weights, power iterations and batch statistics of D after one update; all that differs is G."""
    alone = Small(f"mse=1 {words}")
    turn = alone.game.turn("both", alone.batches(0)[0], 0)
    alone.players.d.step(alone.game.gradient("d", turn, create_graph=True))
    ahead = Small(f"mse=1 {words} dynamics=unrolled dynamics.k=3 dynamics.step=1").play(1)
    different = differing(alone.weights(), ahead.weights())
    assert different
    assert all(name.startswith("generator.") for name in different)


def test_all_steps_see_the_same_batch_and_noise(monkeypatch):
    seen = inputs_of_d(monkeypatch)
    noisy = ensemble(
        NonSaturating(),
        perturbations=[InstanceNoise(1.0)],
        streams=Streams(0),
        rule=partial(Unrolled, 3, 0.1),
    )
    play(noisy, points([0.5, 0.3]), 1)
    different = []
    for images in seen:
        if not any(torch.equal(images, other) for other in different):
            different.append(images)
    assert len(seen) > 4
    assert len(different) == 2  # one of real, one of fake


@pytest.mark.parametrize("root", ["train", LAB])
@pytest.mark.parametrize("word", ["consensus=0.1", "jare=0", "d_steps=2", "adv=adaptive"])
def test_what_does_not_fit_is_refused(word, root):
    words = ["dynamics=unrolled", "mse=1", word]
    with pytest.raises(InputError, match=word.split("=")[0]) as refused:
        parse(words) if root == "train" else parse(words, root=root)
    assert "\n" not in str(refused.value)


def test_a_term_on_the_gradient_of_g_is_refused_where_no_yaml_could_know():
    made = ensemble(Wasserstein(), {"mine": (1.0, Consensus())}, rule=Unrolled)
    with pytest.raises(InputError, match=r"dynamics=unrolled mine: .* drop mine"):
        play(made, points((0.1, 0.1)), 1)
