"""The objective: adversarial loss, named terms and perturbations, with the weight of each."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gcn.game.slots import AdversarialLoss, FakeSource, Ingredient, Perturbation, Term
from gcn.game.turn import PlayerName, Turn

# The weight of the adversarial loss from a turn, the weighted sum of G's terms without D, and the adversarial loss.
Weighting = Callable[[Turn, Tensor, Tensor], Tensor]


class WeightedLoss(NamedTuple):
    """One named part of a player's loss: ``weight * value``."""

    name: str
    weight: float | Tensor
    value: Tensor


class Objective(nn.Module):
    """The losses of both players and the perturbations of D's inputs.

    A weight of 0 is the control arm: the term is measured when the turn is observed and never enters a loss. Where many
    games are trained at once a weight may be a tensor (E,), one value a game; such a term always enters the loss.

    Args:
        loss: the adversarial loss; ``None`` for plain rate-distortion training.
        adv: weight of G's part of it, or a function that computes it in each of G's turns.
        terms: name to (weight, term).
        perturbations: of D's inputs, applied in order.
        fakes: the reconstructions that D's loss is computed from; None for those of the batch.
    """

    def __init__(
        self,
        loss: AdversarialLoss | None,
        adv: float | Tensor | Weighting = 1.0,
        terms: Mapping[str, tuple[float | Tensor, Term]] | None = None,
        perturbations: Iterable[Perturbation] = (),
        fakes: FakeSource | None = None,
    ) -> None:
        super().__init__()
        terms = terms or {}
        self.loss, self.adv = loss, adv
        self.weights = {name: weight for name, (weight, _) in terms.items()}
        self.terms: Mapping[str, Term] = nn.ModuleDict({n: t for n, (_, t) in terms.items()})  # type: ignore[assignment]
        self.perturbations = nn.ModuleList(perturbations)
        self.fakes = fakes

    def d_reaches_generator(self) -> bool:
        """Whether D's gradient needs the generator's graph."""
        return any(t.reaches_generator and "d" in t.players for t in self.terms.values())

    def _evaluate(self, turn: Turn, player: PlayerName, name: str) -> Tensor:
        key = (player, name)
        if key not in turn.evaluated:
            turn.payer = player
            if name == "adv":
                assert self.loss is not None
                turn.evaluated[key] = self.loss.d_loss(turn) if player == "d" else self.loss.g_loss(turn)
            else:
                turn.evaluated[key] = self.terms[name](turn)
        return turn.evaluated[key]

    def _names(self, turn: Turn, player: PlayerName, active: bool) -> Iterator[tuple[str, float | Tensor]]:
        """Names and weights of the parts of a player's loss in this turn; ``active`` false: of those only measured."""
        if self.loss is not None and turn.playing:
            weight = self.adv if player == "g" else 1.0
            if is_optimised(weight) == active:
                yield "adv", self._computed(turn, weight) if callable(weight) else weight
        yield from self._terms(turn, player, active)

    def _terms(self, turn: Turn, player: PlayerName, active: bool) -> Iterator[tuple[str, float | Tensor]]:
        """Names and weights of the terms among :meth:`_names`."""
        for name, term in self.terms.items():
            if player not in term.players or (term.needs_discriminator and not turn.playing):
                continue
            optimised = is_optimised(self.weights[name]) and turn.step % term.every == 0
            if optimised == active:
                yield name, self.weights[name] * term.every

    def _computed(self, turn: Turn, weighting: Weighting) -> Tensor:
        """The weight of G's adversarial loss in this turn, computed once."""
        key: tuple[PlayerName, str] = ("g", "adv_weight")
        if key not in turn.evaluated:
            terms = [
                WeightedLoss(name, weight, self._evaluate(turn, "g", name))
                for name, weight in self._terms(turn, "g", active=True)
                if not self.terms[name].needs_discriminator
            ]
            turn.evaluated[key] = weighting(turn, total_of(terms), self._evaluate(turn, "g", "adv"))
        return turn.evaluated[key]

    def losses(self, turn: Turn, player: PlayerName) -> list[WeightedLoss]:
        """All parts of a player's loss in this turn."""
        turn.payer = player
        names = self._names(turn, player, active=True)
        return [WeightedLoss(name, weight, self._evaluate(turn, player, name)) for name, weight in names]

    def differentiable_loss(self, turn: Turn, player: PlayerName) -> Tensor:
        """Loss of a player without the terms that are functions of the players' gradients.

        With its graph, also where the turn only measures: what is measured may be this loss's gradient.
        """
        names = [
            (name, weight)
            for name, weight in self._names(turn, player, active=True)
            if name == "adv" or not self.terms[name].differentiates_losses
        ]
        payer, measuring = turn.payer, turn.measuring
        turn.measuring = False
        total = total_of(
            [WeightedLoss(name, weight, self._evaluate(turn, player, name)) for name, weight in names]
        )
        turn.payer, turn.measuring = payer, measuring
        return total

    def measure(self, turn: Turn, player: PlayerName) -> dict[str, Tensor]:
        """Values of the terms that are not optimised in this turn, and what else the adversarial loss measures.

        These terms are those of weight 0, and lazy ones between two of their updates. Measuring does not influence the
        training.
        """
        found = self.loss.measure(turn, player) if self.loss is not None and turn.playing else {}
        values = {f"adv/{name}": value for name, value in found.items()}
        names = [name for name, _ in self._names(turn, player, active=False)]
        if not names:
            return values
        aside = turn.aside()
        with torch.enable_grad(), aside.discriminator_untouched():
            return values | {name: self._evaluate(aside, player, name).detach() for name in names}

    def after_update(self, turn: Turn) -> None:
        """Let the ingredients that have a memory update it; nothing else is changed."""
        self._with_memory(turn, "after_update")

    def settle(self, turn: Turn) -> None:
        """Set the memories to their limit while the players stand still."""
        self._with_memory(turn, "settle")

    def _with_memory(self, turn: Turn, hook: str) -> None:
        parts = [p for p in self._remembering().values() if turn.playing or not p.needs_discriminator]
        if parts:
            aside = turn.aside()
            aside.payer = "g"  # with the batch's own reconstructions
            with torch.no_grad(), aside.discriminator_untouched():
                for part in parts:
                    getattr(part, hook)(aside)

    def _remembering(self) -> dict[str, Ingredient]:
        """The ingredients that have a memory, by their name as modules: ``loss``, ``terms.lecam``."""
        parts = self.named_modules()
        return {name: part for name, part in parts if isinstance(part, Ingredient) and part.has_memory}

    @property
    def has_memory(self) -> bool:
        """Whether a loss, a term, a perturbation or a source of fakes keeps a state from update to update."""
        return bool(self._remembering())

    def memory(self) -> dict[str, dict[str, Tensor]]:
        """Buffers of ingredients that have a memory, by ingredient and name, without terms that are only measured."""
        measured = {f"terms.{name}" for name, weight in self.weights.items() if not is_optimised(weight)}
        parts = self._remembering()
        return {name: dict(part.named_buffers()) for name, part in parts.items() if name not in measured}

    def load_memory(self, memory: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Restore :meth:`memory`."""
        for name, buffers in memory.items():
            for buffer, value in buffers.items():
                setattr(self.get_submodule(name), buffer, value)

    def fresh(self) -> "Objective":
        """A copy of the objective with memories of its own, for another game; itself if it has no memory."""
        return copy.deepcopy(self) if self._remembering() else self


def is_optimised(weight: float | Tensor | Weighting) -> bool:
    """Whether a term of this weight enters a loss; a term of weight 0 is only measured."""
    return isinstance(weight, Tensor) or callable(weight) or weight != 0


def total_of(losses: Iterable[WeightedLoss]) -> Tensor:
    """Weighted sum of the parts, a scalar; 0 where there are none."""
    values = [loss.weight * loss.value for loss in losses]
    return torch.stack(values).sum(0) if values else torch.zeros(())
