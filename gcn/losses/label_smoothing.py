"""One-sided label smoothing, an adversarial loss that is computed from another one."""

from typing import Self

from torch import Tensor

from gcn.errors import InputError
from gcn.game.slots import AdversarialLoss, LossWrapper
from gcn.game.turn import Turn
from gcn.losses.adversarial import Adversarial


class LabelSmoothing(LossWrapper):
    """D: (1-ε)·f1 + ε·f2 on real images, f2 on reconstructions; G's loss is unchanged (Salimans et al. 2016).

    The label of real images is 1-ε, that of reconstructions stays 0 (one-sided). D's optimum has the odds
    (1-ε)p/(εp + q) of real, p the density of the images, q that of the reconstructions: at most (1-ε)/ε. For ``lsgan``
    it is the label that is ε of the way from real to fake, up to a constant.

    Args:
        epsilon: ε, the share of the label that is moved, in (0, ½].
    """

    loss: Adversarial

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def wrap(self, loss: AdversarialLoss) -> Self:
        if not (isinstance(loss, Adversarial) and loss.has_labels):
            raise InputError(
                f"label_smoothing={self.epsilon}: {type(loss).__name__} has no label of two classes that could be "
                "smoothed; use ns, vanilla, ml or lsgan without relativistic"
            )
        self.loss = loss
        return self

    def real(self, t: Tensor) -> Tensor:
        """D's loss on a real image of logit t, elementwise."""
        return (1 - self.epsilon) * self.loss.real(t) + self.epsilon * self.loss.fake(t)

    def d_loss(self, turn: Turn) -> Tensor:
        return turn.logit_mean(self.real, turn.real.logits) + turn.logit_mean(
            self.loss.fake, turn.fake.logits
        )

    def g_loss(self, turn: Turn) -> Tensor:
        return self.loss.g_loss(turn)
