"""OASIS: cross-entropy over the classes of image places and one class for reconstructions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.slots import AdversarialLoss
from gcn.game.turn import Turn, mean_over_scales


class OASIS(AdversarialLoss):
    """D: CE(D(x), label) + CE(D(x_hat), fake); G: CE(D(x_hat), label), means over places (Sushko et al. 2021).

    CE is the cross-entropy of D's softmax over K + 1 classes, and the label of a place is that of the same place of x.
    Labels of another grid than D's are taken from the nearest place. Without OASIS' balancing of rare classes, as in
    MS-ILLM (Muckley et al. 2023), whose D loss is half of this. With K = 1 it is ``ns`` of D's log-odds. It has no
    relativistic form: this needs differences of one number for each place.
    """

    def d_loss(self, turn: Turn) -> Tensor:
        real, fake = turn.real.classes, turn.fake.classes
        nobody = [torch.full_like(_labels(turn, scale), scale.shape[1] - 1) for scale in fake]
        labels = [_labels(turn, scale) for scale in real]
        return _cross_entropy(turn, real, labels) + _cross_entropy(turn, fake, nobody)

    def g_loss(self, turn: Turn) -> Tensor:
        fake = turn.fake.classes
        return _cross_entropy(turn, fake, [_labels(turn, scale) for scale in fake])

    def check(self, discriminator: nn.Module | None, labeller: object | None) -> None:
        if labeller is None:
            raise InputError("loss=oasis needs a class for each place of an image; choose labeller=patches")
        found, wanted = getattr(discriminator, "classes", None), getattr(labeller, "classes", None)
        if found is None:
            raise InputError(
                "loss=oasis needs a discriminator with a logit for each class; choose discriminator=unet"
            )
        if found != wanted:
            raise InputError(
                f"discriminator.classes={found}: the labeller has {wanted} classes; drop discriminator.classes"
            )


def _labels(turn: Turn, classes: Tensor) -> Tensor:
    """Labels of x at the places of D's class logits (B, K+1, h, w): (B, h, w)."""
    labels, grid = turn.labels, classes.shape[-2:]
    if labels.shape[-2:] == grid:
        return labels
    return F.interpolate(labels[:, None].double(), size=grid, mode="nearest-exact")[:, 0].long()


def _cross_entropy(turn: Turn, classes: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy over the joint batch, places and scales."""
    pairs = zip(classes, labels, strict=True)
    return mean_over_scales([turn.mean(F.cross_entropy(c, t, reduction="none")) for c, t in pairs])
