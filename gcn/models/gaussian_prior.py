"""The base class of codecs with a hyperprior: hyper-latents z, coded first, predict a Gaussian for every latent.

Training uses h_s in floating point; files use its integer version, so that a file decodes on every machine.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gcn.codec.coder import Coder
from gcn.codec.tables import Tables
from gcn.errors import InputError
from gcn.game.streams import Stream
from gcn.models.codec import Codec, Latents
from gcn.models.entropy import SCALES, FactorizedDensity, Gaussian
from gcn.models.exact import LARGEST, ONE, IntegerNetwork, fixed
from gcn.models.files import symbols_of
from gcn.models.tiling import Span, spans

HALVINGS = 2
STRIPE, SEEN = 16, 2  # rows of z whose latents are predicted at once, and that h_s sees on either side


class GaussianPrior(Codec):
    """A codec whose latents are Gaussians that hyper-latents predict.

        x ─► g_a ─► y ───────────────────► gaussian_conditional ─► y_hat ─► g_s ─► x_hat
                    │                              ▲     │
                    ▼                         mean, scale└─► likelihoods {y}
                   h_a                             │
                    └─► z ─► entropy_bottleneck ─► h_s
                                      │
                                      └─► likelihoods {z}

    z has a quarter of the latents' resolution along each side, rounded up; h_s's output is cropped to y's size.

    A subclass calls ``set_prior`` with the networks. ``split`` takes the means and the raw scales from the output of
    h_s, and ``gaussian_conditional`` computes the scales. An output of h_s may depend on hyper-latents up to ``SEEN``
    rows away, and its layers need an integer version (``gcn.models.exact``).
    """

    CODING = ("borders", "fingerprint")

    h_a: nn.Module
    h_s: nn.Module
    gaussian_conditional: Gaussian

    def set_prior(
        self, h_a: nn.Module, h_s: nn.Module, density: FactorizedDensity, gaussian: Gaussian
    ) -> None:
        """Set the networks of the hyperprior, the density of z and the Gaussian of y."""
        self.h_a, self.h_s = h_a, h_s
        self.entropy_bottleneck, self.gaussian_conditional = density, gaussian
        self._integer: IntegerNetwork | None = None
        self._borders: Tensor | None = None

    # --- what a subclass may define otherwise ---

    def hyper_latents(self, y: Tensor) -> Tensor:
        """z (B, C, h / 4, w / 4) of latents y (B, M, h, w)."""
        return self.h_a(y)  # type: ignore[no-any-return]

    def split(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Means and raw scales (B, M, h, w) among the outputs of h_s; of integers too."""
        mean, raw = predicted.chunk(2, dim=1)
        return mean, raw

    # --- training ---

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """Latents (B, M, h, w): y + U(-½, ½), or y - mean rounded."""
        z = self.hyper_latents(y)
        z_hat, z_rate = self.for_decoder_and_rate(z, self.density_offset(), noise.child("z"))
        mean, raw = self.split(self.h_s(z_hat)[..., : y.shape[-2], : y.shape[-1]])
        y_hat, y_rate = self.for_decoder_and_rate(y, mean, noise.child("y"))
        return Latents(y_hat, self._likelihoods(y_rate, mean, raw, z_rate))

    def _likelihoods(self, y: Tensor, mean: Tensor, raw: Tensor, z: Tensor) -> dict[str, Tensor]:
        return {
            "y": self.gaussian_conditional.likelihood_of_raw(y, mean, raw),
            "z": self.entropy_bottleneck.likelihood(z),
        }

    # --- the file ---

    def prepare(self) -> None:
        """Build the integer version of h_s and the values at which its output selects the next table."""
        self._integer = IntegerNetwork([self.h_s])
        if self._borders is None:
            self._borders = fixed(self.gaussian_conditional.raw_borders())

    def _stripes(self, z_symbols: Tensor, height: int, width: int) -> Iterator[tuple[Span, Tensor, Tensor]]:
        """Rows of latents, their means and raw scales (B, M, rows, width), integers; of z - median."""
        assert self._integer is not None
        steps = 2**HALVINGS
        inputs = (z_symbols.double() * ONE + fixed(self.entropy_bottleneck.medians)).clamp(-LARGEST, LARGEST)
        for rows in spans(z_symbols.shape[-2], SEEN, STRIPE):
            out = self._integer(inputs[..., rows.seen(), :])
            mean, raw = self.split(out[..., rows.inner(steps), :width])
            kept = rows.wanted(steps, height)
            count = kept.stop - kept.start
            yield rows, mean[..., :count, :], raw[..., :count, :]

    def quantise(self, y: Tensor) -> Latents:
        """Latents (B, M, h, w): round(y - mean) + mean."""
        medians = self.entropy_bottleneck.medians
        z_symbols = torch.round(self.hyper_latents(y) - medians)
        _, means, raws = zip(*self._stripes(z_symbols, *y.shape[-2:]), strict=True)
        mean = (torch.cat(means, -2) / ONE).to(y.dtype)
        raw = (torch.cat(raws, -2) / ONE).to(y.dtype)
        y_hat = torch.round(y - mean) + mean
        return Latents(y_hat, self._likelihoods(y_hat, mean, raw, z_symbols + medians))

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
        z = None if y is None else symbols_of(torch.round(self.hyper_latents(y)[0] - medians))
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
