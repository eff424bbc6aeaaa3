"""The rate: bits per pixel of the latents under the entropy model."""

import torch
from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import Turn


class Rate(Term):
    """Bits per pixel, -Σ log2 p(latents) / (H·W), with HiFiC's switch if ``target_bpp`` is given.

    With a target the value of an image is its bpp where that is above the target, and ``below`` times its bpp where it
    is not, so that the rate settles near the target (Mentzer et al. 2020 switch between two weights in the same way).

    Args:
        target_bpp: bits per pixel, or None.
        below: factor of the value of images that are not above the target.
        early: number of first updates with another target and another weight; HiFiC has 50000.
        early_target: factor of the target in these updates.
        early_weight: factor of the value in these updates.
    """

    def __init__(
        self,
        target_bpp: float | None = None,
        below: float = 0.0625,
        early: int = 0,
        early_target: float = 0.2 / 0.14,
        early_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.target_bpp, self.below = target_bpp, below
        self.early, self.early_target, self.early_weight = early, early_target, early_weight

    def forward(self, turn: Turn) -> Tensor:
        bpp = turn.bpp  # (B,)
        raised, weight = (self.early_target, self.early_weight) if turn.step < self.early else (1.0, 1.0)
        if self.target_bpp is not None:
            bpp = torch.where(bpp > raised * self.target_bpp, bpp, self.below * bpp)
        return weight * turn.mean(bpp)
