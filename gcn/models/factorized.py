"""A codec with a factorised prior: every channel of the latents has one density, learned with the codec.

Ballé, Laparra and Simoncelli, "End-to-end optimized image compression", 2017 (arXiv 1611.01704), with the
density of Ballé et al., 2018 (arXiv 1802.01436).
"""

from torch import Tensor

from gcn.models.blocks import analysis, check_shape, synthesis
from gcn.models.codec import Codec, Latents
from gcn.models.entropy import FactorizedDensity
from gcn.rng import Stream


class Factorized(Codec):
    """Four stages and a factorised prior.

        x ─► g_a ─► y ─► entropy_bottleneck ─► y_hat ─► g_s ─► x_hat
                                 │
                                 └─► likelihoods {y}

    Args:
        N, M: channels of the layers, channels of the latents.
        kernel: side of the strided and transposed convolutions, odd.
        activation: ``gdn``, ``simplified`` (without the root) or ``leaky``.
        residual: residual blocks after each of the two coarser hidden stages of g_a and g_s.
        upsampling: ``transposed`` convolutions or pixel ``shuffle``.
        quantisation: ``noise``, ``ste`` or ``mixed``, see ``Codec``.
        init_scale: width of the densities at first.
        speed: how much faster than the transforms the densities are learned, see ``FactorizedDensity``.
        gain: standard deviation of y at first, about.
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
        self.entropy_bottleneck = FactorizedDensity(M, init_scale, speed)

    def proxy(self, y: Tensor, noise: Stream) -> Latents:
        """y + U(-½, ½), or y rounded to integers; (B, M, h, w)."""
        y_hat, y_rate = self.for_decoder_and_rate(y, 0.0, noise.child("y"))
        return Latents(y_hat, {"y": self.entropy_bottleneck.likelihood(y_rate)})

    def quantise(self, y: Tensor) -> Latents:
        """round(y - median) + median; (B, M, h, w)."""
        y_hat = self.entropy_bottleneck.rounded(y)
        return Latents(y_hat, {"y": self.entropy_bottleneck.likelihood(y_hat)})

    def encode(self, y: Tensor) -> tuple[bytes, ...]:
        """One string, the symbols of y (1, M, h, w)."""
        return tuple(self.entropy_bottleneck.compress(y))

    def decode(self, strings: tuple[bytes, ...], height: int, width: int) -> Tensor:
        """The y_hat (1, M, height, width) of that string."""
        return self.entropy_bottleneck.decompress(list(strings), (height, width))
