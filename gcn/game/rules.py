"""Update rules: how the two players move.

A rule is called once per generator update with the game, the update's batches and the players. A player knows how to
``step`` along a gradient, by whatever optimizer drives it: torch's Adam on a codec, or plain gradient descent on ten
thousand pairs of scalars. The rules below are all there is to training; everything else is instruments.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.game import Game, Turn


class Player(Protocol):
    """One side of the game: parameters and the optimizer that moves them."""

    @property
    def parameters(self) -> Sequence[Tensor]:
        """What it moves."""
        raise NotImplementedError

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move along the gradients; this is the update that counts."""

    def peek(self, gradients: Sequence[Tensor]) -> None:
        """The same move as a look ahead, which does not count as an update."""

    def shift(self, moves: Sequence[Tensor]) -> None:
        """Add to the parameters, past the optimizer; what must hold after each update holds after this too."""

    def memory(self) -> Any:
        """A copy of the optimizer's state."""

    def remember(self, memory: Any) -> None:
        """Bring a copied state back."""


class Players(NamedTuple):
    """G and D."""

    g: Player
    d: Player


class Rule:
    """``rule(game, batches, step, players)`` makes one generator update.

    Attributes:
        several_d_steps: whether ``d_steps`` > 1 has a meaning here.
    """

    several_d_steps = False

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        """Move the players once; returns the last turn, for those who want to look at it."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers from update to update."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring :meth:`state_dict` back."""


class Alternating(Rule):
    """D's turns, each on a fresh batch, then G's turn on the last one: the rule of nearly all published GANs."""

    several_d_steps = True

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        for i, x in enumerate(batches):
            turn = game.turn("d", x, step, i, attached=i == len(batches) - 1)
            players.d.step(game.gradient("d", turn))
        turn = turn.next("g")
        players.g.step(game.gradient("g", turn))
        return turn


class Simultaneous(Rule):
    """Both players move at once from the same point."""

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        turn = game.turn("both", batches[-1], step)
        g, d = game.field(turn)
        players.g.step(g)
        players.d.step(d)
        return turn


class Descend(Rule):
    """G alone: rate-distortion training, and the warm-up before a game."""

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        turn = game.turn("g", batches[-1], step, playing=False)
        players.g.step(game.gradient("g", turn))
        return turn


class Extragradient(Rule):
    """Look ahead, then move from the old point along the field of the new one (Korpelevich 1976; Gidel et al. 2019).

    Both points see the same batch and noise.

    Args:
        moments: which of the two moves advances the optimizer's state: ``both`` (as ExtraAdam), ``update`` or
            ``lookahead``. Of no consequence for an optimizer without state.
    """

    def __init__(self, moments: str = "both") -> None:
        if moments not in {"both", "update", "lookahead"}:
            raise InputError(f"dynamics.moments={moments}: choose both, update or lookahead")
        self.moments = moments

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        origins, memories = [], []
        with _unobserved(game):
            field = game.field(game.turn("both", batches[-1], step))
        for player, gradient in zip(players, field, strict=True):
            origins.append(_copy(player.parameters))
            if self.moments == "update":
                memories.append(player.memory())
            player.peek(gradient)
            if self.moments == "lookahead":
                memories.append(player.memory())
        turn = game.turn("both", batches[-1], step)
        field = game.field(turn)
        for i, player in enumerate(players):
            _put(player.parameters, origins[i])
            if self.moments == "update":
                player.remember(memories[i])
            player.step(field[i])
            if self.moments == "lookahead":
                player.remember(memories[i])
        return turn


class Optimistic(Rule):
    """w ← w + 2Δ_t - Δ_{t-1}, Δ the optimizer's own simultaneous move (Popov 1980; Daskalakis et al. 2018).

    With gradient descent this is OGDA, with Adam it is Optimistic Adam. The first move is plain.
    """

    def __init__(self) -> None:
        self.previous: list[list[Tensor]] | None = None

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        turn = game.turn("both", batches[-1], step)
        field = game.field(turn)
        moves = []
        for i, player in enumerate(players):
            origin = _copy(player.parameters)
            player.step(field[i])
            move = [p.detach() - o for p, o in zip(player.parameters, origin, strict=True)]
            if self.previous is not None:  # old.to: a checkpoint is read on the CPU
                player.shift([new - old.to(new) for new, old in zip(move, self.previous[i], strict=True)])
            moves.append(move)
        self.previous = moves
        return turn

    def state_dict(self) -> dict[str, Any]:
        return {"previous": self.previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.previous = state["previous"]


class SGA(Rule):
    """Symplectic gradient adjustment: ξ + strength · Aᵀξ, A the antisymmetric part of the Jacobian of ξ.

    Args:
        strength: λ of Balduzzi et al. 2018.
        align: choose the sign of the adjustment as their alignment criterion does; needs no branch.
    """

    def __init__(self, strength: float = 1.0, align: bool = False) -> None:
        self.strength, self.align = strength, align

    def __call__(self, game: Game, batches: Sequence[Tensor], step: int, players: Players) -> Turn:
        turn = game.turn("both", batches[-1], step)
        g, d = game.field(turn, create_graph=True)
        field, parameters = [*g, *d], [*players.g.parameters, *players.d.parameters]
        probe = [torch.zeros_like(v, requires_grad=True) for v in field]
        now = [v.detach() for v in field]
        pulled = _vjp(turn, field, parameters, probe, create_graph=True)  # Jᵀ probe, linear in the probe
        transposed = _vjp(turn, field, parameters, now)  # Jᵀξ = ∇H, H = ½‖ξ‖²
        forward = _vjp(turn, pulled, probe, now)  # Jξ
        adjustment = [0.5 * (t - f) for t, f in zip(transposed, forward, strict=True)]
        sign: Tensor | float = 1.0
        if self.align:
            size = sum(v[0].numel() if turn.reduce.ensemble else v.numel() for v in now)
            alignment = _dot(turn, now, transposed) * _dot(turn, adjustment, transposed) / size
            sign = torch.sign(alignment + 0.1)
        moved = [
            v + self.strength * (turn.reduce.per_sample(sign, a) if isinstance(sign, Tensor) else sign) * a
            for v, a in zip(now, adjustment, strict=True)
        ]
        players.g.step(moved[: len(g)])
        players.d.step(moved[len(g) :])
        return turn


def _vjp(
    turn: Turn,
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    vector: Sequence[Tensor],
    create_graph: bool = False,
) -> list[Tensor]:
    inner = torch.stack([(o * v).sum() for o, v in zip(outputs, vector, strict=True)]).sum()
    return turn.differentiate(inner, inputs, create_graph, True)


def _dot(turn: Turn, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    total = [x + y for x, y in zip(a, b, strict=True)]
    return 0.5 * (turn.reduce.square_norm(total) - turn.reduce.square_norm(a) - turn.reduce.square_norm(b))


def _copy(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


@torch.no_grad()
def _put(parameters: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


@contextmanager
def _unobserved(game: Game) -> Iterator[None]:
    observing, game.observing = game.observing, False
    try:
        yield
    finally:
        game.observing = observing
