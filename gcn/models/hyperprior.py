"""A codec with a mean and scale hyperprior: side information z predicts a Gaussian for every latent.

Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression", 2018
(arXiv 1809.02736), without the autoregressive part.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.models.blocks import analysis, check_shape, down, scaled, synthesis, up
from gcn.models.codec import Codec, Latents
from gcn.models.entropy import SMALLEST_SCALE, FactorizedDensity, Gaussian
from gcn.rng import Stream


class Hyperprior(Codec):
    """Four stages and a hyperprior of two.

        x ─► g_a ─► y ───────────────────► gaussian_conditional ─► y_hat ─► g_s ─► x_hat
                    │                              ▲     │
                    ▼                         mean, scale└─► likelihoods {y}
                   h_a                             │
                    └─► z ─► entropy_bottleneck ─► h_s
                                      │
                                      └─► likelihoods {z}

    The hyper-latents have a quarter of the latents' resolution, rounded up; h_s's output is cropped to y's
    size, so that images need no more padding than y does. A hyper-latent covers 64 pixels: trained on crops of
    little more, h_s sees mostly their zero borders, and whole images cost a multiple of the crops' rate.

    Args: those of ``Factorized``, with ``init_scale`` and ``speed`` for the densities of z. z has N channels.
    """

    def __init__(
        self,
        N: int,
        M: int,
        kernel: int,
        activation: str,
        residual: int,
        upsampling: str,
        quantisation: str,
        init_scale: float,
        speed: float,
        gain: float,
    ) -> None:
        super().__init__(quantisation)
        check_shape(N, M, kernel, upsampling)
        self.latent_channels = M
        self.g_a = analysis(N, M, kernel, activation, residual, gain)
        self.g_s = synthesis(N, M, kernel, activation, residual, gain, upsampling)
        self.h_a = nn.Sequential(
            scaled(nn.Conv2d(M, N, 3, padding=1)),
            nn.LeakyReLU(0.2),
            down(N, N, kernel),
            nn.LeakyReLU(0.2),
            down(N, N, kernel),
        )
        self.h_s = nn.Sequential(
            up(N, N, kernel, "transposed"),
            nn.LeakyReLU(0.2),
            up(N, M * 3 // 2, kernel, "transposed"),
            nn.LeakyReLU(0.2),
            scaled(nn.Conv2d(M * 3 // 2, 2 * M, 3, padding=1), gain=0.1),
        )
        self.entropy_bottleneck = FactorizedDensity(N, init_scale, speed)
        self.gaussian_conditional = Gaussian()

    def _predict(self, z_hat: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Mean and scale of y, (B, M, height, width) each."""
        mean, raw = self.h_s(z_hat)[..., :height, :width].chunk(2, dim=1)
        return mean, SMALLEST_SCALE + F.softplus(raw)

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """y + U(-½, ½), or y - mean rounded; (B, M, h, w)."""
        z_hat, z_rate = self.for_decoder_and_rate(self.h_a(y), 0.0, noise.child("z"))
        mean, scale = self._predict(z_hat, *y.shape[-2:])
        y_hat, y_rate = self.for_decoder_and_rate(y, mean, noise.child("y"))
        return Latents(y_hat, self._likelihoods(y_rate, mean, scale, z_rate))

    def quantise(self, y: Tensor) -> Latents:
        """round(y - mean) + mean; (B, M, h, w)."""
        z_hat = self.entropy_bottleneck.rounded(self.h_a(y))
        mean, scale = self._predict(z_hat, *y.shape[-2:])
        y_hat = torch.round(y - mean) + mean
        return Latents(y_hat, self._likelihoods(y_hat, mean, scale, z_hat))

    def _likelihoods(self, y: Tensor, mean: Tensor, scale: Tensor, z: Tensor) -> dict[str, Tensor]:
        return {
            "y": self.gaussian_conditional.likelihood(y, mean, scale),
            "z": self.entropy_bottleneck.likelihood(z),
        }

    def encode(self, y: Tensor) -> tuple[bytes, ...]:
        """Two strings, the symbols of y (1, M, h, w) and those of z."""
        z = self.h_a(y)
        mean, scale = self._predict(self.entropy_bottleneck.rounded(z), *y.shape[-2:])
        indexes = self.gaussian_conditional.build_indexes(scale)
        y_string = self.gaussian_conditional.compress(y, indexes, mean)
        return (*y_string, *self.entropy_bottleneck.compress(z))

    def decode(self, strings: tuple[bytes, ...], height: int, width: int) -> Tensor:
        """The y_hat (1, M, height, width) of these strings."""
        y_string, z_string = strings
        z_hat = self.entropy_bottleneck.decompress([z_string], (math.ceil(height / 4), math.ceil(width / 4)))
        mean, scale = self._predict(z_hat, height, width)
        indexes = self.gaussian_conditional.build_indexes(scale)
        return self.gaussian_conditional.decompress([y_string], indexes, means=mean)
