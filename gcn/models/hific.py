"""HiFiC's codec: the generator of "High-fidelity generative image compression" and of MS-ILLM.

Mentzer, Toderici, Tschannen and Agustsson, 2020 (arXiv 2006.09965), with the borders, names and rounding of
NeuralCompression's ``HiFiCAutoencoder`` (Muckley et al., 2023, arXiv 2301.11189), so that its published weights fit
exactly. At full size g_a has 7.42, g_s 156.77 and the hyperprior 17.28 million parameters.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from gcn.models.blocks import Doubling, SideBySide, channel_norm
from gcn.models.entropy import BoundedGaussian, FactorizedDensity
from gcn.models.gaussian_prior import GaussianPrior


class ChannelNorm(nn.Module):
    """The normalisation of :func:`gcn.models.blocks.channel_norm` with learned γ and β, (C) each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised values of x (B, C, H, W), same shape."""
        return channel_norm(x, self.gamma, self.beta)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


class Analysis(nn.Module):
    """g_a: a 7×7 convolution, four that halve the resolution, and one to the latents; (B, 3, 16h, 16w) -> (B, M, h, w).

    x ─► conv ─► norm ─► ReLU ─► 4 × (conv↓2 ─► norm ─► ReLU) ─► conv ─► y
    """

    def __init__(self, width: int, M: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(5)]

        def stage(conv: nn.Module, channels: int) -> nn.Sequential:
            return nn.Sequential(conv, ChannelNorm(channels), nn.ReLU())

        self.blocks = nn.Sequential(
            stage(_conv(3, width, 7), width),
            *(stage(_conv(a, b, 3, stride=2), b) for a, b in itertools.pairwise(widths)),
            _conv(widths[-1], M, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """y (B, M, h, w) of x."""
        return self.blocks(x)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sequence = nn.Sequential(
            _conv(channels, channels, 3),
            ChannelNorm(channels),
            nn.ReLU(),
            _conv(channels, channels, 3),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x plus the residual, (B, C, H, W), same shape."""
        return x + self.sequence(x)  # type: ignore[no-any-return]


class Synthesis(nn.Module):
    """g_s: residual blocks at the resolution of the latents, then four doublings; (B, M, h, w) -> (B, 3, 16h, 16w).

    y_hat ─► norm ─► conv ─► norm ─┬─► residual blocks ─► + ─► 4 × (conv↑2 ─► norm ─► ReLU) ─► conv ─► x_hat
                                   └──────────────────────┘
    """

    def __init__(self, width: int, M: int, blocks: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in reversed(range(5))]
        widest = widths[0]
        self.block_0 = nn.Sequential(ChannelNorm(M), _conv(M, widest, 3), ChannelNorm(widest))
        self.resid_blocks = nn.Sequential(*(Residual(widest) for _ in range(blocks)))
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(Doubling(a, b, 3), ChannelNorm(b), nn.ReLU())
                for a, b in itertools.pairwise(widths)
            ),
            _conv(width, 3, 7),
        )

    def forward(self, y_hat: Tensor) -> Tensor:
        """x_hat of y_hat, not clamped."""
        x = self.block_0(y_hat)
        return self.blocks(x + self.resid_blocks(x))  # type: ignore[no-any-return]


def reach(blocks: int) -> int:
    """Number of latents beside a tile on which g_a and g_s depend, rounded up, plus one.

    g_s sees further: its 3×3 convolutions see 1 latent each, the doublings 1, 1/2, 1/4 and 1/8, the last layer 3/16.
    """
    return math.ceil(1 + 2 * blocks + 1 + 1 / 2 + 1 / 4 + 1 / 8 + 3 / 16) + 1


class HiFiC(GaussianPrior):
    """HiFiC's codec, in any width.

    Images are padded to multiples of 64 pixels by reflection, x is not centred, and x_hat has no activation.

    Args:
        width: channels at full resolution; each halving doubles them (HiFiC: 60).
        M: channels of the latents (220).
        hyper: channels of the hyper-latents and of the hyperprior's layers (320).
        blocks: residual blocks of g_s (9).
        quantisation: ``noise``, ``ste`` or ``mixed``, see ``Codec``.
        init_scale: width of the factorised densities at first.
        speed: how much faster than the transforms the densities are learned, see ``FactorizedDensity``.
    """

    block = 64
    border = "reflect"
    centre = 0.0
    integer_grid = False  # as the source rounds

    def __init__(
        self, width: int, M: int, hyper: int, blocks: int, quantisation: str, init_scale: float, speed: float
    ) -> None:
        architecture = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(quantisation)
        self.architecture = architecture
        self.latent_channels = M
        self.margin = reach(blocks)
        self.g_a = Analysis(width, M)
        self.g_s = Synthesis(width, M, blocks)
        h_a = nn.Sequential(
            _conv(M, hyper, 3), nn.ReLU(), _conv(hyper, hyper, 5, 2), nn.ReLU(), _conv(hyper, hyper, 5, 2)
        )
        h_s = SideBySide(mean=_hyper_synthesis(hyper, M), scale=_hyper_synthesis(hyper, M))
        self.set_prior(h_a, h_s, FactorizedDensity(hyper, init_scale, speed), BoundedGaussian())


def _hyper_synthesis(hyper: int, M: int) -> nn.Sequential:
    return nn.Sequential(
        Doubling(hyper, hyper, 5), nn.ReLU(), Doubling(hyper, hyper, 5), nn.ReLU(), _conv(hyper, M, 3)
    )
