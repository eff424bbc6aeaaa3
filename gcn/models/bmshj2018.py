"""The codecs of Ballé et al., 2018, with CompressAI's layers and names, so that its published weights fit exactly.

Ballé, Minnen, Singh, Hwang and Johnston, "Variational image compression with a scale hyperprior", 2018 (arXiv
1802.01436). Layers have borders of zeros, and x is not centred.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gcn.models.blocks import Doubling, down, scaled
from gcn.models.entropy import BoundedGaussian, FactorizedDensity
from gcn.models.factorized import Factorized
from gcn.models.four_stages import FourStages
from gcn.models.gaussian_prior import GaussianPrior


class Transforms(FourStages):
    """CompressAI's g_a and g_s: 5×5 convolutions and GDN; a subclass adds the prior.

    Args:
        N, M: channels of the layers, channels of the latents.
        quantisation, init_scale, speed, gain: as of :class:`gcn.models.four_stages.FourStages`.
    """

    centre = 0.0
    integer_grid = False  # as the source rounds

    def __init__(
        self, N: int, M: int, quantisation: str, init_scale: float, speed: float, gain: float
    ) -> None:
        super().__init__(N, M, 5, "gdn", 0, "transposed", quantisation, init_scale, speed, gain)
        own = ("N", "M", "quantisation", "init_scale", "speed", "gain")
        self.architecture = {name: self.architecture[name] for name in own}


class FactorizedPrior(Transforms, Factorized):
    """CompressAI's ``bmshj2018-factorized``: one density for each channel of the latents."""


def hyper_analysis(N: int, M: int, rectifier: Callable[[], nn.Module]) -> nn.Sequential:
    """CompressAI's h_a: latents (B, M, 4h, 4w) -> hyper-latents (B, N, h, w)."""
    return nn.Sequential(
        scaled(nn.Conv2d(M, N, 3, padding=1)), rectifier(), down(N, N, 5), rectifier(), down(N, N, 5)
    )


class ScaleHyperprior(GaussianPrior, Transforms):
    """CompressAI's ``bmshj2018-hyperprior``: z of magnitudes |y| predicts scales, and the means are 0.

    Images are padded to multiples of 64 pixels, so that the output of h_s has the size of y.
    """

    block = 64

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create h_a, h_s, a density for each of the N channels of z, and a Gaussian for each latent."""
        h_s = nn.Sequential(
            scaled(Doubling(N, N, 5)),
            nn.ReLU(),
            scaled(Doubling(N, N, 5)),
            nn.ReLU(),
            scaled(nn.Conv2d(N, M, 3, padding=1), gain=0.1),
            nn.ReLU(),
        )
        nn.init.ones_(h_s[4].bias)  # type: ignore[arg-type]  # at 0 no scale could learn
        h_a = hyper_analysis(N, M, nn.ReLU)
        self.set_prior(h_a, h_s, FactorizedDensity(N, init_scale, speed), BoundedGaussian())

    def hyper_latents(self, y: Tensor) -> Tensor:
        """z (B, N, h / 4, w / 4) of magnitudes of latents y (B, M, h, w)."""
        return self.h_a(y.abs())  # type: ignore[no-any-return]

    def split(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Means 0 and raw scales (B, M, h, w)."""
        return torch.zeros_like(predicted), predicted
