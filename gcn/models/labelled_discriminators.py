"""Discriminators that are given, or that predict, the label of a whole image.

x ─► hidden layers of Patch ─► sum over places ─► φ (B, C) ─┬─► linear ψ ────────► ψ(φ) ─┐
                                                            │                            ├─► logit of Projection
                                     label ─► embedding ────┴─► ⟨e(label), φ⟩ ──────────┘

x ─► hidden layers of Patch ─► sum over places ─► φ (B, C) ─┬─► linear ψ ─► logit of Auxiliary
                                                            └─► linear ───► logits of the K labels
"""

from typing import Any

import torch
from torch import Tensor, nn

from gcn.game.protocols import DiscriminatorOutput
from gcn.models.discriminator import Patch


class Pooled(Patch):
    """A patch discriminator whose last features are summed over places: one logit ψ(φ(x)) for each image.

    Args:
        options: of :class:`gcn.models.discriminator.Patch`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.head = nn.Linear(self.channels, 1)

    def pooled(self, x: Tensor, cond: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """φ(x) (B, C) in fp32 or better, and the activations of the hidden layers."""
        features = self.hidden_features(x, cond)
        last = features[-1]
        return last.to(torch.promote_types(last.dtype, torch.float32)).sum((2, 3)), features


class Projection(Pooled):
    """Projection discriminator (Miyato & Koyama 2018, arXiv 1802.05637): logit = ψ(φ(x)) + ⟨e(label), φ(x)⟩.

    e is an embedding of the K labels. Where log p(label|x) and log q(label|x) are linear in φ, the best logit of
    ``vanilla``, log p(x, label) - log q(x, label), has this form.

    Args:
        classes: K, the number of labels.
        options: of :class:`gcn.models.discriminator.Patch`.
    """

    takes_labels = True

    def __init__(self, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.embedding = nn.Embedding(classes, self.channels)
        nn.init.xavier_uniform_(self.embedding.weight)  # as the authors

    def forward(
        self, x: Tensor, cond: Tensor | None = None, labels: Tensor | None = None
    ) -> DiscriminatorOutput:
        """Logits (B, 1, 1, 1) and features of x (B, 3, H, W) with the labels (B,), integers below K.

        ``cond`` is y_hat (B, latent_channels, h, w). Without labels, as in panels: the mean logit over all labels.
        """
        phi, features = self.pooled(x, cond)
        embedded = self.embedding.weight.mean(0, keepdim=True) if labels is None else self.embedding(labels)
        logits = self.head(phi) + (embedded * phi).sum(1, keepdim=True)
        return DiscriminatorOutput((logits[:, :, None, None],), tuple(features))


class Auxiliary(Pooled):
    """Auxiliary-classifier discriminator (Odena et al. 2017, arXiv 1610.09585): one logit, and one for each label.

    It is not given the label. The cross-entropy of its label logits is the term ``class_entropy``.

    Args:
        classes: K, the number of labels.
        options: of :class:`gcn.models.discriminator.Patch`.
    """

    def __init__(self, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.classifier = nn.Linear(self.channels, classes)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits (B, 1, 1, 1), label logits (B, K) and features of x (B, 3, H, W); ``cond`` is y_hat."""
        phi, features = self.pooled(x, cond)
        logits = self.head(phi)[:, :, None, None]
        return DiscriminatorOutput((logits,), tuple(features), label_logits=(self.classifier(phi),))
