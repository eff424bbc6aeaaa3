"""LeCam regularisation: D's outputs are held near moving averages of its outputs on the other class."""

import torch
from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import Turn


class LeCam(Term):
    """E(D(x) - α_fake)² + E(D(x_hat) - α_real)², α moving averages of D's mean logits (Tseng et al. 2021).

    Each α is an exponential average over the updates so far; the weight that the average has not given away yet lies
    on the present mean, without gradient. After each update α moves to D's outputs on the update's last batch, whatever
    the rule, and also where the term has weight 0: what is measured is what would be optimised.

    Args:
        decay: of the averages, in [0, 1).
    """

    players = ("d",)
    needs_discriminator = True
    has_memory = True

    real: Tensor
    fake: Tensor
    given: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        for name in ("real", "fake", "given"):  # weighted sums of mean logits, and the sum of the weights
            self.register_buffer(name, torch.zeros(()))

    def forward(self, turn: Turn) -> Tensor:
        real, fake = turn.real.logits, turn.fake.logits
        average_real, average_fake = (
            past + (1 - self.given) * mean.detach()
            for past, mean in zip((self.real, self.fake), means(turn), strict=True)
        )
        return turn.logit_mean(lambda t: (t - along(average_fake, t)).square(), real) + turn.logit_mean(
            lambda t: (t - along(average_real, t)).square(), fake
        )

    def after_update(self, turn: Turn) -> None:
        real, fake = means(turn)
        self._move(real, fake, self.decay)

    def settle(self, turn: Turn) -> None:
        self._move(*means(turn), 0.0)

    def _move(self, real: Tensor, fake: Tensor, decay: float) -> None:
        self.real, self.fake = decay * self.real + (1 - decay) * real, decay * self.fake + (1 - decay) * fake
        self.given = decay * self.given + (1 - decay) * torch.ones_like(real)


def means(turn: Turn) -> tuple[Tensor, Tensor]:
    """Mean logits of the images and of the reconstructions, scalars (or one value a game)."""
    real, fake = (turn.logit_mean(torch.clone, output.logits) for output in (turn.real, turn.fake))
    return real, fake


def along(values: Tensor, like: Tensor) -> Tensor:
    """A scalar, or one value a game (E,) or image (E, B), in a shape that broadcasts against ``like`` (E, ...)."""
    return values[(..., *[None] * (like.dim() - values.dim()))]
