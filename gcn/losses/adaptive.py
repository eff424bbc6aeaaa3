"""A weight of the adversarial loss that follows the gradients of the distortion and of the adversary."""

import torch
from torch import Tensor

from gcn.game.turn import Turn
from gcn.losses.distortion import synthesis_of


class AdaptiveWeight:
    """.8 · min(‖∇ distortion‖ / (‖∇ adversarial loss‖ + 1e-4), 1e4), a weight without gradient (Esser et al. 2021).

    The gradients are those of the joint batch for the weights of the decoder's last convolution. ``distortion`` is the
    weighted sum of all terms of G's loss that are computed without D; the rate does not depend on the last layer. The
    adversary is thus weakened where its gradient is large and strengthened where it is small, at each evaluation of
    G's loss, so that what G follows is the gradient of no fixed loss.

    Source: "Taming transformers for high-resolution image synthesis", arXiv 2012.09841, equation 7. There the small
    number is 1e-6; it is 1e-4 in the authors' code, as are the bound and the factor.
    """

    FACTOR = 0.8
    LARGEST = 1e4
    SMALL = 1e-4

    def __call__(self, turn: Turn, distortion: Tensor, adversarial: Tensor) -> Tensor:
        """The weight, a scalar, from two losses of G in this turn.

        Raises:
            InputError: the generator has no synthesis.
        """
        layer = [p for p in synthesis_of(turn.game.generator, "adv=adaptive").parameters() if p.dim() == 4][
            -1
        ]
        norms = []
        for loss in (distortion, adversarial):
            (gradient,) = turn.differentiate(loss, [layer], create_graph=False, retain_graph=True)
            norms.append(torch.linalg.vector_norm(gradient))
        ratio = norms[0] / (norms[1] + self.SMALL)
        return self.FACTOR * ratio.clamp(max=self.LARGEST).detach()
