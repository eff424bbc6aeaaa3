"""HiFiC's codec: the generator of "High-fidelity generative image compression" and of MS-ILLM.

Mentzer, Toderici, Tschannen and Agustsson, 2020 (arXiv 2006.09965), with the borders, names and rounding of
NeuralCompression's ``HiFiCAutoencoder`` (Muckley et al., 2023, arXiv 2301.11189), so that its published weights fit
exactly. At full size g_a has 7.42, g_s 156.77 and the hyperprior 17.28 million parameters.
"""

import itertools

import torch
from torch import Tensor, nn

from gcn.models.blocks import Doubling, SideBySide, channel_norm
from gcn.models.entropy import BoundedGaussian, FactorizedDensity
from gcn.models.gaussian_prior import GaussianPrior
from gcn.models.receptive_field import Reach
from gcn.models.tiling import TILE, Span


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

    def features(self, y_hat: Tensor) -> Tensor:
        """Output of the residual blocks (B, 16 · width, h, w), which the doublings make an image of."""
        x = self.block_0(y_hat)
        return x + self.resid_blocks(x)  # type: ignore[no-any-return]

    def forward(self, y_hat: Tensor) -> Tensor:
        """x_hat of y_hat, not clamped."""
        return self.blocks(self.features(y_hat))  # type: ignore[no-any-return]


# Pixels that latents depend on in g_a; latents that pixels depend on in g_s, residual blocks left out.
ANALYSIS = Reach().convolution(3).halving(3).halving(3).halving(3).halving(3).convolution(7)
DOUBLINGS = Reach().convolution(7).doubling(3).doubling(3).doubling(3).doubling(3)


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
    synthesis_tile, doublings_tile = 144, TILE
    g_s: Synthesis

    def __init__(
        self, width: int, M: int, hyper: int, blocks: int, quantisation: str, init_scale: float, speed: float
    ) -> None:
        architecture = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(quantisation)
        self.architecture = architecture
        self.latent_channels = M
        self.analysis_margin = ANALYSIS.margin(self.downsampling)
        self.synthesis_margin = DOUBLINGS.convolution(3, 1 + 2 * blocks).margin()
        self.g_a = Analysis(width, M)
        self.g_s = Synthesis(width, M, blocks)
        h_a = nn.Sequential(
            _conv(M, hyper, 3), nn.ReLU(), _conv(hyper, hyper, 5, 2), nn.ReLU(), _conv(hyper, hyper, 5, 2)
        )
        h_s = SideBySide(mean=_hyper_synthesis(hyper, M), scale=_hyper_synthesis(hyper, M))
        self.set_prior(h_a, h_s, FactorizedDensity(hyper, init_scale, speed), BoundedGaussian())

    def synthesise_tile(self, y_hat: Tensor, rows: Span, columns: Span) -> Tensor:
        """Output of g_s (B, 3, ·, ·) for a tile of y_hat (B, M, h, w): doublings in smaller tiles than residual blocks.

        The residual blocks are most of the work and depend on 19 latents beside a tile, so that small tiles would cost
        several times the work. The doublings need most of the memory, and depend on 2.
        """
        step, size = self.downsampling, (DOUBLINGS.margin(), self.doublings_tile)
        features = self.g_s.features(y_hat[..., rows.seen(), columns.seen()])
        x_hat = features.new_empty(len(features), 3, rows.length * step, columns.length * step)
        for r, c in itertools.product(rows.parts(*size), columns.parts(*size)):
            part = self.g_s.blocks(features[..., r.seen(), c.seen()])
            x_hat[..., r.wanted(step), c.wanted(step)] = part[..., r.inner(step), c.inner(step)]
        return x_hat[..., rows.inner(step), columns.inner(step)]


def _hyper_synthesis(hyper: int, M: int) -> nn.Sequential:
    return nn.Sequential(
        Doubling(hyper, hyper, 5), nn.ReLU(), Doubling(hyper, hyper, 5), nn.ReLU(), _conv(hyper, M, 3)
    )
