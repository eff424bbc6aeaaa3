"""The published hyperpriors: their files, their training, their borders."""

import pytest
import torch
from generators import last_convolution, second_derivatives_agree

from gcn.errors import InputError
from gcn.game.streams import Streams
from gcn.models import package
from gcn.models.gaussian_prior import SEEN
from gcn.models.tiling import spans

NAMES = ("hific", "mbt2018", "bmshj2018")


def image(height, width, batch=1):
    """Smooth in part, noisy in part."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.randn(batch, 3, height, width, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize(("name", "quantisation"), [*((name, "noise") for name in NAMES), ("hific", "mixed")])
def test_a_decoded_image_is_the_reconstruction(spread_generator, name, quantisation):
    codec = spread_generator(name, 8.0, quantisation=quantisation)
    coder = codec.for_coding()
    for size in ((1, 1), (64, 64), (65, 31), (3, 130)):
        x = image(*size)
        coded = coder.compress(x)
        decoded = coder.decompress(coded)
        assert coder.latent_shape(*size) == tuple(-(-side // 64) * 4 for side in size)
        assert coder.latents(coded).unique().numel() > 20
        assert decoded.shape == x.shape
        assert torch.equal(decoded, codec.reconstruct(x).x_hat.clamp(0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_the_estimate_is_the_size_of_the_file(spread_generator, name):
    codec = spread_generator(name, 2.0, M=32)
    if name == "hific":  # its untrained scales are below 0.11 and fit no latent
        torch.nn.init.constant_(last_convolution(codec.h_s.scale).bias, 1.5)
    coder, x = codec.for_coding(), image(192, 150)
    estimate = sum(-p.log2().sum().item() for p in coder.reconstruct(x).likelihoods.values()) / 8
    assert estimate > 300
    assert abs(len(coder.compress(x).stream) - estimate) < 0.03 * estimate + 40


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [*((name, "ste") for name in (*NAMES, "bmshj2018_factorized")), ("mbt2018", "mixed")],
)
def test_training_rounds_from_the_medians_as_the_file_does(spread_generator, name, quantisation):
    """A channel that is always rounded to its median has the same value for h_s in training and in the file."""
    codec, x = spread_generator(name, quantisation=quantisation), image(64, 64)
    density, seen = codec.entropy_bottleneck, []
    with torch.no_grad():
        density.biases[0].add_(0.7 / density.speed)  # medians that are no integers
    network = codec.h_s if hasattr(codec, "h_s") else codec.g_s
    handle = network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    codec(x, Streams(0).at(0))
    handle.remove()
    coder = codec.for_coding()
    medians = coder.entropy_bottleneck.medians
    steps = seen[0] - medians
    assert ((medians - medians.round()).abs() > 0.05).any()
    assert (steps - steps.round()).abs().max() < 1e-4
    y = codec.g_a(x)
    if hasattr(codec, "h_s"):
        y = codec.hyper_latents(y)
    assert torch.allclose(seen[0], torch.round(y - medians) + medians, atol=1e-4)
    assert torch.equal(codec.entropy_bottleneck.medians, torch.zeros_like(medians))  # training sets none


@pytest.mark.parametrize("name", NAMES)
def test_the_integer_network_predicts_what_h_s_does(spread_generator, name):
    """Through stripes of rows, borders of the image included."""
    codec = spread_generator(name, 8.0).double().for_coding()
    z = torch.randint(-9, 10, (1, len(codec.entropy_bottleneck.quantiles), 37, 3)).double()
    rows = [(mean, raw) for _, mean, raw in codec._stripes(z, 4 * 37, 12)]
    assert len(rows) == 3
    mean, raw = codec.split(codec.h_s(z + codec.entropy_bottleneck.medians))
    for k, wanted in enumerate((mean, raw)):
        found = torch.cat([stripe[k] for stripe in rows], -2) / 2**12
        assert (found - wanted).abs().max() < 2e-3 * max(1.0, wanted.abs().max().item())
    assert (mean.abs().max() > 0.1) is not (name == "bmshj2018")


@pytest.mark.parametrize("name", NAMES)
def test_forward_reaches_every_parameter(generator, name):
    codec, x = generator(name), image(64, 128, batch=2)
    out = codec(x, Streams(0).at(1))
    assert out.x_hat.shape == x.shape
    assert out.y_hat.shape == out.likelihoods["y"].shape == (2, 6, 4, 8)
    assert all((p > 0).all() and (p <= 1 + 1e-6).all() for p in out.likelihoods.values())
    (out.x_hat.square().mean() + sum(-p.log().mean() for p in out.likelihoods.values())).backward()
    parts = codec.parts()
    for part in ("encoder", "decoder", "entropy"):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in parts[part]), part
    with pytest.raises(InputError, match="multiples of 64"):
        codec(image(64, 80), Streams(0).at(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_encoder_keeps_the_bitstream(spread_generator, name):
    codec, x = spread_generator(name, 4.0), image(64, 64)
    untouched = codec.for_coding().compress(x)
    codec.freeze("encoder")
    codec.train()
    optimizer = torch.optim.Adam([p for p in codec.parameters() if p.requires_grad], 1e-2)
    for step in range(2):
        optimizer.zero_grad()
        (codec(x, Streams(0).at(step)).x_hat - x).square().mean().backward()
        optimizer.step()
    out = codec(x, Streams(0).at(9))
    coder = codec.for_coding()
    assert coder.compress(x) == untouched
    assert torch.equal(coder.decompress(untouched), out.x_hat.clamp(0, 1))
    assert torch.equal(coder.reconstruct(x).y_hat, out.y_hat)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_codes_as_the_codec(spread_generator, name, tmp_path):
    codec, x, path = spread_generator(name).for_coding(), image(70, 30), tmp_path / "model.safetensors"
    package.save(codec, path, {})
    loaded = package.load(path)
    assert loaded.compress(x) == codec.compress(x)
    assert torch.equal(loaded.decompress(codec.compress(x)), codec.reconstruct(x).x_hat.clamp(0, 1))
    state = codec.coding_state()
    state["fingerprint"] = state["fingerprint"] + 1
    with pytest.raises(InputError, match="does not compute the hyper-synthesis exactly"):
        codec.restore_coding(state)


@pytest.mark.parametrize("name", NAMES)
def test_large_images_have_no_seams(spread_generator, monkeypatch, name):
    codec, x = spread_generator(name).double().for_coding(), image(333, 150).double()
    y, y_hat = codec.analyse(x), torch.randn(1, 6, 24, 12).double().round()
    whole = codec.synthesise(y_hat, 333, 150)
    for attribute in ("analysis_tile", "synthesis_tile"):
        monkeypatch.setattr(type(codec), attribute, 8)
    assert y.shape == y_hat.shape
    assert (codec.analyse(x) - y).abs().max() < 1e-10 * y.abs().max()
    assert (codec.synthesise(y_hat, 333, 150) - whole).abs().max() < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_h_s_sees_no_further_than_its_stripes(generator, name):
    codec = generator(name).double()
    z = torch.randn(1, 8, 4 * SEEN + 1, 1).double().requires_grad_()
    out = codec.h_s(z)[:, :, 8 * SEEN : 8 * SEEN + 4]  # what belongs to the row in the middle
    (gradient,) = torch.autograd.grad(out.square().sum(), z)
    rows = gradient.abs().sum((0, 1, 3)).nonzero()[:, 0].tolist()
    assert min(rows) >= SEEN
    assert max(rows) <= 3 * SEEN
    assert next(iter(spans(40, SEEN, 16))).last == 16 + SEEN


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_agree_with_finite_differences(spread_generator, name):
    small = {"hyper": 4} if name == "hific" else {"N": 6}
    codec = spread_generator(name, 2.0, M=4, quantisation="noise", **small).double()
    with torch.no_grad():  # away from 0.11, where the derivative jumps
        for network in codec.h_s.children() if name == "hific" else (codec.h_s,):
            last_convolution(network).bias.add_(1.0)
    second_derivatives_agree(codec, image(64, 64).double(), step=1e-7, relative=1e-3, absolute=1e-4)
