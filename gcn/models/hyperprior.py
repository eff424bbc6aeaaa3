"""A codec with a mean and scale hyperprior: side information z predicts a Gaussian for every latent.

Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression", 2018
(arXiv 1809.02736), without the autoregressive part.
"""

from torch import nn

from gcn.models.blocks import scaled
from gcn.models.entropy import FactorizedDensity, Gaussian
from gcn.models.four_stages import FourStages
from gcn.models.gaussian_prior import GaussianPrior


def _conv(inputs: int, outputs: int, stride: int = 1, gain: float = 1.0) -> nn.Module:
    # Borders are replicated: with zeros, h_s learns the border of the training crops instead of images.
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="replicate")
    return scaled(layer, gain)


class Hyperprior(GaussianPrior, FourStages):
    """A codec of four stages with a hyperprior of two stages.

    The hyper-latents, N / 2 channels, have a quarter of the latents' resolution, rounded up, so that images need no
    more padding than y does. A hyper-latent covers 64 pixels: train on crops of 128 or more, or h_s never sees two of
    them.
    """

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create h_a, h_s, a density for each channel of z, and a Gaussian for each latent."""
        side = N // 2
        h_a = nn.Sequential(
            _conv(M, N),
            nn.LeakyReLU(0.2),
            _conv(N, N, stride=2),
            nn.LeakyReLU(0.2),
            _conv(N, side, stride=2),
        )
        h_s = nn.Sequential(
            _conv(side, 4 * N),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            _conv(N, 4 * N),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            _conv(N, 2 * M, gain=0.1),
        )
        self.set_prior(h_a, h_s, FactorizedDensity(side, init_scale, speed), Gaussian())
