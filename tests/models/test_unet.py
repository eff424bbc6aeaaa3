"""MS-ILLM's discriminator: its size, its formula, and the scalar logit that everything else reads."""

import pytest
import torch
from torch.nn import functional as F

from gcn.errors import InputError
from gcn.models.unet import UNet


def unet(**options):
    defaults = {
        "width": 4, "classes": 5, "condition": True, "condition_gradient": False, "condition_channels": 2,
        "latent_channels": 3,
    }  # fmt: skip
    torch.manual_seed(0)
    return UNet(**(defaults | options))


def test_the_published_one_has_17_88_million_parameters():
    with torch.device("meta"):
        network = unet(width=128, classes=1024, condition_channels=16, latent_channels=220)
    count = sum(p.numel() for p in network.parameters())
    assert count == 17_877_073
    assert round(count / 1e6, 2) == 17.88


def by_hand(weights, x, cond):
    """Class logits by the layout of the published network: its blocks, from the outside in and out again."""

    def conv(name, t, padding):
        return F.conv2d(t, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    def block(name, t):
        h = conv(f"{name}.second", F.leaky_relu(conv(f"{name}.first", t, 1), 0.2), 1)
        return h + (conv(f"{name}.shortcut", t, 0) if f"{name}.shortcut.weight" in weights else t)

    maps = F.leaky_relu(conv("condition", F.pad(cond, (1, 1, 1, 1), mode="reflect"), 0), 0.2)
    t = torch.cat((x, maps.repeat_interleave(16, 2).repeat_interleave(16, 3)), 1)
    for i in range(6):
        t = F.avg_pool2d(block(f"down.{i}", F.leaky_relu(t, 0.2) if i else t), 2)
    for i in range(3):
        t = block(f"up.{i}", F.leaky_relu(t.repeat_interleave(2, 2).repeat_interleave(2, 3), 0.2))
    return conv("head", t, 0)


def test_class_logits_by_the_formula():
    network, x, cond = unet(), torch.rand(2, 3, 128, 64), torch.randn(2, 3, 8, 4)
    output = network(x, cond)
    expected = by_hand(network.state_dict(), x, cond)
    assert expected.shape == (2, 6, 16, 8)
    torch.testing.assert_close(output.classes[0], expected)
    torch.testing.assert_close(output.logits[0], expected[:, :5].exp().sum(1, True).log() - expected[:, 5:])
    assert len(output.features) == 9


def test_without_a_condition_the_latents_count_nothing():
    network, x = unet(condition=False), torch.rand(1, 3, 64, 64)
    assert torch.equal(network(x).classes[0], network(x, torch.randn(1, 3, 4, 4)).classes[0])
    with pytest.raises(ValueError, match="y_hat"):
        unet()(x, None)


def test_logits_are_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        output = unet()(torch.rand(1, 3, 64, 64), torch.randn(1, 3, 4, 4))
    assert {t.dtype for t in (*output.logits, *output.classes)} == {torch.float32}


def test_the_smallest_images():
    unet().check_input(64, 64)
    assert unet()(torch.rand(1, 3, 64, 64), torch.randn(1, 3, 4, 4)).logits[0].shape == (1, 1, 8, 8)
    with pytest.raises(InputError, match="64 pixels or more, not 63x64"):
        unet().check_input(64, 63)
