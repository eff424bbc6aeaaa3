"""A convolutional network in integers: the same numbers on every machine, device, thread count and layout.

What a decoder predicts tells the entropy coder which table comes next. One table off, and the rest of the file
decodes to noise; and floating-point sums depend on their order, which depends on the library, its version, the
number of threads and the layout. Here every value is an integer that float64 holds exactly, and every sum stays
below 2^53, where addition does not depend on order.

    weights      16 bits and a power of two for each layer
    activations  12 bits behind the binary point, saturating at ±2^13

That is close to the precision of float32 (``docs/performance.md`` has the cost in bits). Convolutions are sums of
one matrix product for each tap of the kernel: no library may choose Winograd's or Fourier's algorithm for them.
`IntegerNetwork.fingerprint` is stored with a model and compared when it is loaded.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.models.blocks import Doubling, SideBySide

FRACTION = 12  # bits of an activation behind the binary point
ONE = 2**FRACTION
LARGEST = 2.0**25  # magnitude of an activation, in units of 1/ONE
WEIGHT_BITS = 15
SLOPE_BITS = 16
EXACT = 2.0**53


def fixed(x: Tensor) -> Tensor:
    """The nearest multiple of 1/ONE in integers, saturated; float64 of any shape."""
    return (x.double() * ONE).round().clamp(-LARGEST, LARGEST)


class _Convolution:
    """A convolution of stride 1 that keeps the size, followed by a shift back to ``FRACTION`` bits.

    Args:
        weight: (O, C, k, k), k odd.
        bias: (O,).
        border: ``replicate`` or ``constant`` (zeros).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, border: str) -> None:
        weight = weight.detach().double()
        largest = weight.abs().max().item()
        _, exponent = math.frexp(largest) if largest > 0 else (0.0, 0)
        self.shift = min(max(WEIGHT_BITS - exponent, 0), 24)
        self.weight = (weight * 2.0**self.shift).round()
        while self.shift > 0 and not self._sums_exactly():  # very wide layers: fewer bits for each weight
            self.shift -= 1
            self.weight = (weight * 2.0**self.shift).round()
        if not self._sums_exactly():
            raise ValueError("weights too large for exact sums")
        limit = EXACT / 8
        bias = torch.zeros(len(weight)) if bias is None else bias.detach()
        self.bias = (bias.double() * 2.0 ** (self.shift + FRACTION)).round().clamp(-limit, limit)
        self.border, self.pad = border, weight.shape[-1] // 2
        # (k, k, O, C): the matrix of each tap lies in one piece
        self.kernel = self.weight.permute(2, 3, 0, 1).contiguous()
        self.weight = self.kernel.permute(2, 3, 0, 1)
        self.taps = self.kernel.flatten(2).any(2).nonzero().tolist()

    def _sums_exactly(self) -> bool:
        """Whether the largest activations keep each sum of products, in any order, far below 2^53."""
        return bool((self.weight.abs().sum((1, 2, 3)) * LARGEST).max() <= EXACT / 4)

    def __call__(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        rows = F.pad(x, (self.pad,) * 4, mode=self.border).contiguous().flatten(2)  # (B, C, padded pixels)
        stride = width + 2 * self.pad
        # A tap is a shift of all pixels, those of the border between two rows included: no tap is a copy.
        count = height * stride - 2 * self.pad
        total = self.bias.to(x.device)[:, None].expand(batch, -1, count).clone()
        kernel = self.kernel.to(x.device)
        for i, j in self.taps:
            total.baddbmm_(kernel[i, j].expand(batch, -1, -1), rows.narrow(2, i * stride + j, count))
        total = total.as_strided((batch, len(self.bias), height, width), (*total.stride()[:2], stride, 1))
        return (total * 2.0**-self.shift).add_(0.5).floor_().clamp_(-LARGEST, LARGEST)


class _Leaky:
    def __init__(self, negative_slope: float) -> None:
        self.slope = round(negative_slope * 2**SLOPE_BITS)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, (x * self.slope * 2.0**-SLOPE_BITS).floor())


