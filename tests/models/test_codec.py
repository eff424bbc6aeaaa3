import math

import pytest
import torch
from generators import second_derivatives_agree

from gcn.errors import InputError
from gcn.game.streams import Streams
from gcn.models.codec import straight_through

NAMES = ("tiny", "factorized", "hyperprior")
SIZES = ((1, 1), (16, 16), (17, 31), (50, 37), (64, 1), (3, 130))
EVERY = [
    *((name, "noise") for name in NAMES),
    ("tiny", "ste"),
    ("hyperprior", "ste"),
    ("hyperprior", "mixed"),
]


def image(height, width, batch=1):
    """Smooth in part, noisy in part."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.randn(batch, 3, height, width, generator=generator)).clamp(0, 1)


def bits(likelihoods):
    return sum(-p.log2().sum().item() for p in likelihoods.values())


@pytest.mark.parametrize(("name", "quantisation"), EVERY)
def test_a_decoded_image_is_the_reconstruction(spread_generator, name, quantisation):
    codec = spread_generator(name, quantisation=quantisation)
    coder = codec.for_coding()
    for size in SIZES:
        x = image(*size)
        stream = coder.compress(x)
        decoded = coder.decompress(stream)
        assert stream[1:3] == size
        assert decoded.shape == x.shape
        assert torch.equal(decoded, coder.reconstruct(x).x_hat.clamp(0, 1))
        assert torch.equal(decoded, codec.reconstruct(x).x_hat.clamp(0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_the_estimate_is_the_size_of_the_file(spread_generator, name):
    # Untrained scales do not fit a wide y, and an escaped symbol costs less than its estimate.
    factor = 0.7 if name == "hyperprior" else 4.0
    coder = spread_generator(name, factor, M=32).for_coding()
    x = image(200, 150)
    estimate = bits(coder.reconstruct(x).likelihoods) / 8
    actual = len(coder.compress(x).stream)
    assert estimate > 1000
    assert abs(actual - estimate) < 0.03 * estimate + 40


@pytest.mark.parametrize("name", NAMES)
def test_symbols_far_outside_the_tables_survive(spread_generator, name):
    coder = spread_generator(name).for_coding()
    with torch.no_grad():
        coder.g_a[-1].weight.mul_(3000)
    x = image(32, 32)
    assert coder.reconstruct(x).y_hat.abs().max() > 5000
    assert torch.equal(coder.decompress(coder.compress(x)), coder.reconstruct(x).x_hat.clamp(0, 1))


@pytest.mark.parametrize(("name", "quantisation"), EVERY)
def test_forward(generator, name, quantisation):
    codec = generator(name, quantisation=quantisation)
    x = image(64, 48, batch=2)
    out = codec(x, Streams(0).at(1))
    assert out.x_hat.shape == x.shape
    assert out.y_hat.shape == (2, 6, 4, 3)
    assert out.likelihoods["y"].shape == out.y_hat.shape
    assert all((p > 0).all() and (p <= 1 + 1e-6).all() for p in out.likelihoods.values())
    (out.x_hat.square().mean() + sum(-p.log().mean() for p in out.likelihoods.values())).backward()
    parts = codec.parts()
    for part in ("encoder", "decoder", "entropy"):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in parts[part]), part
    assert all(p.grad is None for p in parts["aux"])


def test_noise_depends_on_the_stream_alone(generator):
    codec, x = generator("hyperprior"), image(32, 32, batch=2)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = codec(x, Streams(0).at(5, "noise"))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    again, other = codec(x, Streams(0).at(5, "noise")), codec(x, Streams(0).at(6, "noise"))
    assert torch.equal(first.x_hat, again.x_hat)
    assert torch.equal(first.likelihoods["z"], again.likelihoods["z"])
    assert not torch.equal(first.y_hat, other.y_hat)


@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_two_processes_see_the_noise_of_one(generator, name):
    codec, x = generator(name).double(), image(32, 32, batch=4).double()
    joint = codec(x, Streams(0).at(3))
    halves = [codec(x.chunk(2)[rank], Streams(0, rank, 2).at(3)) for rank in range(2)]
    assert torch.allclose(torch.cat([h.y_hat for h in halves]), joint.y_hat, atol=1e-12)


@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_quantisation_proxies(spread_generator, name):
    x = image(32, 32, batch=2)
    noise, ste, mixed = (
        spread_generator(name, quantisation=q)(x, Streams(0).at(0)) for q in ("noise", "ste", "mixed")
    )
    if name == "tiny":
        y = spread_generator(name).g_a(x - 0.5)
        assert (noise.y_hat - y).abs().max() <= 0.5 + 1e-5
        assert torch.equal(ste.y_hat, y.round())
        assert torch.equal(mixed.likelihoods["y"], noise.likelihoods["y"])
    assert torch.equal(mixed.y_hat, ste.y_hat)
    assert not torch.equal(mixed.likelihoods["y"], ste.likelihoods["y"])


def test_training_rounds_on_the_grid_of_the_file(spread_generator):
    x = image(64, 64)
    for name in NAMES:
        codec = spread_generator(name, quantisation="ste")
        trained = codec(x, Streams(0).at(0)).y_hat
        written = codec.for_coding().reconstruct(x).y_hat
        if name == "hyperprior":  # its means are floats in training and integers of 12 bits in files
            near = (trained - written).abs() < 2e-3
            assert near.float().mean() > 0.99
        else:
            assert torch.equal(trained, written)


def test_straight_through():
    y = torch.tensor([0.3, -1.7, 1e6 + 0.25], requires_grad=True)
    rounded = straight_through(y, y.round())
    assert torch.equal(rounded, y.round())
    rounded.sum().backward()
    assert torch.equal(y.grad, torch.ones(3))


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_a_partition(generator, name):
    codec = generator(name)
    parts = codec.parts()
    assert set(parts) == {"encoder", "decoder", "entropy", "aux"}
    assert parts["aux"] == [codec.entropy_bottleneck.quantiles]
    listed = [id(p) for part in parts.values() for p in part]
    assert len(set(listed)) == len(listed) == len(list(codec.parameters()))
    codec.stray = torch.nn.Linear(1, 1)
    with pytest.raises(AssertionError, match="part"):
        codec.parts()


@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_evaluation_does_not_touch_the_codec(spread_generator, name):
    codec = spread_generator(name)
    before = {k: v.clone() for k, v in codec.state_dict().items()}
    coder = codec.for_coding()
    codec.reconstruct(image(20, 20))
    coder.compress(image(20, 20))
    assert codec.training
    assert all(torch.equal(v, before[k]) for k, v in codec.state_dict().items())
    assert not any(p.requires_grad for p in coder.parameters())


@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_states_of_a_codec_and_of_its_coding_copy_load(spread_generator, name):
    codec = spread_generator(name)
    plain, coded = codec.state_dict(), codec.for_coding().state_dict()
    x = image(40, 24)
    wanted = codec.reconstruct(x).x_hat
    for state in (plain, coded):
        fresh = spread_generator(name, gain=3.0)
        assert not torch.equal(fresh.reconstruct(x).x_hat, wanted)
        fresh.load_state_dict(state)
        assert torch.equal(fresh.reconstruct(x).x_hat, wanted)
    coder = spread_generator(name, gain=3.0).for_coding()
    coder.load_state_dict(plain)
    assert torch.equal(coder.for_coding().reconstruct(x).x_hat, wanted)
    holder = torch.nn.ModuleDict({"generator": spread_generator(name)})
    holder.load_state_dict({f"generator.{k}": v for k, v in coded.items()})


@pytest.mark.parametrize(("name", "quantisation"), EVERY)
def test_a_frozen_encoder_keeps_the_bitstream(spread_generator, name, quantisation):
    codec = spread_generator(name, quantisation=quantisation)
    x = image(64, 32)
    untouched = codec.for_coding().compress(x)
    codec.freeze("encoder")
    codec.train()
    assert not codec.g_a.training
    assert not codec.entropy_bottleneck.training
    assert codec.g_s.training
    before = {k: v.clone() for k, v in codec.state_dict().items()}
    trained = [p for p in codec.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == {id(p) for p in codec.parts()["decoder"]}
    optimizer = torch.optim.Adam(trained, 1e-2)
    for step in range(3):
        out = codec(x, Streams(0).at(step))
        optimizer.zero_grad()
        (out.x_hat - x).square().mean().backward()
        optimizer.step()
    after = codec.state_dict()
    for key, value in before.items():
        assert torch.equal(value, after[key]) is not key.startswith("g_s"), key
    parts = codec.parts()
    assert all(p.grad is None for part in ("encoder", "entropy", "aux") for p in parts[part])
    coder = codec.for_coding()
    assert coder.compress(x) == untouched
    assert torch.equal(coder.reconstruct(x).y_hat, codec(x, Streams(0).at(9)).y_hat)
    assert torch.equal(coder.decompress(untouched), codec(x, Streams(0).at(9)).x_hat.clamp(0, 1))


def test_a_frozen_encoder_is_not_rounded_by_autocast(spread_generator):
    codec, x = spread_generator("hyperprior"), image(64, 64)
    codec.freeze("encoder")
    with torch.autocast("cpu", torch.bfloat16):
        mixed = codec(x, Streams(0).at(0))
        written = codec.for_coding().compress(x)
    assert torch.equal(mixed.y_hat, codec.reconstruct(x).y_hat)
    assert written == codec.for_coding().compress(x)


def test_only_the_encoder_can_be_frozen(generator):
    with pytest.raises(InputError, match="freeze='decoder'"):
        generator("tiny").freeze("decoder")


@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_bottlenecks_are_computed_in_full_precision(spread_generator, name):
    codec, x = spread_generator(name), image(64, 64)
    seen = []
    codec.g_a.register_forward_hook(lambda module, inputs, y: seen.append(y))
    with torch.autocast("cpu", torch.bfloat16):
        out = codec(x, Streams(0).at(0))
    assert seen[0].dtype == torch.bfloat16
    assert out.x_hat.dtype == out.y_hat.dtype == torch.float32
    same = codec.proxy(seen[0].float(), Streams(0).at(0))
    assert torch.equal(out.y_hat, same.y_hat)
    assert all(torch.equal(out.likelihoods[k], same.likelihoods[k]) for k in out.likelihoods)


@pytest.mark.parametrize("activation", ["gdn", "simplified", "leaky"])
@pytest.mark.parametrize("name", ["tiny", "hyperprior"])
def test_second_derivatives_agree_with_finite_differences(spread_generator, name, activation):
    codec = spread_generator(name, activation=activation, residual=1, N=6, M=4).double()
    second_derivatives_agree(codec, image(32, 32, batch=2).double(), step=1e-6, relative=1e-4, absolute=1e-5)


def test_crops_must_fit(generator):
    with pytest.raises(InputError, match="multiples of 16"):
        generator("tiny")(image(60, 64), Streams(0).at(0))


def test_coding_needs_a_copy(generator):
    with pytest.raises(RuntimeError, match="for_coding"):
        generator("tiny").compress(image(16, 16))


def test_a_diverged_codec_says_so(generator):
    codec = generator("tiny")
    with torch.no_grad():
        codec.g_s[0].weight[0, 0, 0, 0] = math.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        codec.for_coding()


@pytest.mark.parametrize(
    "options", [{"upsampling": "shuffle"}, {"residual": 2}, {"kernel": 3}, {"kernel": 7}]
)
def test_options_build(generator, options):
    codec = generator("tiny", **options)
    assert codec(image(32, 32), Streams(0).at(0)).x_hat.shape == (1, 3, 32, 32)


def test_tiny_is_small(generator):
    assert 0.6e6 < sum(p.numel() for p in generator("tiny", N=64, M=64).parameters()) < 0.7e6
