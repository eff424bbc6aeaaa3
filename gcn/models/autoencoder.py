"""The auto-encoder as a discriminator: what it reconstructs badly, it takes for fake."""

import torch.nn.functional as F
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import DiscriminatorOutput

UNIT = (255 / 8) ** 2  # the unit of the term mse: an RMS error of 8 grey levels


class AutoEncoder(nn.Module):
    """The discriminator of EBGAN (Zhao et al. 2016): its logit is minus the energy, the error of a reconstruction.

        x ─► conv ↓2 ─► … ─► code ─► conv ↑2 ─► … ─► x̃        logit of a patch: -mean (x - x̃)² / (8/255)²

    A patch has 2^depth pixels a side. Layer i of the encoder has width·2^i channels, at most 8·width. y_hat is not
    used.

    Args:
        width: channels of the first layer.
        depth: layers of the encoder, each of which halves the resolution.
        code: channels of the code.
    """

    condition_gradient = False

    def __init__(self, width: int, depth: int, code: int) -> None:
        super().__init__()
        self.patch = 2**depth
        channels = [3, *(width * min(2**i, 8) for i in range(depth - 1)), code]
        self.encoder = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], 4, stride=2, padding=1) for i in range(depth)
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(channels[i + 1], channels[i], 4, stride=2, padding=1)
            for i in reversed(range(depth))
        )

    def check_input(self, height: int, width: int) -> None:
        """Raise InputError for images smaller than a patch; sizes in pixels."""
        if min(height, width) < self.patch:
            raise InputError(
                f"discriminator: a depth of {self.patch.bit_length() - 1} needs images of {self.patch} pixels or more,"
                f" not {width}x{height}; use larger crops or fewer layers"
            )

    def forward(self, x: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits (B, 1, h, w) and features of x (B, 3, H, W), h = H / 2^depth rounded up; ``cond`` is not used.

        The last feature is the code (B, code, h, w).
        """
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % self.patch, 0, -height % self.patch), mode="replicate")
        features, out = [], padded
        for i, layer in enumerate(self.encoder):
            out = layer(out)
            if i < len(self.encoder) - 1:
                out = F.leaky_relu(out, 0.2)
            features.append(out)
        for i, layer in enumerate(self.decoder):
            out = layer(F.leaky_relu(out, 0.2) if i > 0 else out)
        error = (padded - out.to(padded.dtype)).square().mean(1, keepdim=True)
        return DiscriminatorOutput((-UNIT * F.avg_pool2d(error, self.patch),), tuple(features))
