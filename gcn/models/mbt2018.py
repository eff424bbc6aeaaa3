"""The mean and scale hyperprior of Minnen et al., 2018, with CompressAI's layers and names (``mbt2018-mean``).

Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression", 2018
(arXiv 1809.02736), without the autoregressive part. CompressAI's published weights fit exactly.
"""

from torch import Tensor, nn

from gcn.models.blocks import Doubling, scaled
from gcn.models.bmshj2018 import Transforms, hyper_analysis
from gcn.models.entropy import BoundedGaussian, FactorizedDensity
from gcn.models.gaussian_prior import GaussianPrior

SLOPE = 0.01  # of the rectifiers below 0


class MeanScale(GaussianPrior, Transforms):
    """CompressAI's ``mbt2018-mean``: z predicts a mean and a scale for each latent.

    Images are padded to multiples of 64 pixels, so that the output of h_s has the size of y.
    """

    block = 64

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create h_a, h_s, a density for each of the N channels of z, and a Gaussian for each latent."""
        wide = M * 3 // 2
        h_s = nn.Sequential(
            scaled(Doubling(N, M, 5)),
            nn.LeakyReLU(SLOPE),
            scaled(Doubling(M, wide, 5)),
            nn.LeakyReLU(SLOPE),
            scaled(nn.Conv2d(wide, 2 * M, 3, padding=1), gain=0.1),
        )
        nn.init.ones_(h_s[4].bias[:M])  # type: ignore[index, arg-type]  # scales that fit the first latents
        h_a = hyper_analysis(N, M, lambda: nn.LeakyReLU(SLOPE))
        self.set_prior(h_a, h_s, FactorizedDensity(N, init_scale, speed), BoundedGaussian())

    def split(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Means and raw scales (B, M, h, w); h_s gives the scales first."""
        raw, mean = predicted.chunk(2, dim=1)
        return mean, raw
