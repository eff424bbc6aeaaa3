"""Cross-entropy of the labels of images, for a discriminator with an auxiliary classifier."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.slots import Term
from gcn.game.turn import Turn, mean_over_scales


class ClassEntropy(Term):
    """D: CE(C(x), label) + CE(C(x_hat), label); G: share · CE(C(x_hat), label) (Odena et al. 2017, arXiv 1610.09585).

    C are D's label logits, CE the cross-entropy of their softmax in nats. Both players minimise it: the label of a
    reconstruction is that of its original, and it is to be recognised.

    Args:
        generator: G's weight as a share of D's; with 0 the term trains D alone.
        fakes: D classifies reconstructions as well, as in the paper; false: real images alone.
    """

    players = ("g", "d")
    needs_discriminator = True

    def __init__(self, generator: float = 1.0, fakes: bool = True) -> None:
        super().__init__()
        self.generator, self.fakes = generator, fakes

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        if discriminator is not None and not hasattr(discriminator, "classifier"):
            raise InputError(
                f"class_entropy: {type(discriminator).__name__} has no logits of labels; choose discriminator=auxiliary"
            )

    def forward(self, turn: Turn) -> Tensor:
        fake = _cross_entropy(turn, turn.fake.label_logits) if turn.payer == "g" or self.fakes else None
        if turn.payer == "g":
            assert fake is not None
            return self.generator * fake
        real = _cross_entropy(turn, turn.real.label_logits)
        return real if fake is None else real + fake


def _cross_entropy(turn: Turn, logits: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy of the labels over the joint batch and scales."""
    return mean_over_scales(
        [turn.mean(F.cross_entropy(scale, turn.labels, reduction="none")) for scale in logits]
    )
