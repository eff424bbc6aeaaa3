"""``null`` and ``0`` train the same weights, bit for bit, while everything is being observed."""

from functools import cache

import pytest
import torch
from small import LABELS, LARGE, Small, differing

from gcn.config.offered import knobs
from gcn.game.rules import Descend

pytestmark = [
    pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights"),
    pytest.mark.usefixtures("native_convolutions"),
]

WEIGHTS = [name for name, knob in knobs().items() if knob.kind == "weight"]
ALONE = {  # weights of zero that need something else beside them than all others do
    "mse": "mse=null rate=1",
    "rate": "mse=1 rate=null",
    "class_entropy": f"mse=1 {LABELS}",
}
UPDATES = 2


@cache
def trained(said: str) -> dict[str, torch.Tensor]:
    return Small(said).play(UPDATES).weights()


def measured(base: str, *names: str) -> dict[str, torch.Tensor]:
    """Weights of a training with weights of zero, all of whose terms are measured."""
    small = Small(f"{base} {' '.join(f'{name}=0' for name in names)}").play(UPDATES)
    for name in names:
        players = {"generator loss": "g", "discriminator loss": "d", "both losses": "gd"}
        assert all(f"{player}/{name}" in small.game.values for player in players[knobs()[name].changes])
    return small.weights()


@pytest.mark.parametrize("name", ALONE)
def test_a_weight_of_zero_trains_as_none_at_all(name):
    assert differing(trained(ALONE[name]), measured(ALONE[name], name)) == []


@pytest.mark.parametrize(
    "base",
    [
        "mse=1",
        "mse=1 spectral_norm=true",
        "mse=1 spectral_norm=true d_steps=2 instance_noise=0.1 relativistic=pair_shuffled",
        "mse=1 dynamics=extragradient spectral_norm=true",
        "mse=1 dynamics=simultaneous discriminator.norm=instance",
    ],
)
def test_all_other_weights_of_zero_train_as_none_and_leave_the_discriminators_buffers(base):
    others = [name for name in WEIGHTS if name not in ALONE]
    assert differing(trained(f"{LARGE} {base}"), measured(f"{LARGE} {base}", *others)) == []


def test_batch_statistics_are_restored_after_a_measurement():
    base, zero = "mse=1 discriminator.norm=batch", "feature_matching=0 consensus=0 jare=0 grad_norm=0"
    assert differing(trained(base), trained(f"{base} {zero}")) == []


def test_observing_does_not_steer():
    for said in (
        "r1=10 terms.r1.every=2 spectral_norm=true",
        "mse=1 consensus=0.1 grad_norm=1 instance_noise=0.1",
    ):
        unseen = Small(said)
        unseen.game.instruments = []
        unseen.play(UPDATES, observe_every=100)
        assert differing(unseen.weights(), trained(said)) == []


def test_without_adversarial_weight_the_generator_trains_on_rate_and_distortion():
    game = Small("loss=ns adv=0 mse=1").play(UPDATES)
    assert "g/adv" in game.game.values
    alone = Small("loss=none mse=1")
    alone.rule = Descend()
    generator = {name: t for name, t in game.weights().items() if name.startswith("generator.")}
    assert differing(generator, alone.play(UPDATES).weights()) == []
