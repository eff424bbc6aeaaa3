"""A codec with a mean and scale hyperprior: side information z predicts a Gaussian for every latent.

Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression", 2018
(arXiv 1809.02736), without the autoregressive part. Training uses h_s in floating point; files use its integer
version, so that a file decodes on every machine.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gcn.codec.coder import Coder
from gcn.codec.tables import Tables
from gcn.errors import InputError
from gcn.game.streams import Stream
from gcn.models.blocks import scaled
from gcn.models.codec import Latents
from gcn.models.entropy import SCALES, SMALLEST_SCALE, FactorizedDensity, Gaussian
from gcn.models.exact import LARGEST, ONE, IntegerNetwork, fixed
from gcn.models.files import symbols_of
from gcn.models.four_stages import FourStages
from gcn.models.tiling import Span, spans

HALVINGS = 2
STRIPE, SEEN = 16, 2  # rows of z whose latents are predicted at once, and that h_s sees on either side


def _conv(inputs: int, outputs: int, stride: int = 1, gain: float = 1.0) -> nn.Module:
    # Borders are replicated: with zeros, h_s learns the border of the training crops instead of images.
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="replicate")
    return scaled(layer, gain)


class Hyperprior(FourStages):
    """A codec of four stages with a hyperprior of two stages.

        x ─► g_a ─► y ───────────────────► gaussian_conditional ─► y_hat ─► g_s ─► x_hat
                    │                              ▲     │
                    ▼                         mean, scale└─► likelihoods {y}
                   h_a                             │
                    └─► z ─► entropy_bottleneck ─► h_s
                                      │
                                      └─► likelihoods {z}

    The hyper-latents, N / 2 channels, have a quarter of the latents' resolution, rounded up; h_s's output is
    cropped to y's size, so that images need no more padding than y does. A hyper-latent covers 64 pixels: train
    on crops of 128 or more, or h_s never sees two of them.
    """

    CODING = ("borders", "fingerprint")

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create h_a, h_s, a density for each channel of z, and a Gaussian for each latent."""
        side = N // 2
        self.h_a = nn.Sequential(
            _conv(M, N),
            nn.LeakyReLU(0.2),
            _conv(N, N, stride=2),
            nn.LeakyReLU(0.2),
            _conv(N, side, stride=2),
        )
        self.h_s = nn.Sequential(
            _conv(side, 4 * N),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            _conv(N, 4 * N),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            _conv(N, 2 * M, gain=0.1),
        )
        self.entropy_bottleneck = FactorizedDensity(side, init_scale, speed)
        self.gaussian_conditional = Gaussian()
        self._integer: IntegerNetwork | None = None
        self._borders: Tensor | None = None

    # --- training ---

    def _predict(self, z_hat: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Mean and scale of y, (B, M, height, width) each."""
        mean, raw = self.h_s(z_hat)[..., :height, :width].chunk(2, dim=1)
        return mean, SMALLEST_SCALE + F.softplus(raw)

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """Latents (B, M, h, w): y + U(-½, ½), or y - mean rounded."""
        z_hat, z_rate = self.for_decoder_and_rate(self.h_a(y), 0.0, noise.child("z"))
        mean, scale = self._predict(z_hat, *y.shape[-2:])
        y_hat, y_rate = self.for_decoder_and_rate(y, mean, noise.child("y"))
        return Latents(y_hat, self._likelihoods(y_rate, mean, scale, z_rate))

    def _likelihoods(self, y: Tensor, mean: Tensor, scale: Tensor, z: Tensor) -> dict[str, Tensor]:
        return {
            "y": self.gaussian_conditional.likelihood(y, mean, scale),
            "z": self.entropy_bottleneck.likelihood(z),
        }

    # --- the file ---

    def prepare(self) -> None:
        """Build the integer version of h_s and the values at which its output selects the next table."""
        self._integer = IntegerNetwork(self.h_s)
        above = Gaussian.borders() - SMALLEST_SCALE
        if self._borders is None:
            self._borders = fixed(above + torch.log(-torch.expm1(-above)))  # the inverse of softplus

    def _stripes(self, z_symbols: Tensor, height: int, width: int) -> Iterator[tuple[Span, Tensor, Tensor]]:
        """Rows of latents, their means and scales before softplus (B, M, rows, width), integers; of z - median."""
        assert self._integer is not None
        steps = 2**HALVINGS
        inputs = (z_symbols.double() * ONE + fixed(self.entropy_bottleneck.medians)).clamp(-LARGEST, LARGEST)
        for rows in spans(z_symbols.shape[-2], SEEN, STRIPE):
            out = self._integer(inputs[..., rows.seen(), :])
            mean, raw = out[..., rows.inner(steps), :width].chunk(2, dim=1)
            kept = rows.wanted(steps, height)
            count = kept.stop - kept.start
            yield rows, mean[..., :count, :], raw[..., :count, :]

    def quantise(self, y: Tensor) -> Latents:
        """Latents (B, M, h, w): round(y - mean) + mean."""
        medians = self.entropy_bottleneck.medians
        z_symbols = torch.round(self.h_a(y) - medians)
        _, means, raws = zip(*self._stripes(z_symbols, *y.shape[-2:]), strict=True)
        mean = (torch.cat(means, -2) / ONE).to(y.dtype)
        scale = SMALLEST_SCALE + F.softplus((torch.cat(raws, -2) / ONE).to(y.dtype))
        y_hat = torch.round(y - mean) + mean
        return Latents(y_hat, self._likelihoods(y_hat, mean, scale, z_symbols + medians))

    def make_tables(self) -> dict[str, Tables]:
        """Coding tables: for z one for each channel, for y one for each scale."""
        return {"y": self.gaussian_conditional.make_tables(), "z": self.entropy_bottleneck.make_tables()}

    @property
    def table_counts(self) -> dict[str, int]:
        """Number of tables: for z one for each channel, for y one for each scale."""
        return {"y": SCALES, "z": len(self.entropy_bottleneck.quantiles)}

    def code(self, coder: Coder, y: Tensor | None, height: int, width: int) -> Tensor:
        """Code z in one block, then y in stripes with the tables that z predicts."""
        assert self._borders is not None
        medians, steps = self.entropy_bottleneck.medians, 2**HALVINGS
        shape = (len(medians), math.ceil(height / steps), math.ceil(width / steps))
        z = None if y is None else symbols_of(torch.round(self.h_a(y)[0] - medians))
        z_symbols = torch.from_numpy(coder.code(z, self.tables["z"], shape)).to(medians.device)[None]
        y_hat = medians.new_empty(1, self.latent_channels, height, width)
        for rows, mean_, raw in self._stripes(z_symbols, height, width):
            mean = (mean_ / ONE).to(medians.dtype)
            index = torch.bucketize(raw[0].contiguous(), self._borders.to(raw.device)).to(torch.uint8)
            place = rows.wanted(steps, height)
            symbols = None if y is None else symbols_of(torch.round(y[0, :, place] - mean[0]))
            found = coder.code(symbols, self.tables["y"], tuple(index.shape), index.cpu().numpy())
            y_hat[:, :, place] = torch.from_numpy(found).to(medians) + mean
        return y_hat

    def coding_state(self) -> dict[str, NDArray]:
        """The state of any codec, the borders between tables, and a checksum of the integer network's outputs."""
        assert self._integer is not None
        assert self._borders is not None
        fingerprint = self._integer.fingerprint(self.entropy_bottleneck.quantiles.device)
        return super().coding_state() | {
            "borders": self._borders.cpu().numpy().astype(np.int64),
            "fingerprint": np.array([fingerprint], np.int64),
        }

    def restore_coding(self, state: Mapping[str, NDArray]) -> None:
        """As of any codec; refuses a machine that does not compute the integer network as the maker's did."""
        borders, fingerprint = state["borders"], state["fingerprint"]
        if borders.shape != (SCALES - 1,) or borders.dtype != np.int64:
            raise ValueError("the borders between its tables are no list of integers")
        if (borders[1:] < borders[:-1]).any() or (borders < -LARGEST).any() or (borders > LARGEST).any():
            raise ValueError("the borders between its tables are not in order")
        if fingerprint.shape != (1,) or fingerprint.dtype != np.int64:
            raise ValueError("its fingerprint is none")
        self._borders = torch.from_numpy(borders).double()
        super().restore_coding(state)
        assert self._integer is not None
        if self._integer.fingerprint(self.entropy_bottleneck.quantiles.device) != int(fingerprint[0]):
            raise InputError(
                "this machine's linear algebra does not compute the hyper-synthesis exactly, its files would be"
                " decoded wrongly: use another device or another build of torch"
            )
