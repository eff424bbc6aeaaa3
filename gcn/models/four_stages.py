"""The transforms of the codecs in this package: four stages, sixteen pixels a latent."""

from gcn.models.blocks import analysis, analysis_reach, synthesis, synthesis_reach
from gcn.models.codec import Codec


class FourStages(Codec):
    """A codec whose g_a and g_s have four stages each; a subclass adds the prior.

    Args:
        N, M: channels of the layers, channels of the latents.
        kernel: side of the strided and transposed convolutions, odd.
        activation: ``gdn``, ``simplified`` (without the root) or ``leaky``.
        residual: residual blocks after each of the two coarser hidden stages of g_a and g_s.
        upsampling: ``transposed`` convolutions or pixel ``shuffle``.
        quantisation: ``noise``, ``ste`` or ``mixed``, see ``Codec``.
        init_scale: width of the factorised densities at first.
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
        architecture = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(quantisation)
        self.architecture = architecture
        self.latent_channels = M
        self.analysis_margin = analysis_reach(kernel, residual).margin(self.downsampling)
        self.synthesis_margin = synthesis_reach(kernel, residual, upsampling).margin()
        self.g_a = analysis(N, M, kernel, activation, residual, gain)
        self.g_s = synthesis(N, M, kernel, activation, residual, gain, upsampling)
        self.build_prior(N, M, init_scale, speed)

    def build_prior(self, N: int, M: int, init_scale: float, speed: float) -> None:
        """Create ``entropy_bottleneck`` and whatever else predicts the latents."""
        raise NotImplementedError
