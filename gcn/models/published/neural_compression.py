"""NeuralCompression's ``HiFiCAutoencoder``, the network of MS-ILLM.

Muckley, El-Nouby, Ullrich, Jégou and Verbeek, "Improving statistical fidelity for neural image compression with
implicit local likelihood models", 2023 (arXiv 2301.11189). A published autoencoder has 163 entries and 181 481 103
parameters, without a discriminator.
"""

import re

from torch import Tensor

from gcn.models.published.codec_target import buffer, codec_target, density, same, write
from gcn.models.published.conversion import Drop, Layout, Shapes, Target, Use
from gcn.models.published.licences import CC_BY_NC

RESULTS = {  # with FID of patches of 256 pixels
    "msillm_target_0.035bpp": ".0346 bpp, PSNR 27.88, LPIPS .1137, DISTS .0857, FID 6.27 on CLIC2020 test",
    "msillm_target_0.07bpp": ".0633 bpp, PSNR 29.24, LPIPS .0801, DISTS .0663, FID 4.48 on CLIC2020 test",
    "msillm_target_0.14bpp": ".1206 bpp, PSNR 30.87, LPIPS .0541, DISTS .0480, FID 2.65 on CLIC2020 test",
    "noganms_target_0.14bpp": ".120 bpp, PSNR 31.99, LPIPS .0466, FID 6.56 on CLIC2020 test",
}
_PARTS = {
    "encoder": "g_a",
    "decoder": "g_s",
    "hyper_analysis": "h_a",
    "hyper_synthesis_mean": "h_s.mean",
    "hyper_synthesis_scale": "h_s.scale",
}
_DENSITY = re.compile(r"hyper_bottleneck\.((?:matrices|biases|factors)\.\d)")
_BLOCK = re.compile(r"decoder\.resid_blocks\.(\d+)\.sequence\.0\.weight")


def _of_channels(value: Tensor) -> Tensor:
    """(C) of (1, C, 1, 1)."""
    if value.dim() != 4 or value.shape[1] != value.numel():
        return value  # another shape than the network's, which is refused
    return value.flatten()


def _autoencoder_rule(name: str, target: Target) -> Use | Drop | None:
    if found := _DENSITY.fullmatch(name):
        return density(found[1], target)
    part, _, rest = name.partition(".")
    if part in ("hyper_bottleneck", "latent_bottleneck"):
        return buffer(rest)
    if part not in _PARTS:
        return None
    norm = rest.endswith((".gamma", ".beta"))
    return Use(f"{_PARTS[part]}.{rest}", _of_channels if norm else same)


def _autoencoder_target(shapes: Shapes) -> Target:
    return codec_target(
        "hific",
        width=shapes["encoder.blocks.0.0.weight"][0],
        M=shapes["encoder.blocks.5.weight"][0],
        hyper=shapes["hyper_analysis.0.weight"][0],
        blocks=sum(_BLOCK.fullmatch(name) is not None for name in shapes),
    )


AUTOENCODER = Layout(
    "HiFiCAutoencoder of NeuralCompression",
    CC_BY_NC,
    lambda shapes: {"encoder.blocks.0.0.weight", "hyper_synthesis_mean.0.weight"} <= set(shapes),
    _autoencoder_target,
    _autoencoder_rule,
    write,
    RESULTS,
)
