"""The objective: a flat set of named charges that the players pay."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from gcn.game.slots import PlayerName, Sight, Term
from gcn.losses.adversarial import Adversarial

if TYPE_CHECKING:
    from gcn.game.game import Turn


class Charge(NamedTuple):
    """One named item of what a player pays: ``weight * value``."""

    name: str
    weight: float | Tensor
    value: Tensor


class Objective(nn.Module):
    """What G pays, what D pays and what D sees.

    A weight of 0 is the control arm: the term is measured when the turn is observed and never enters a loss. Where many
    games are played at once a weight may be a tensor (E,), one value a game; such a term is always paid.

    Args:
        loss: the adversarial loss; ``None`` for plain rate-distortion training.
        adv: weight of G's part of it.
        terms: name to (weight, term).
        sights: transformations of what D sees, in order.
    """

    def __init__(
        self,
        loss: Adversarial | None,
        adv: float | Tensor = 1.0,
        terms: Mapping[str, tuple[float | Tensor, Term]] | None = None,
        sights: Iterable[Sight] = (),
    ) -> None:
        super().__init__()
        terms = terms or {}
        self.loss, self.adv = loss, adv
        self.weights = {name: weight for name, (weight, _) in terms.items()}
        self.terms: Mapping[str, Term] = nn.ModuleDict({n: t for n, (_, t) in terms.items()})  # type: ignore[assignment]
        self.sights = nn.ModuleList(sights)

    def d_reaches_generator(self) -> bool:
        """Whether D's gradient needs the generator's graph."""
        return any(t.reaches_generator and "d" in t.players for t in self.terms.values())

    def _evaluate(self, turn: "Turn", player: PlayerName, name: str) -> Tensor:
        key = (player, name)
        if key not in turn.evaluated:
            turn.payer = player
            if name == "adv":
                assert self.loss is not None
                turn.evaluated[key] = self.loss.d_loss(turn) if player == "d" else self.loss.g_loss(turn)
            else:
                turn.evaluated[key] = self.terms[name](turn)
        return turn.evaluated[key]

    def _names(self, turn: "Turn", player: PlayerName, active: bool) -> Iterator[tuple[str, float | Tensor]]:
        """Names and weights of what a player pays in this turn; with ``active`` false, of what is only measured."""
        if self.loss is not None and turn.playing:
            weight = self.adv if player == "g" else 1.0
            if is_paid(weight) == active:
                yield "adv", weight
        for name, term in self.terms.items():
            if player not in term.players or (term.needs_discriminator and not turn.playing):
                continue
            paid = is_paid(self.weights[name]) and turn.step % term.every == 0
            if paid == active:
                yield name, self.weights[name] * term.every

    def charges(self, turn: "Turn", player: PlayerName) -> list[Charge]:
        """Everything that a player pays in this turn."""
        names = self._names(turn, player, active=True)
        return [Charge(name, weight, self._evaluate(turn, player, name)) for name, weight in names]

    def differentiable_loss(self, turn: "Turn", player: PlayerName) -> Tensor:
        """What a player pays, without the terms that are functions of the players' gradients.

        With its graph, also where the turn only measures: what is measured may be this loss's gradient.
        """
        names = [
            (name, weight)
            for name, weight in self._names(turn, player, active=True)
            if name == "adv" or not self.terms[name].differentiates_losses
        ]
        payer, measuring = turn.payer, turn.measuring
        turn.measuring = False
        total = total_of([Charge(name, weight, self._evaluate(turn, player, name)) for name, weight in names])
        turn.payer, turn.measuring = payer, measuring
        return total

    def measure(self, turn: "Turn", player: PlayerName) -> dict[str, Tensor]:
        """Values of the terms that are not paid in this turn, without the slightest influence on the training.

        These are the terms of weight 0, and lazy ones between two of their updates.
        """
        names = [name for name, _ in self._names(turn, player, active=False)]
        if not names:
            return {}
        aside = turn.aside()
        with torch.enable_grad(), aside.discriminator_untouched():
            return {name: self._evaluate(aside, player, name).detach() for name in names}


def is_paid(weight: float | Tensor) -> bool:
    """Whether a weight is one of a loss: 0 only measures."""
    return isinstance(weight, Tensor) or weight != 0


def total_of(charges: Iterable[Charge]) -> Tensor:
    """The weighted sum; 0 where nothing is paid."""
    values = [charge.weight * charge.value for charge in charges]
    return torch.stack(values).sum(0) if values else torch.zeros(())
