"""A codec with a factorised prior: every channel of the latents has one density, learned with the codec.

Ballé, Laparra and Simoncelli, "End-to-end optimized image compression", 2017 (arXiv 1611.01704), with the
density of Ballé et al., 2018 (arXiv 1802.01436).
"""

import torch
from torch import Tensor

from gcn.codec.coder import Coder
from gcn.codec.tables import Tables
from gcn.game.streams import Stream
from gcn.models.codec import Latents
from gcn.models.entropy import FactorizedDensity
from gcn.models.files import symbols_of
from gcn.models.four_stages import FourStages


class Factorized(FourStages):
    """A codec of four stages with a factorised prior.

    x ─► g_a ─► y ─► entropy_bottleneck ─► y_hat ─► g_s ─► x_hat
                             │
                             └─► likelihoods {y}
    """

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create a density for each channel."""
        self.entropy_bottleneck = FactorizedDensity(M, init_scale, speed)

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """Latents (B, M, h, w): y + U(-½, ½), or y rounded."""
        y_hat, y_rate = self.for_decoder_and_rate(y, self.density_offset(), noise.child("y"))
        return Latents(y_hat, {"y": self.entropy_bottleneck.likelihood(y_rate)})

    def quantise(self, y: Tensor) -> Latents:
        """Latents (B, M, h, w): round(y - median) + median."""
        y_hat = self.entropy_bottleneck.rounded(y)
        return Latents(y_hat, {"y": self.entropy_bottleneck.likelihood(y_hat)})

    def make_tables(self) -> dict[str, Tables]:
        """Coding tables, one for each channel."""
        return {"y": self.entropy_bottleneck.make_tables()}

    @property
    def table_counts(self) -> dict[str, int]:
        """Number of tables: one for each channel."""
        return {"y": self.latent_channels}

    def code(self, coder: Coder, y: Tensor | None, height: int, width: int) -> Tensor:
        """Code all latents as one block, with a table for each channel."""
        medians = self.entropy_bottleneck.medians
        symbols = None if y is None else symbols_of(torch.round(y[0] - medians))
        found = coder.code(symbols, self.tables["y"], (self.latent_channels, height, width))
        return (torch.from_numpy(found).to(medians) + medians)[None]
