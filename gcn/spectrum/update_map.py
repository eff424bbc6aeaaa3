"""The update of training as a map of everything that it changes, and the derivative of this map.

The spectrum of the field is that of infinitesimal steps. What trains is a rule (alternating, extragradient, …) driven
by an optimizer with a step size and a memory, and its verdict may differ: simultaneous gradient descent spirals out
where the flow circles, and momentum moves eigenvalues further than many a loss. Here the production rule itself moves
the players, from states displaced to both sides; the difference is the derivative along the displacement.

The preconditioner of the optimizer stands still at its present value, and so do Adam's corrections of its bias. A clip
of the gradients belongs to the map: while it is active, the length of the gradient has no influence.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gcn.game.game import Game
from gcn.game.labelled import Batch
from gcn.game.protocols import Players
from gcn.game.rules import Rule, update
from gcn.spectrum.linearised import still


class LinearPlayer:
    """An optimizer with its preconditioner P frozen: m ← β·m + gain·g, w ← w - P·m.

    See :class:`gcn.game.protocols.Player`.

    Adam is β = β₁, gain = 1 - β₁, P = lr/(√v̂ + eps); SGD with momentum has gain 1 and P = lr, without it β = 0. What is
    kept is the move P·m, in the units of the parameters: the same map in better scaled coordinates.

    Args:
        parameters: what it moves.
        precondition: P, one number or a tensor for each parameter.
        beta, gain: see above.
        momentum: m, a tensor for each parameter; None for 0.
        clip: bound on the norm of the joint gradient, or None; the one part that is not linear.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        precondition: float | Sequence[Tensor | float],
        beta: float = 0.0,
        gain: float = 1.0,
        momentum: Sequence[Tensor] | None = None,
        clip: float | None = None,
    ) -> None:
        self.parameters, self.beta, self.gain, self.clip = list(parameters), beta, gain, clip
        each = [precondition] * len(parameters) if isinstance(precondition, float | int) else precondition
        self.precondition = list(each)
        started = [torch.zeros_like(p) for p in parameters] if momentum is None else momentum
        self.moves = [p * m.detach() for p, m in zip(self.precondition, started, strict=True)]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        share: Tensor | float = self.gain
        if self.clip is not None:
            norm = torch.nn.utils.get_total_norm([g.detach() for g in gradients])
            share = self.gain * (self.clip / (norm + 1e-6)).clamp(max=1)
        driven = zip(self.moves, self.precondition, gradients, strict=True)
        self.moves = [self.beta * move + share * p * g.detach() for move, p, g in driven]
        self.shift([-move for move in self.moves])

    extrapolate = step

    @torch.no_grad()
    def shift(self, moves: Sequence[Tensor]) -> None:
        for parameter, move in zip(self.parameters, moves, strict=True):
            parameter.add_(move)

    def state_dict(self) -> list[Tensor]:
        return list(self.moves)

    def load_state_dict(self, state: list[Tensor]) -> None:
        self.moves = state


