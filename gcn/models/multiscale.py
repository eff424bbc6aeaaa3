"""A discriminator of several scales: patch discriminators on ever smaller copies of an image."""

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gcn.game.protocols import DiscriminatorOutput
from gcn.models.discriminator import Patch


class MultiScale(nn.Module):
    """Patch discriminators of the same shape on x, x ↓2, x ↓4, … (Wang et al. 2018, pix2pixHD).

        x ─► Patch ─► logits[0]
        └─► average ↓2 ─► Patch ─► logits[1]
            └─► average ↓2 ─► …

    Losses and the scores of gradient penalties are means over the scales.

    Args:
        scales: number of discriminators.
        width, depth, condition, condition_gradient, latent_channels, norm: of each; see
            :class:`gcn.models.discriminator.Patch`.
    """

    def __init__(
        self,
        scales: int,
        width: int,
        depth: int,
        condition: bool,
        condition_gradient: bool,
        latent_channels: int,
        norm: str,
    ) -> None:
        super().__init__()
        self.condition_gradient = condition_gradient
        self.scales = nn.ModuleList(
            Patch(width, depth, condition, condition_gradient, latent_channels, norm) for _ in range(scales)
        )

    def _patches(self) -> Iterable[Patch]:
        return cast(Iterable[Patch], self.scales)

    def check_input(self, height: int, width: int) -> None:
        """Raise InputError for images whose smallest copy is too small for the depth; sizes in pixels."""
        for i, scale in enumerate(self._patches()):
            scale.check_input(halved(height, i), halved(width, i))

    def forward(self, x: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits and features of x (B, 3, H, W), decoded from ``cond`` = y_hat (B, latent_channels, h, w)."""
        outputs: list[DiscriminatorOutput] = []
        for i, scale in enumerate(self._patches()):
            if i:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            outputs.append(scale(x, cond))
        return DiscriminatorOutput(
            tuple(logits for output in outputs for logits in output.logits),
            tuple(feature for output in outputs for feature in output.features),
        )


def halved(side: int, times: int) -> int:
    """Side of an image, in pixels, after ``times`` halvings that round up."""
    return -(-side // 2**times)
