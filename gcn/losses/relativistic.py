"""The knob ``relativistic``: play any loss on differences of logits."""

from gcn.errors import InputError
from gcn.game.slots import OnLoss
from gcn.losses.adversarial import Adversarial, Relativised

PAIRINGS = ("pair", "pair_shuffled", "average")


class Relativistic(OnLoss):
    """Wraps the adversarial loss; see :class:`gcn.losses.adversarial.Relativised` for the formulas."""

    def __init__(self, pairing: str) -> None:
        if pairing not in PAIRINGS:
            raise InputError(f"relativistic={pairing}: choose one of {', '.join(PAIRINGS)}, or null")
        self.pairing = pairing

    def wrap(self, loss: Adversarial) -> Adversarial:
        return Relativised(loss, self.pairing)
