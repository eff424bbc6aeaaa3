"""Converted networks against plain ``torch.nn.functional`` on the file's own tensors, written from its table."""

import pytest
import torch
import torch.nn.functional as F
from compressai.models import FactorizedPrior, MeanScaleHyperprior, ScaleHyperprior
from synthetic import ZOO, P, compressai, hific

from gcn.models.published.codec_target import filled
from gcn.models.published.conversion import converted, recognised
from gcn.models.published.layouts import LAYOUTS
from gcn.models.published.weights_file import read

RANDOM = torch.Generator().manual_seed(1)
X = torch.rand(2, 3, 64, 128, generator=RANDOM)
CLASSES = dict(zip(ZOO, (FactorizedPrior, ScaleHyperprior, MeanScaleHyperprior), strict=True))


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """The converted codec of a state dict."""

    def convert(state):
        path = tmp_path_factory.mktemp("weights") / "weights.pth"
        torch.save(state, path)
        file = read(path)
        return filled(converted(file, recognised(file, LAYOUTS)))

    return convert


def agree(ours, theirs):
    """To 1e-5 of the largest value, at every place: borders and corners are among them."""
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= 1e-5 * max(1.0, float(theirs.abs().max()))


# --- NeuralCompression ---


def conv(s, name, x, stride=1):
    weight = s[f"{name}.weight"]
    return F.conv2d(x, weight, s[f"{name}.bias"], stride, weight.shape[-1] // 2)


def deconv(s, name, x):
    weight = s[f"{name}.weight"]
    return F.conv_transpose2d(x, weight, s[f"{name}.bias"], 2, weight.shape[-1] // 2, output_padding=1)


def norm(s, name, x):
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=True, keepdim=True)
    return s[f"{name}.gamma"] * (x - mean) / (variance + 1e-3).sqrt() + s[f"{name}.beta"]


def hific_encoder(s, x):
    x = norm(s, "encoder.blocks.0.1", conv(s, "encoder.blocks.0.0", x)).relu()
    for i in range(1, 5):
        x = norm(s, f"encoder.blocks.{i}.1", conv(s, f"encoder.blocks.{i}.0", x, stride=2)).relu()
    return conv(s, "encoder.blocks.5", x)


def hific_decoder(s, y, blocks):
    x = norm(s, "decoder.block_0.2", conv(s, "decoder.block_0.1", norm(s, "decoder.block_0.0", y)))
    first = x
    for i in range(blocks):
        prefix = f"decoder.resid_blocks.{i}.sequence"
        inner = norm(s, f"{prefix}.1", conv(s, f"{prefix}.0", x)).relu()
        x = x + norm(s, f"{prefix}.4", conv(s, f"{prefix}.3", inner))
    x = first + x
    for i in range(4):
        x = norm(s, f"decoder.blocks.{i}.1", deconv(s, f"decoder.blocks.{i}.0", x)).relu()
    return conv(s, "decoder.blocks.4", x)


def hific_hyper_analysis(s, y):
    z = conv(s, "hyper_analysis.0", y).relu()
    return conv(s, "hyper_analysis.4", conv(s, "hyper_analysis.2", z, stride=2).relu(), stride=2)


def hific_hyper_synthesis(s, name, z):
    x = deconv(s, f"hyper_synthesis_{name}.0", z).relu()
    return conv(s, f"hyper_synthesis_{name}.4", deconv(s, f"hyper_synthesis_{name}.2", x).relu())


def test_hific_autoencoder(codec):
    state = hific()
    ours = codec(state)
    y = 3 * torch.randn(2, 5, 4, 8, generator=RANDOM)
    z = 3 * torch.randn(2, 4, 2, 3, generator=RANDOM)
    agree(ours.g_a(X - ours.centre), hific_encoder(state, X))
    agree(ours.g_s(y) + ours.centre, hific_decoder(state, y, 2))
    agree(ours.hyper_latents(y), hific_hyper_analysis(state, y))
    mean, raw = ours.split(ours.h_s(z))
    agree(mean, hific_hyper_synthesis(state, "mean", z))
    agree(raw, hific_hyper_synthesis(state, "scale", z))
    agree(ours.gaussian_conditional.scale(raw), hific_hyper_synthesis(state, "scale", z).clamp(min=0.11))


def test_an_image_is_padded_by_reflection_to_multiples_of_64(codec):
    state = hific()
    x = X[..., :50, :70]
    padded = F.pad(x, (0, 128 - 70, 0, 64 - 50), mode="reflect")
    agree(codec(state).analyse(x), hific_encoder(state, padded))


# --- CompressAI ---


def gdn(s, name, x, inverse):
    beta = s[f"{name}.beta"].clamp(min=(1e-6 + P) ** 0.5).square() - P
    gamma = s[f"{name}.gamma"].clamp(min=P**0.5).square() - P
    total = F.conv2d(x.square(), gamma[..., None, None], beta)
    return x * total.sqrt() if inverse else x / total.sqrt()


def transforms(s, part, x):
    for i in range(4):
        x = conv(s, f"g_a.{2 * i}", x, stride=2) if part == "g_a" else deconv(s, f"g_s.{2 * i}", x)
        x = gdn(s, f"{part}.{2 * i + 1}", x, part == "g_s") if i < 3 else x
    return x


@pytest.mark.parametrize("kind", ZOO)
def test_compressai_s_models(kind, codec):
    """Formulas, and CompressAI's own networks with the same file."""
    state = compressai(kind)
    ours, theirs = codec(state), CLASSES[kind](4, 6)
    theirs.load_state_dict(state)
    y = 3 * torch.randn(2, 6, 8, 4, generator=RANDOM)
    z = 3 * torch.randn(2, 4, 2, 3, generator=RANDOM)
    theirs.requires_grad_(False)
    for reference in (lambda x: transforms(state, "g_a", x), theirs.g_a):
        agree(ours.g_a(X - ours.centre), reference(X))
    for reference in (lambda x: transforms(state, "g_s", x), theirs.g_s):
        agree(ours.g_s(y) + ours.centre, reference(y))
    if kind == "bmshj2018-factorized":
        return
    slope, magnitudes = (0.01, False) if kind == "mbt2018-mean" else (0.0, True)

    def act(x):
        return F.leaky_relu(x, slope)

    def h_a(y):
        return conv(state, "h_a.4", act(conv(state, "h_a.2", act(conv(state, "h_a.0", y)), 2)), 2)

    def h_s(z):
        out = conv(state, "h_s.4", act(deconv(state, "h_s.2", act(deconv(state, "h_s.0", z)))))
        return act(out) if magnitudes else out

    for reference in (h_a, theirs.h_a):
        agree(ours.hyper_latents(y), reference(y.abs() if magnitudes else y))
    mean, raw = ours.split(ours.h_s(z))
    for reference in (h_s, theirs.h_s):
        scales, means = (reference(z), torch.zeros_like(raw)) if magnitudes else reference(z).chunk(2, dim=1)
        agree(mean, means)
        agree(raw, scales)


@pytest.mark.parametrize("kind", ZOO)
def test_densities_are_compressai_s(kind, codec):
    state = compressai(kind)
    ours, theirs = codec(state), CLASSES[kind](4, 6)
    theirs.load_state_dict(state)
    values = 4 * torch.randn(2, len(ours.entropy_bottleneck.quantiles), 3, 5, generator=RANDOM)
    stacked = values.transpose(0, 1).flatten(1)[:, None]
    expected = theirs.entropy_bottleneck._likelihood(stacked)[0]
    expected = expected.reshape(len(stacked), 2, 3, 5).transpose(0, 1)
    assert torch.allclose(ours.entropy_bottleneck.likelihood(values), expected, atol=2e-6)
