"""EBGAN's pulling-away term: reconstructions of a batch whose codes are alike are pulled apart."""

import torch
from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import Turn

EPSILON = 1e-12  # inside of the root of a code's norm: a code of zeros has a gradient


class PullingAway(Term):
    """Mean over pairs of reconstructions of the squared cosine between their codes (Zhao et al. 2016, section 2.4).

    The code of an image is D's last feature, all of its channels and places. The pairs are those of the joint batch.
    """

    needs_discriminator = True

    def forward(self, turn: Turn) -> Tensor:
        codes = turn.reduce.gather(turn.fake.features[-1].to(turn.x.dtype)).flatten(1)
        unit = codes / (codes.square().sum(1, keepdim=True) + EPSILON).sqrt()
        cosines = unit @ unit.T
        count = len(codes)
        others = 1 - torch.eye(count, dtype=cosines.dtype, device=cosines.device)
        return (cosines.square() * others).sum() / (count * (count - 1))
