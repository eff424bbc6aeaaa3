"""HiFiC's codec: its formulas, its size, the names of its weights."""

import importlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from generators import GENERATORS

from gcn.models.files import _reflected
from gcn.models.hific import ChannelNorm


def test_sizes_are_the_published_ones():
    settings = yaml.safe_load((GENERATORS / "hific.yaml").read_text())
    module, cls = settings["_target_"].rsplit(".", 1)
    arguments = {key: value for key, value in settings.items() if not key.startswith("_")}
    with torch.device("meta"):
        codec = getattr(importlib.import_module(module), cls)(**arguments)
    sizes = {part: sum(p.numel() for p in parameters) for part, parameters in codec.parts().items()}
    assert sizes == {"encoder": 7_423_420, "decoder": 156_774_683, "entropy": 17_282_040, "aux": 960}
    shapes = {name: tuple(value.shape) for name, value in codec.named_parameters()}
    assert len(shapes) == 151
    assert sum(map(np.prod, shapes.values())) == 181_481_103
    assert shapes["g_a.blocks.0.0.weight"] == (60, 3, 7, 7)
    assert shapes["g_a.blocks.4.1.gamma"] == (960,)
    assert shapes["g_a.blocks.5.weight"] == (220, 960, 3, 3)
    assert shapes["g_s.block_0.1.weight"] == (960, 220, 3, 3)
    assert shapes["g_s.resid_blocks.8.sequence.4.beta"] == (960,)
    assert shapes["g_s.blocks.0.0.weight"] == (960, 480, 3, 3)
    assert shapes["g_s.blocks.4.weight"] == (3, 60, 7, 7)
    assert shapes["h_a.4.weight"] == (320, 320, 5, 5)
    assert shapes["h_s.mean.0.weight"] == shapes["h_s.scale.2.weight"] == (320, 320, 5, 5)
    assert shapes["h_s.scale.4.weight"] == (220, 320, 3, 3)
    assert shapes["entropy_bottleneck.matrices.0"] == (320, 3, 1)


def randomised(generator):
    """A slim codec in double precision, no weight at its first value."""
    codec = generator("hific", blocks=2).double()
    with torch.no_grad():
        for name, p in codec.named_parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name))))
    return codec, codec.state_dict()


def norm(x, weights, key):
    """The formula of the paper's code, with the unbiased variance."""
    gamma, beta = (weights[f"{key}.{name}"][:, None, None] for name in ("gamma", "beta"))
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=True)
    return (x - mean) * torch.rsqrt(variance + 1e-3) * gamma + beta


def conv(x, weights, key, stride=1):
    w = weights[f"{key}.weight"]
    return F.conv2d(x, w, weights[f"{key}.bias"], stride, w.shape[-1] // 2)


def transposed(x, weights, key):
    w = weights[f"{key}.weight"]
    return F.conv_transpose2d(x, w, weights[f"{key}.bias"], 2, w.shape[-1] // 2, output_padding=1)


def test_networks_are_the_published_formulas(generator):
    """Borders included."""
    codec, w = randomised(generator)
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 128).double()
    y = F.relu(norm(conv(x, w, "g_a.blocks.0.0"), w, "g_a.blocks.0.1"))
    for i in range(1, 5):
        y = F.relu(norm(conv(y, w, f"g_a.blocks.{i}.0", 2), w, f"g_a.blocks.{i}.1"))
    y = conv(y, w, "g_a.blocks.5")
    z = conv(F.relu(conv(F.relu(conv(y, w, "h_a.0")), w, "h_a.2", 2)), w, "h_a.4", 2)
    mean, scale = (
        conv(F.relu(transposed(F.relu(transposed(z, w, f"h_s.{k}.0")), w, f"h_s.{k}.2")), w, f"h_s.{k}.4")
        for k in ("mean", "scale")
    )
    first = h = norm(conv(norm(y, w, "g_s.block_0.0"), w, "g_s.block_0.1"), w, "g_s.block_0.2")
    for i in range(2):
        key = f"g_s.resid_blocks.{i}.sequence"
        inner = F.relu(norm(conv(h, w, f"{key}.0"), w, f"{key}.1"))
        h = h + norm(conv(inner, w, f"{key}.3"), w, f"{key}.4")
    h = h + first
    for i in range(4):
        h = F.relu(norm(transposed(h, w, f"g_s.blocks.{i}.0"), w, f"g_s.blocks.{i}.1"))
    x_hat = conv(h, w, "g_s.blocks.4")
    assert y.shape == (2, 6, 4, 8)
    torch.testing.assert_close(codec.g_a(x), y)
    torch.testing.assert_close(codec.h_a(y), z)
    torch.testing.assert_close(codec.split(codec.h_s(z)), (mean, scale))
    torch.testing.assert_close(codec.g_s(y), x_hat)
    torch.testing.assert_close(codec.for_coding().analyse(x), y)  # x is not centred
    torch.testing.assert_close(codec.for_coding().synthesise(y, 64, 128), x_hat)


def test_channel_norm_has_all_derivatives():
    torch.manual_seed(0)
    layer = ChannelNorm(5).double()
    with torch.no_grad():
        layer.gamma.uniform_(0.5, 2)
        layer.beta.normal_()
    x = torch.randn(2, 5, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


@pytest.mark.parametrize(("length", "padded"), [(1, 64), (2, 7), (5, 9), (40, 64), (64, 64), (65, 128)])
def test_images_are_padded_by_reflection(length, padded):
    wanted = np.pad(np.arange(length), (0, padded - length), mode="reflect")
    assert _reflected(length, padded).tolist() == wanted.tolist()
    if padded - length < length:
        row = torch.arange(float(length))[None, None]
        assert F.pad(row, (0, padded - length), mode="reflect")[0, 0].tolist() == wanted.tolist()
