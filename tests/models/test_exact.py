"""The integer hyper-synthesis: close to the floating-point one, and the same whatever computes it."""

import pytest
import torch
from torch import nn

from gcn.models.blocks import Doubling, SideBySide
from gcn.models.exact import LARGEST, ONE, IntegerNetwork, fixed, phases


def network(seed=0, scale=1.0):
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(5, 16, 3, padding=1, padding_mode="replicate"),
        nn.PixelShuffle(2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="replicate"),
    )
    with torch.no_grad():
        for layer in (layers[0], layers[3]):
            layer.weight.mul_(scale)
    return layers.requires_grad_(False)


def published(kernel=5):
    """Layers of the published hyperpriors: transposed convolutions, borders of zeros, two networks side by side."""
    torch.manual_seed(0)
    mean, scale = (
        nn.Sequential(
            Doubling(5, 7, kernel),
            nn.ReLU(),
            Doubling(7, 4, kernel),
            nn.ReLU(),
            nn.Conv2d(4, 3, 3, padding=1),
        )
        for _ in range(2)
    )
    return SideBySide(mean=mean, scale=scale).requires_grad_(False)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_phases_of_a_transposed_convolution_are_a_convolution(kernel):
    """Borders included; the two sums have the same products, hence only rounding differs."""
    torch.manual_seed(0)
    layer = Doubling(4, 3, kernel).double().requires_grad_(False)
    x = drawn(2, 4, 5, 6).double()
    weight = phases(layer.weight)
    inner = nn.functional.conv2d(x, weight, layer.bias.repeat_interleave(4), padding=weight.shape[-1] // 2)
    assert (nn.functional.pixel_shuffle(inner, 2) - layer(x)).abs().max() < 1e-12
    torch_s = nn.ConvTranspose2d(4, 3, kernel, 2, kernel // 2, output_padding=1).double()
    torch_s.load_state_dict(layer.state_dict())
    assert (torch_s(x) - layer(x)).abs().max() < 1e-12


@pytest.mark.parametrize("kernel", [3, 5])
def test_layers_of_published_hyperpriors_to_12_bits(kernel):
    layers, x = published(kernel), drawn(2, 5, 6, 7)
    wanted, found = layers.double()(x.double()), IntegerNetwork([layers])(fixed(x)) / ONE
    assert wanted.shape == (2, 6, 24, 28)
    assert (found - wanted).abs().max() < 3e-3
    assert (found - wanted)[..., [0, -1], :].abs().max() < 3e-3
    assert torch.equal(found * ONE, (found * ONE).round())


def test_wide_layers_get_fewer_bits_instead_of_inexact_sums():
    layer = nn.Conv2d(480, 1, 3, padding=1).requires_grad_(False)
    layer.weight.fill_(0.999)
    narrow = nn.Conv2d(2, 1, 3, padding=1).requires_grad_(False)
    narrow.weight.fill_(0.999)
    wide, usual = (IntegerNetwork([one]).layers[0] for one in (layer, narrow))
    assert wide.weight.sum() * LARGEST <= 2.0**51
    assert wide.shift == usual.shift - 2
    x = fixed(drawn(1, 480, 4, 4))
    assert (
        IntegerNetwork([layer])(x) / ONE - layer.double()(x / ONE)
    ).abs().max() < 0.2  # of sums up to 1000


def drawn(*shape, magnitude=8.0):
    return magnitude * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [0.01, 1.0, 5.0])
def test_it_is_the_network_to_12_bits(scale):
    layers, x = network(scale=scale), drawn(2, 5, 7, 6)
    wanted = layers.double()(x.double())
    found = IntegerNetwork(layers)(fixed(x)) / ONE
    assert (found - wanted).abs().max() < 3e-3 * max(1.0, wanted.abs().max().item() / 8)


def test_all_values_are_integers():
    out = IntegerNetwork(network())(fixed(drawn(1, 5, 9, 4)))
    assert torch.equal(out, out.round())
    assert out.dtype == torch.float64


def test_activations_saturate():
    out = IntegerNetwork(network(scale=50.0))(torch.full((1, 5, 4, 4), LARGEST))
    assert out.abs().max() == LARGEST


def test_it_is_what_python_s_integers_give():
    exact, x = IntegerNetwork(network()[:1]), fixed(drawn(1, 5, 4, 3, magnitude=5000.0))
    layer = exact.layers[0]
    weight, bias = layer.weight.long().tolist(), layer.bias.long().tolist()
    inputs, limit = x[0].long().tolist(), int(LARGEST)
    for o, row, column in ((0, 0, 0), (7, 3, 2), (15, 1, 1)):
        total = bias[o]
        for c in range(5):
            for i in range(3):
                for j in range(3):
                    at = min(max(row + i - 1, 0), 3), min(max(column + j - 1, 0), 2)
                    total += weight[o][c][i][j] * inputs[c][at[0]][at[1]]
        total = (total + 2 ** (layer.shift - 1)) >> layer.shift
        assert exact(x)[0, o, row, column].item() == max(-limit, min(limit, total))


def shuffled(network):
    """The sum over taps and channels in another order: exact sums do not care."""
    for layer in network.layers:
        if hasattr(layer, "weight"):
            weight, pad = layer.weight, layer.pad

            def reference(x, layer=layer, weight=weight, pad=pad):
                padded = nn.functional.pad(x, (pad,) * 4, mode=layer.border)
                total = nn.functional.conv2d(padded.flip(1), weight.flip(1)) + layer.bias[:, None, None]
                return (total * 2.0**-layer.shift + 0.5).floor().clamp(-LARGEST, LARGEST)

            yield reference
        else:
            yield layer


def test_the_order_of_summation_does_not_matter():
    exact, x = IntegerNetwork(network(scale=3.0)), fixed(drawn(1, 5, 8, 8, magnitude=2000.0))
    other = x
    for layer in shuffled(exact):
        other = layer(other)
    assert torch.equal(exact(x), other)


def threads(count):
    torch.set_num_threads(count)


@pytest.fixture
def settings():
    """Puts back what a test changes."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "setting", ["threads", "channels_last", "batch", "no_onednn", "bf16", "float32_medium"]
)
@pytest.mark.parametrize("layers", [network, published])
def test_the_setting_does_not_matter(setting, layers):
    exact, x = IntegerNetwork([layers()]), fixed(drawn(3, 5, 17, 23, magnitude=500.0))
    torch.set_num_threads(1)
    wanted = exact(x)
    if setting == "threads":
        torch.set_num_threads(4)
        found = exact(x)
    elif setting == "channels_last":
        found = exact(x.to(memory_format=torch.channels_last))
    elif setting == "batch":
        found = torch.cat([exact(part[None]) for part in x])
    elif setting == "no_onednn":
        with torch.backends.mkldnn.flags(enabled=False):
            found = exact(x)
    elif setting == "bf16":
        with torch.autocast("cpu", torch.bfloat16):
            found = exact(x)
    else:
        torch.set_float32_matmul_precision("medium")
        found = exact(x)
    assert torch.equal(found, wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_does_not_matter():
    exact, x = IntegerNetwork(network()), fixed(drawn(3, 5, 17, 23, magnitude=500.0))
    assert torch.equal(exact(x.cuda()).cpu(), exact(x))
    assert exact.fingerprint(torch.device("cuda")) == exact.fingerprint(torch.device("cpu"))


def test_the_fingerprint_knows_a_network():
    one, same, other = (IntegerNetwork(network(seed)).fingerprint(torch.device("cpu")) for seed in (0, 0, 1))
    assert one == same != other


def test_the_fingerprint_is_this_very_number():
    """Of weights and inputs that are given in full, so it holds on every machine and for every version of torch."""
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="replicate").requires_grad_(False)
    layer.weight.copy_((torch.arange(54.0).reshape(3, 2, 3, 3) - 20) / 16)
    layer.bias.copy_(torch.tensor([0.5, -1.25, 3.0]))
    assert IntegerNetwork([layer, nn.LeakyReLU(0.2)]).fingerprint(torch.device("cpu")) == 2425798625


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(2, 2, 3), "keep the size"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "keep the size"),
        (nn.Conv2d(2, 2, 3, stride=2, padding=1, padding_mode="replicate"), "stride 1"),
        (nn.ConvTranspose2d(2, 2, 5, stride=2, padding=2), "ConvTranspose2d"),
        (nn.Tanh(), "Tanh"),
    ],
)
def test_layers_without_an_integer_version_are_refused(layer, said):
    with pytest.raises(ValueError, match=said):
        IntegerNetwork([layer])


def test_weights_too_large_for_exact_sums_are_refused():
    layer = nn.Conv2d(4096, 1, 5, padding=2, padding_mode="replicate").requires_grad_(False)
    layer.weight.fill_(1e4)
    with pytest.raises(ValueError, match="too large"):
        IntegerNetwork([layer])