class UpdateMap:
    """``period`` updates of a rule as a map of states (K,): parameters, moves that are remembered, the rule's memory.

    Each call moves the game's parameters and puts them back.

    Args:
        game: in float64.
        rule: the production rule; what it remembers belongs to the state.
        batches: of each update.
        players: linear ones; twice the same where G is alone.
        step: of the first update: the noise, and the terms that are paid.
        period: updates after which the map repeats itself; by default those of the rule.
        size: length of the displacements.
    """

    def __init__(
        self,
        game: Game,
        rule: Rule,
        batches: Sequence[Batch],
        players: tuple[LinearPlayer, LinearPlayer],
        step: int = 0,
        period: int | None = None,
        size: float = 1e-6,
    ) -> None:
        self.game, self.rule, self.batches, self.step = game, rule, batches, step
        self.period = rule.period if period is None else period
        self.players, self.size = tuple(dict.fromkeys(players)), size
        self._players = Players(*players)
        self._moving = [player for player in self.players if player.beta]
        if any(p.dtype != torch.float64 for player in self.players for p in player.parameters):
            raise ValueError("differences of updates need float64")
        self._memory = memory_of(game, rule)
        self.state = self._present()
        self._complete_memory()

    def _complete_memory(self) -> None:
        """Set what a rule will remember to 0, for a rule that has not moved yet."""
        known = len(list(tensors_in(self._memory)))
        self._advance()
        if len(list(tensors_in(memory_of(self.game, self.rule)))) != known:
            self._memory = memory_of(self.game, self.rule)
            self.state = torch.cat(
                [self.state, *(torch.zeros(t.numel()).to(t) for t in list(tensors_in(self._memory))[known:])]
            )
        self._put(self.state)

    def _parts(self) -> list[Tensor]:
        parameters = [p.detach() for player in self.players for p in player.parameters]
        moves = [move for player in self._moving for move in player.moves]
        return [*parameters, *moves, *tensors_in(memory_of(self.game, self.rule))]

    def _present(self) -> Tensor:
        return torch.cat([part.reshape(-1).to(torch.float64) for part in self._parts()])

    @torch.no_grad()
    def _put(self, state: Tensor) -> None:
        parameters = [p for player in self.players for p in player.parameters]
        moves = [move for player in self._moving for move in player.moves]
        like = [*parameters, *moves, *tensors_in(self._memory)]
        parts = iter(
            [p.view_as(l) for p, l in zip(state.split([l.numel() for l in like]), like, strict=True)]
        )
        for parameter in parameters:
            parameter.copy_(next(parts))
        for player in self._moving:
            player.moves = [next(parts).clone() for _ in player.moves]
        load_memory(self.game, self.rule, rebuilt(self._memory, parts))

    def _advance(self) -> None:
        with still(self.game):
            for i in range(self.period):
                update(self.game, self.rule, self.batches, self.step + i, self._players)

    def __call__(self, state: Tensor) -> Tensor:
        """The state after the updates."""
        self._put(state)
        self._advance()
        after = self._present()
        self._put(self.state)
        return after

    def derivative(self, direction: Tensor) -> Tensor:
        """The map's derivative along a direction (K,), by central differences."""
        epsilon = self.size / float(direction.norm())
        offset = epsilon * direction
        return (self(self.state + offset) - self(self.state - offset)) / (2 * epsilon)

    def dense(self) -> Tensor:
        """The derivative (K, K), for small games."""
        return torch.stack(
            [self.derivative(unit) for unit in torch.eye(len(self.state)).to(self.state)], dim=1
        )


def memory_of(game: Game, rule: Rule) -> dict[str, Any]:
    """State that an update reads and writes besides the players: memories of the terms, then of the rule."""
    return {"terms": game.objective.memory(), "rule": rule.state_dict()}


def load_memory(game: Game, rule: Rule, memory: dict[str, Any]) -> None:
    """Restore the state of :func:`memory_of`."""
    game.objective.load_memory(memory["terms"])
    rule.load_state_dict(memory["rule"])


def tensors_in(memory: Any) -> Iterator[Tensor]:
    """The tensors in a nest of lists and dictionaries, in order."""
    if isinstance(memory, Tensor):
        yield memory
    elif isinstance(memory, dict | list | tuple):
        for part in memory.values() if isinstance(memory, dict) else memory:
            yield from tensors_in(part)


def rebuilt(memory: Any, tensors: Iterator[Tensor]) -> Any:
    """The same nest of lists and dictionaries with other tensors."""
    if isinstance(memory, Tensor):
        return next(tensors, memory)
    if isinstance(memory, dict):
        return {name: rebuilt(part, tensors) for name, part in memory.items()}
    return [rebuilt(part, tensors) for part in memory] if isinstance(memory, list | tuple) else memory


def in_double(memory: Any) -> Any:
    """The same nest of lists and dictionaries with its tensors in float64."""
    return rebuilt(memory, (tensor.double() for tensor in tensors_in(memory)))
