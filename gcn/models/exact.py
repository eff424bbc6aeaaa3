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

import math
import zlib
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    """A convolution of stride 1 with replicated borders, followed by a shift back to ``FRACTION`` bits."""

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.stride != (1, 1) or layer.padding_mode != "replicate" or layer.groups != 1:
            raise ValueError("only convolutions of stride 1 that replicate borders have an integer version")
        weight = layer.weight.detach().double()
        largest = weight.abs().max().item()
        _, exponent = math.frexp(largest) if largest > 0 else (0.0, 0)
        self.shift = min(max(WEIGHT_BITS - exponent, 0), 24)
        self.weight = (weight * 2.0**self.shift).round()  # (O, C, k, k)
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        limit = EXACT / 8
        self.bias = (bias.double() * 2.0 ** (self.shift + FRACTION)).round().clamp(-limit, limit)
        if (self.weight.abs().sum((1, 2, 3)) * LARGEST).max() > EXACT / 4:
            raise ValueError("weights too large for exact sums")
        self.pad = layer.kernel_size[0] // 2

    def __call__(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        weight, bias = self.weight.to(x.device), self.bias.to(x.device)
        padded = F.pad(x, (self.pad,) * 4, mode="replicate")
        total = bias[:, None].expand(batch, -1, height * width).clone()
        for i in range(weight.shape[2]):
            for j in range(weight.shape[3]):
                tap = padded[..., i : i + height, j : j + width].reshape(batch, channels, -1)
                total += weight[:, :, i, j] @ tap
        total = (total * 2.0**-self.shift + 0.5).floor()
        return total.clamp(-LARGEST, LARGEST).reshape(batch, -1, height, width)


class _Leaky:
    def __init__(self, layer: nn.LeakyReLU) -> None:
        self.slope = round(layer.negative_slope * 2**SLOPE_BITS)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, (x * self.slope * 2.0**-SLOPE_BITS).floor())


def _integer(layer: nn.Module) -> list:
    if isinstance(layer, nn.Conv2d):
        return [_Convolution(layer)]
    if isinstance(layer, nn.LeakyReLU):
        return [_Leaky(layer)]
    if isinstance(layer, nn.PixelShuffle):
        return [layer]
    if isinstance(layer, nn.Sequential):
        return [part for child in layer for part in _integer(child)]
    raise ValueError(f"{type(layer).__name__} has no integer version")


class IntegerNetwork:
    """The integer version of a sequence of convolutions, leaky rectifiers and pixel shuffles.

    Args:
        network: its weights are copied and rounded; the same weights give the same integers everywhere.
    """

    def __init__(self, network: Iterable[nn.Module]) -> None:
        self.layers = [part for layer in network for part in _integer(layer)]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Output of the network for integers (B, C, h, w), both float64 in units of 1/ONE as of :func:`fixed`."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.double()
            for layer in self.layers:
                x = layer(x)
        return x

    def fingerprint(self, device: torch.device) -> int:
        """A checksum of the outputs for fixed inputs that reach every magnitude; the same on every sound machine."""
        first = next(layer for layer in self.layers if isinstance(layer, _Convolution))
        channels = first.weight.shape[1]
        steps = torch.arange(channels * 7 * 5, dtype=torch.int64) * 2654435761 % 2**32  # Knuth's multiplier
        values = (steps - 2**31) >> (steps % 31)
        probe = values.clamp(-int(LARGEST), int(LARGEST)).double().reshape(1, channels, 7, 5)
        out = self(probe.to(device)).cpu().to(torch.int64)
        return zlib.crc32(out.contiguous().numpy().astype("<i8").tobytes())
