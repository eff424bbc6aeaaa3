"""A discriminator that assigns each place of an image to a class or to `fake`: MS-ILLM's U-Net."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import DiscriminatorOutput, of_classes

HALVINGS = 6
DOUBLINGS = 3  # of the halvings are undone, so that there is a place for each 8×8 pixels
WIDTHS = (1, 1, 2, 2, 4, 4)  # channels after each halving, in units of the width
SLOPE = 0.2


class UNet(nn.Module):
    """Conditional U-Net discriminator of MS-ILLM (Muckley et al. 2023, arXiv 2301.11189), after OASIS (Sushko 2021).

        y_hat ─► conv 3×3 ─► maps ─► nearest ↑16 ─┐
        x ────────────────────────────────────────┴─► 6 residual blocks ↓2 ─► 3 of them ↑2 ─► conv 1×1 ─► classes

    ``classes`` (B, K+1, H/8, W/8) holds the logits of K classes of real places and, last, that of `fake`. The scalar
    logit of a place is its log-odds of being real, logsumexp over the K classes minus the logit of `fake`. A block
    is two 3×3 convolutions beside a 1×1 convolution; there are no normalisations, and, in spite of the name, no
    connections from the halving blocks to the doubling ones. The published code applies the first activation of a block
    in place, so that its 1×1 convolution has the activated input too: so it is here. MS-ILLM has width 128 and 1024
    classes.

    Args:
        width: channels of the first block; a multiple of 2.
        classes: K, those of the labeller; with 1 the losses of one logit are those of two logits' difference.
        condition: see y_hat. Without it ``cond`` is ignored.
        condition_gradient: let G's gradient pass through the condition; see :class:`gcn.models.discriminator.Patch`.
        condition_channels: channels of the maps that are made of y_hat.
        latent_channels: channels of y_hat; unused without ``condition``.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        condition: bool,
        condition_gradient: bool,
        condition_channels: int,
        latent_channels: int,
    ) -> None:
        super().__init__()
        self.classes, self.condition_gradient = classes, condition_gradient
        self.condition = (
            nn.Conv2d(latent_channels, condition_channels, 3, padding=1, padding_mode="reflect")
            if condition
            else None
        )
        down = [3 + condition_channels * condition, *(width * times for times in WIDTHS)]
        up = [*reversed(down[-DOUBLINGS:]), width // 2]
        self.down = nn.ModuleList(_Block(a, b, i > 0) for i, (a, b) in enumerate(pairwise(down)))
        self.up = nn.ModuleList(_Block(a, b, True) for a, b in pairwise(up))
        self.head = nn.Conv2d(up[-1], classes + 1, 1)

    def check_input(self, height: int, width: int) -> None:
        """Raise InputError for images that are too small for the halvings; sizes in pixels."""
        smallest = 2**HALVINGS
        if min(height, width) < smallest:
            raise InputError(
                f"discriminator=unet needs images of {smallest} pixels or more, not {width}x{height}; use larger crops"
            )

    def forward(self, x: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Class logits and features of x (B, 3, H, W), decoded from ``cond`` = y_hat (B, latent_channels, h, w)."""
        if self.condition is not None:
            if cond is None:
                raise ValueError("this discriminator is conditional: give it y_hat")
            maps = F.leaky_relu(self.condition(cond), SLOPE)
            x = torch.cat((x.to(maps.dtype), F.interpolate(maps, size=x.shape[-2:], mode="nearest")), dim=1)
        features = []
        for block in self.down:
            x = F.avg_pool2d(block(x), 2)
            features.append(x)
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            features.append(x)
        return of_classes(self.head(x), tuple(features))


class _Block(nn.Module):
    """Two 3×3 convolutions beside a 1×1 convolution (nothing where the channels stay), on an activated input."""

    def __init__(self, inputs: int, outputs: int, activate: bool) -> None:
        super().__init__()
        self.activate = activate
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(x, SLOPE) if self.activate else x
        return self.second(F.leaky_relu(self.first(x), SLOPE)) + self.shortcut(x)
