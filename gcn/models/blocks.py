"""The layers of g_a and g_s: nonlinearities, resampling stages and their initial weights.

Second derivatives of a codec are needed (penalties on gradients, spectra of the game), hence nothing here
uses CompressAI's ``LowerBound``, whose double backward is wrong where the bound is active: parameters that
must not be negative are squares.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.models.receptive_field import Reach


class GDN(nn.Module):
    """Generalised divisive normalisation, x_i / √(β_i + Σ_j γ_ij x_j²); the inverse multiplies instead.

    Ballé, Laparra and Simoncelli, "Density modeling of images using a generalized normalization
    transformation", 2016. β = β_min + b² and γ = g² stay non-negative without a bound, hence all derivatives
    are exact.
    """

    def __init__(self, channels: int, inverse: bool = False, beta_min: float = 1e-6) -> None:
        super().__init__()
        self.inverse, self.beta_min = inverse, beta_min
        self.b = nn.Parameter(torch.ones(channels))
        # Off the diagonal g is small but not 0: at 0 the derivative of g² vanishes.
        self.g = nn.Parameter(torch.full((channels, channels), 0.01).fill_diagonal_(math.sqrt(0.1)))

    def _pool(self, activity: Tensor) -> Tensor:
        return F.conv2d(activity, self.g.square()[:, :, None, None], self.beta_min + self.b.square())

    def forward(self, x: Tensor) -> Tensor:
        """Normalised values of x (B, C, H, W), same shape."""
        norm = self._pool(x.square())
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())


class SimplifiedGDN(GDN):
    """x_i / (β_i + Σ_j γ_ij |x_j|): no root, no loss of quality (Johnston et al., 2019, arXiv 1912.08771)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised values of x (B, C, H, W), same shape."""
        norm = self._pool(x.abs())
        return x * norm if self.inverse else x / norm


def leaky(channels: int, inverse: bool = False) -> nn.Module:
    """LeakyReLU with the signature of a GDN; the arguments have no effect."""
    return nn.LeakyReLU(0.2)


ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {"gdn": GDN, "simplified": SimplifiedGDN, "leaky": leaky}


def activation(name: str) -> Callable[..., nn.Module]:
    """The nonlinearity of that name: a callable (channels, inverse=False) -> module."""
    return ACTIVATIONS[name]


def scaled(layer: nn.Conv2d | nn.ConvTranspose2d, gain: float = 1.0) -> nn.Module:
    """The layer with zero bias and normal weights that keep the variance (times ``gain``²)."""
    taps: float = layer.kernel_size[0] * layer.kernel_size[1]
    if isinstance(layer, nn.ConvTranspose2d):
        taps /= layer.stride[0] * layer.stride[1]  # only these reach one output pixel
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_channels * taps))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def channel_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """HiFiC's normalisation of x (B, C, H, W): (x - mean) / √(variance + 1e-3) · γ + β over the channels of each pixel.

    The variance is the unbiased one. It is computed as a layer norm, whose variance is the biased one: the factor
    (C - 1) / C goes into ε and γ.

    Args:
        x: the values.
        gamma, beta: C numbers each.
    """
    ratio = (x.shape[1] - 1) / x.shape[1]
    weight = gamma.flatten() * math.sqrt(ratio)
    last = F.layer_norm(x.movedim(1, -1), weight.shape, weight, beta.flatten(), 1e-3 * ratio)
    return last.movedim(-1, 1)


class Doubling(nn.ConvTranspose2d):
    """Transposed convolution of stride 2 with an odd kernel, (B, C, h, w) -> (B, C', 2h, 2w).

    The same as ``padding=kernel // 2, output_padding=1``, but with all derivatives: torch cannot
    differentiate the double backward of an output padding, which symplectic gradient adjustment needs.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, stride=2, padding=kernel // 2 - 1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """x at twice the resolution; the one row and column too many are dropped where the padding is smaller."""
        return super().forward(x)[..., 1:, 1:]


class SideBySide(nn.Module):
    """Networks with the same input, whose outputs are concatenated: (B, C, h, w) -> (B, C₁ + C₂ + …, h', w').

    Args:
        networks: by the names that their weights have in a state dict.
    """

    def __init__(self, **networks: nn.Module) -> None:
        super().__init__()
        for name, network in networks.items():
            self.add_module(name, network)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of all networks for x, in their order."""
        return torch.cat([network(x) for network in self.children()], 1)


def down(inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> nn.Module:
    """A strided convolution that halves the resolution."""
    return scaled(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2), gain)


def up(inputs: int, outputs: int, kernel: int, upsampling: str, gain: float = 1.0) -> nn.Module:
    """A layer that doubles the resolution: a transposed convolution, or a 3×3 convolution and a pixel shuffle."""
    if upsampling == "shuffle":
        return nn.Sequential(scaled(nn.Conv2d(inputs, 4 * outputs, 3, padding=1), gain), nn.PixelShuffle(2))
    return scaled(Doubling(inputs, outputs, kernel), gain)


class Residual(nn.Module):
    """x + conv(leaky(conv(x))), initially near the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = scaled(nn.Conv2d(channels, channels, 3, padding=1))
        self.outer = scaled(nn.Conv2d(channels, channels, 3, padding=1), gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """x plus the residual, (B, C, H, W), same shape."""
        return x + self.outer(F.leaky_relu(self.inner(x), 0.2))


def analysis(N: int, M: int, kernel: int, nonlinearity: str, residual: int, gain: float) -> nn.Sequential:
    """g_a: four strided stages, (B, 3, 16h, 16w) -> (B, M, h, w).

    x ─► conv↓2 ─► act ─► conv↓2 ─► act ─► res ─► conv↓2 ─► act ─► res ─► conv↓2 ─► y

    See :func:`analysis_reach` for the pixels that a latent depends on.
    """
    act = activation(nonlinearity)
    return nn.Sequential(
        down(3, N, kernel, gain=4.0),  # x - 1/2 has a standard deviation of about 1/4
        act(N),
        down(N, N, kernel),
        act(N),
        *(Residual(N) for _ in range(residual)),
        down(N, N, kernel),
        act(N),
        *(Residual(N) for _ in range(residual)),
        down(N, M, kernel, gain),
    )


def synthesis(
    N: int, M: int, kernel: int, nonlinearity: str, residual: int, gain: float, upsampling: str
) -> nn.Sequential:
    """g_s: the mirror image of g_a, (B, M, h, w) -> (B, 3, 16h, 16w).

    y_hat ─► conv↑2 ─► act ─► res ─► conv↑2 ─► act ─► res ─► conv↑2 ─► act ─► conv↑2 ─► x_hat

    See :func:`synthesis_reach` for the latents that a pixel depends on.
    """
    act = activation(nonlinearity)
    return nn.Sequential(
        up(M, N, kernel, upsampling, 1 / gain),
        act(N, inverse=True),
        *(Residual(N) for _ in range(residual)),
        up(N, N, kernel, upsampling),
        act(N, inverse=True),
        *(Residual(N) for _ in range(residual)),
        up(N, N, kernel, upsampling),
        act(N, inverse=True),
        up(N, 3, kernel, upsampling, gain=0.25),
    )


def analysis_reach(kernel: int, residual: int) -> Reach:
    """Pixels beside a tile that its latents depend on in ``analysis``."""
    coarse = Reach().halving(kernel).convolution(3, 2 * residual)
    return coarse.halving(kernel).convolution(3, 2 * residual).halving(kernel).halving(kernel)


def synthesis_reach(kernel: int, residual: int, upsampling: str) -> Reach:
    """Latents beside a tile that its pixels depend on in ``synthesis``."""

    def up(reach: Reach) -> Reach:
        return reach.shuffle(3) if upsampling == "shuffle" else reach.doubling(kernel)

    fine = up(up(Reach())).convolution(3, 2 * residual)
    return up(up(fine).convolution(3, 2 * residual))
