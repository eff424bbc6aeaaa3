"""BEGAN against its recursion on two and three numbers, its spectrum, and on a codec."""

import sys
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("theory", "training")]
from ensembles import assert_spectrum, distance, ensemble, mse, played, points
from small import Small

from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.rules import Simultaneous
from gcn.game.rules import update as make_update
from gcn.lab.discrete import update_map
from gcn.lab.ensemble import play_on
from gcn.lab.games import Dirac
from gcn.lab.players import PLAIN
from gcn.losses.began import BEGAN

pytestmark = pytest.mark.usefixtures("native_convolutions")

GAMMA, RATE, K, H = 0.4, 0.9, 0.25, 0.2


def test_its_recursion_on_the_dirac_gan_with_a_bias():
    """L(x) = -b, L(x_hat) = -(ψθ + b): θ ← θ + hψ, ψ ← ψ - hkθ, b ← b + h(1 - k), and then k by D's new energies."""
    starts = [(0.7, -0.4, -0.5), (-1.0, 0.2, -0.3), (0.3, 0.9, 0.8)]
    game = ensemble(BEGAN(GAMMA, RATE, K), small=Dirac(bias=True))
    paths = played(game, starts, 40, Simultaneous, H)
    shares = []
    for i, start in enumerate(starts):
        (t, p, b), k = start, K
        for found in paths[1:, i].tolist():
            x_hat = t
            t, p, b = t + H * p, p - H * k * t, b + H * (1 - k)
            k = min(max(k + RATE * (GAMMA * -b + (p * x_hat + b)), 0), 1)
            shares.append(k)
            assert found == pytest.approx((t, p, b), abs=1e-12)
    assert {0, 1} <= set(shares)  # both bounds were reached
    assert len(set(shares)) > 20


def test_each_game_has_a_share_of_its_own_which_the_update_map_contains():
    game = ensemble(BEGAN(GAMMA, RATE, K), mse(0.2), rule=Simultaneous)
    made = game.game(points((0.7, -0.4), (-1.0, 0.2)))
    play_on(game, made, 3)
    together = made.objective.loss.k
    for i, start in enumerate([(0.7, -0.4), (-1.0, 0.2)]):
        alone = game.game(points(start))
        play_on(game, alone, 3)
        assert alone.objective.loss.k.item() == together[i].item()
    assert game.objective.loss.k == torch.tensor(K)  # what the games are copied from
    update = update_map(game, points((0.0, 0.0))[0], (H, H), (PLAIN, PLAIN))
    root = complex(0.2**2 - K) ** 0.5  # of I + hJ, J = [[-2μ, 1], [-k, 0]]; k is of second order there
    assert distance(torch.linalg.eigvals(update), [1 + H * (-0.2 + root), 1 + H * (-0.2 - root), 1]) < 1e-6


def test_its_rotation_has_the_frequency_of_the_root_of_k():
    assert_spectrum(ensemble(BEGAN(k=0.25)), [0.5j, -0.5j])


@pytest.mark.parametrize("rule", ["alternating d_steps=2", "extragradient", "unrolled dynamics.step=1e-6"])
def test_on_a_codec_the_share_follows_the_energies_after_each_update(rule):
    small = Small(f"loss=began loss.gamma=0.3 loss.rate=0.01 mse=1 discriminator=autoencoder dynamics={rule}")
    loss, k, logged = small.game.objective.loss, 0.0, []
    for step in range(3):
        before = loss.k.item()
        turn = make_update(small.game, small.rule, small.batches(step), step, small.players, observe=True)
        values = small.game.values
        logged.append(values["d/adv/k"].item() == before)
        real, fake = -values["d/logit_real"].item(), -values["d/logit_fake"].item()
        assert values["d/adv/convergence"].item() == pytest.approx(real + abs(0.3 * real - fake), rel=1e-5)
        assert values["d/adv"].item() == pytest.approx(real - before * fake, rel=1e-5)
        with torch.no_grad():
            after = turn.aside()
            real, fake = (-o.logits[0].mean().item() for o in (after.real, after.fake))
        k = min(max(k + 0.01 * (0.3 * real - fake), 0), 1)
        assert loss.k.item() == pytest.approx(k, rel=1e-5)
    assert all(logged)
    assert min(real, fake) > 0
    assert "g/adv/k" not in values


def test_in_the_warm_up_the_share_stays_as_it_is():
    small = Small("loss=began loss.k=0.5 loss.rate=1 mse=1 discriminator=autoencoder")
    from gcn.game.rules import Descend

    small.rule = Descend()
    small.play(2)
    assert small.game.objective.loss.k == 0.5
    assert "d/adv/k" not in small.game.values


@pytest.mark.parametrize("root", ["train", LAB])
@pytest.mark.parametrize("word", ["relativistic=pair", "label_smoothing=0.1", "loss.gamma=0", "loss.k=1.5"])
def test_what_does_not_fit_is_refused(word, root):
    words = ["loss=began", word]
    with pytest.raises(InputError, match=word.split("=")[0]) as refused:
        parse([*words, "discriminator=autoencoder"]) if root == "train" else parse(words, root=root)
    assert "\n" not in str(refused.value)


def test_a_discriminator_without_energies_is_refused():
    with pytest.raises(InputError, match=r"discriminator=patch.*choose discriminator=autoencoder"):
        parse(["loss=began", "mse=1"])
