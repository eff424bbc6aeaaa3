"""Virtual batch normalisation: the formula, a reference that stays, and images that do not depend on one another."""

import sys
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / "training")]
from small import Small

from gcn.models.discriminator import Patch
from gcn.models.package import discriminator, save
from gcn.models.virtual_norm import VirtualNorm

WORDS = "loss=ns mse=1 discriminator.norm=virtual discriminator.condition=false"


def features(batch, seed=0, side=3):
    return torch.randn(
        batch, 2, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def patch(norm="virtual", depth=3, **options):
    torch.manual_seed(0)
    return Patch(4, depth, False, False, 5, norm, reference=3, side=32, **options)


def test_the_statistics_are_those_of_the_reference_and_the_image_together():
    """By hand for each image: the mean over the R + 1 images, and the variance over all of their places."""
    norm, reference, x = VirtualNorm(2, 4).double(), features(4), 3 + 2 * features(3, 1)
    norm.weight.data, norm.bias.data = torch.tensor([[2.0, -1.0], [0.5, 3.0]], dtype=torch.float64)
    plain = norm(reference)
    expected = torch.nn.functional.batch_norm(
        reference, None, None, norm.weight, norm.bias, training=True, eps=1e-5
    )
    assert torch.allclose(plain, expected, atol=1e-12)
    for image, found in zip(x, norm(x), strict=True):
        together = torch.cat((reference, image[None]))
        mean, variance = together.mean((0, 2, 3)), together.var((0, 2, 3), correction=0)
        by_hand = (image - mean[:, None, None]) / (variance + 1e-5).sqrt()[:, None, None]
        by_hand = norm.weight[:, None, None] * by_hand + norm.bias[:, None, None]
        assert torch.allclose(found, by_hand, atol=1e-12)


def test_logits_do_not_depend_on_the_other_images_and_any_size_is_judged():
    discriminator, (a, b, c) = (
        patch(),
        torch.rand(3, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1)),
    )
    discriminator.reference.begin(torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)))
    beside = [discriminator(torch.cat((a, other))).logits[0][0] for other in (b, c)]
    assert torch.allclose(*beside, atol=1e-6)
    before = discriminator(a).logits[0]
    discriminator.reference.begin(torch.zeros(3, 3, 32, 32))  # of no effect
    assert torch.equal(discriminator(a).logits[0], before)
    discriminator.reference.begun.zero_()
    discriminator.reference.begin(torch.rand(5, 3, 32, 32))
    assert not torch.allclose(discriminator(a).logits[0], before, atol=1e-4)
    assert discriminator(torch.rand(1, 3, 48, 64)).logits[0].shape == (1, 1, 6, 8)
    assert all(layer.statistics is None for layer in discriminator._virtual())


def test_without_it_nothing_is_added():
    assert not any("reference" in name for name in patch("none").state_dict())
    plain, given = patch("batch").state_dict(), patch().state_dict()
    assert {name for name in given if "reference" in name} == {"reference.images", "reference.begun"}
    assert all(torch.equal(given[name], plain[name]) for name in given if "reference" not in name)


def test_a_model_file_with_the_discriminator_holds_the_reference(tmp_path):
    small = Small(WORDS).play(1)
    state = small.game.discriminator.state_dict()
    save(small.game.generator.for_coding(), tmp_path / "game.safetensors", {}, discriminator=state)
    found = discriminator(tmp_path / "game.safetensors", state)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize("rule", ["alternating d_steps=2", "unrolled"])
def test_the_reference_is_the_first_batch_of_the_training(rule):
    small = Small(f"{WORDS} r1=1 dynamics={rule}")
    first = small.batches(0)[0].clone()
    small.play(3)
    assert torch.equal(small.game.discriminator.reference.images, first)
    resumed = Small(f"{WORDS} r1=1 dynamics={rule}")
    resumed.game.load_state_dict(small.game.state_dict())
    resumed.play(1, start=3)
    assert torch.equal(resumed.game.discriminator.reference.images, first)


def test_gradients_reach_the_weights_through_the_reference():
    """The derivative of a logit for a weight, against central differences with the reference's pass included."""
    discriminator, x = patch(depth=2).double(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    discriminator.reference.begin(torch.rand(3, 3, 32, 32, dtype=torch.float64))
    weight = discriminator.hidden[0][0].weight
    (gradient,) = torch.autograd.grad(discriminator(x).logits[0].sum(), weight)
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0, 0, 0] += sign * 1e-6
            ends.append(discriminator(x).logits[0].sum())
            weight[0, 0, 0, 0] -= sign * 1e-6
    assert gradient[0, 0, 0, 0].item() == pytest.approx(((ends[0] - ends[1]) / 2e-6).item(), rel=1e-5)
