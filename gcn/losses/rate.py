"""The rate: bits per pixel of the latents under the entropy model."""

import torch
from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import Turn


class Rate(Term):
    """Bits per pixel, -Σ log2 p(latents) / (H·W), with HiFiC's switch if ``target_bpp`` is given.

    With a target the value of an image is its bpp where that is above the target, and ``below`` times its bpp where it
    is not, so that the rate settles near the target (Mentzer et al. 2020 switch between two weights in the same way).
    """

    def __init__(self, target_bpp: float | None = None, below: float = 0.0625) -> None:
        super().__init__()
        self.target_bpp, self.below = target_bpp, below

    def forward(self, turn: Turn) -> Tensor:
        bpp = turn.bpp  # (B,)
        if self.target_bpp is not None:
            bpp = torch.where(bpp > self.target_bpp, bpp, self.below * bpp)
        return turn.mean(bpp)