class _SideBySide:
    """Networks with the same input, whose outputs are concatenated along the channels."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self.networks = [_integer(network) for network in networks]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([_through(layers, x) for layers in self.networks], 1)


def phases(weight: Tensor) -> Tensor:
    """The weights of a convolution that, before a pixel shuffle, equals a transposed convolution of stride 2.

    Output pixel 2m + φ of a transposed convolution with padding k // 2 sums tap φ + k // 2 - 2t of the kernel times
    input pixel m + t. So a phase φ is a convolution of stride 1, and the four phases of a channel are four channels.

    Args:
        weight: (C, O, k, k) of ``nn.ConvTranspose2d``, k odd.

    Returns:
        (4 O, C, 2 r + 1, 2 r + 1) for ``nn.Conv2d`` with padding r: 3×3 for k = 3 and k = 5.
    """
    inputs, outputs, k, _ = weight.shape
    middle, r = k // 2, (k // 2 + 1) // 2
    found = weight.new_zeros(outputs, 2, 2, inputs, 2 * r + 1, 2 * r + 1)
    steps = [(p, t, p + middle - 2 * t) for p in (0, 1) for t in range(-r, r + 1)]
    steps = [step for step in steps if 0 <= step[2] < k]
    for (p, t, i), (q, u, j) in itertools.product(steps, steps):
        found[:, p, q, :, t + r, u + r] = weight[:, :, i, j].T
    return found.reshape(4 * outputs, inputs, 2 * r + 1, 2 * r + 1)


def _convolution(layer: nn.Conv2d) -> list:
    border = {"zeros": "constant", "replicate": "replicate"}.get(layer.padding_mode)
    k = layer.kernel_size[0]
    same = layer.kernel_size == (k, k) and k % 2 == 1 and layer.padding == (k // 2, k // 2)
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1 or border is None or not same:
        raise ValueError("only convolutions of stride 1 that keep the size have an integer version")
    return [_Convolution(layer.weight, layer.bias, border)]


def _doubling(layer: Doubling) -> list:
    bias = None if layer.bias is None else layer.bias.detach().repeat_interleave(4)
    return [_Convolution(phases(layer.weight.detach()), bias, "constant"), nn.PixelShuffle(2)]


_VERSIONS: tuple[tuple[type, Callable[[Any], list]], ...] = (
    (Doubling, _doubling),
    (nn.Conv2d, _convolution),
    (nn.LeakyReLU, lambda layer: [_Leaky(layer.negative_slope)]),
    (nn.ReLU, lambda _: [_Leaky(0.0)]),
    (nn.PixelShuffle, lambda layer: [layer]),
    (SideBySide, lambda layer: [_SideBySide(layer.children())]),
    (nn.Sequential, lambda layer: [part for child in layer for part in _integer(child)]),
)


def _integer(layer: nn.Module) -> list:
    for kind, version in _VERSIONS:
        if isinstance(layer, kind):
            return version(layer)
    raise ValueError(f"{type(layer).__name__} has no integer version")


def _through(layers: Iterable, x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _inputs(layers: Iterable) -> int:
    """Number of channels of the input."""
    for layer in layers:
        if isinstance(layer, _SideBySide):
            return _inputs(layer.networks[0])
        if isinstance(layer, _Convolution):
            return layer.weight.shape[1]
    raise ValueError("a network without a convolution has no integer version")


class IntegerNetwork:
    """The integer version of a sequence of convolutions, rectifiers and pixel shuffles.

    Convolutions have stride 1 and borders of zeros or of the nearest value; transposed ones have stride 2 and zeros.

    Args:
        network: its weights are copied and rounded; the same weights give the same integers everywhere.
    """

    def __init__(self, network: Iterable[nn.Module]) -> None:
        self.layers = [part for layer in network for part in _integer(layer)]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Output of the network for integers (B, C, h, w), both float64 in units of 1/ONE as of :func:`fixed`."""
        with torch.autocast(x.device.type, enabled=False):
            return _through(self.layers, x.double())

    def fingerprint(self, device: torch.device) -> int:
        """A checksum of the outputs for fixed inputs that reach every magnitude; the same on every sound machine."""
        channels = _inputs(self.layers)
        steps = torch.arange(channels * 7 * 5, dtype=torch.int64) * 2654435761 % 2**32  # Knuth's multiplier
        values = (steps - 2**31) >> (steps % 31)
        probe = values.clamp(-int(LARGEST), int(LARGEST)).double().reshape(1, channels, 7, 5)
        out = self(probe.to(device)).cpu().to(torch.int64)
        return zlib.crc32(out.contiguous().numpy().astype("<i8").tobytes())
