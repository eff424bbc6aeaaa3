"""Update rules: the order in which the players' gradients are computed and applied in one generator update.

A rule is called once per generator update with the game, the update's batches and the players. A player moves along a
gradient by its own optimizer: torch's Adam on a codec, or plain gradient descent on ten thousand pairs of scalars.
:func:`update` is the whole training step; every loop of the project calls it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from gcn.game.game import Game
from gcn.game.labelled import Batch
from gcn.game.protocols import Players, ScheduledPlayer
from gcn.game.turn import Turn


class Rule:
    """An update rule: ``rule(game, batches, step, players)`` makes one generator update.

    Attributes:
        several_d_steps: whether ``d_steps`` > 1 has a meaning here.
        period: updates after which the rule repeats itself; spectra of the update are those of a whole period.
    """

    several_d_steps = False
    period = 1

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        """Move the players once; returns the last :class:`gcn.game.turn.Turn`."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers from update to update, for checkpoints."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the memory of :meth:`state_dict`."""


def update(
    game: Game,
    rule: Rule,
    batches: Sequence[Batch],
    step: int,
    players: Players,
    learning_rate: float | None = None,
    observe: bool = False,
) -> Turn:
    """Make one generator update: learning rates, the rule, the terms' memories; returns the rule's last turn.

    Args:
        game: what is trained; ``game.values`` holds afterwards what was observed, empty without ``observe``.
        rule: how the players move; :class:`Descend` while there is no adversary.
        batches: one batch (B, 3, H, W), with labels or without, for each of D's turns.
        step: number of generator updates so far; names the random numbers and the terms that are due.
        players: the optimizers of both.
        learning_rate: factor on the initial learning rates; None leaves the present ones.
        observe: measure every loss and term, and call the game's instruments.
    """
    if learning_rate is not None:
        for player in dict.fromkeys(players):
            cast(ScheduledPlayer, player).set_learning_rate(learning_rate)
    game.values, game.observing = {}, observe
    game.begin(batches[0])
    turn = rule(game, batches, step, players)
    game.objective.after_update(turn)
    return turn


class Alternating(Rule):
    """D's turns, each on a fresh batch, then G's turn on the last one: the rule of nearly all published GANs."""

    several_d_steps = True

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        for i, x in enumerate(batches):
            turn = game.turn("d", x, step, i, attached=i == len(batches) - 1)
            players.d.step(game.gradient("d", turn))
        turn = turn.next("g")
        players.g.step(game.gradient("g", turn))
        return turn


class Simultaneous(Rule):
    """Both players move at once from the same point: simultaneous gradient descent (Mescheder et al. 2017)."""

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        turn = game.turn("both", batches[-1], step)
        g, d = game.field(turn)
        players.g.step(g)
        players.d.step(d)
        return turn


class Descend(Rule):
    """G alone: rate-distortion training, and the warm-up before a game."""

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        turn = game.turn("g", batches[-1], step, playing=False)
        players.g.step(game.gradient("g", turn))
        return turn


class Extragradient(Rule):
    """A trial move, then a move from the old point by its gradients (Korpelevich 1976; Gidel et al. 2019).

    Both points see the same batch and noise.

    Args:
        moments: which of the two moves advances the optimizer's state: ``both`` (as ExtraAdam), ``update`` or
            ``lookahead``. Of no consequence for an optimizer without state.
    """

    def __init__(self, moments: str = "both") -> None:
        self.moments = moments

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        origins, states = [], []
        with _unobserved(game):
            field = game.field(game.turn("both", batches[-1], step))
        for player, gradient in zip(players, field, strict=True):
            origins.append(_copy(player.parameters))
            if self.moments == "update":
                states.append(player.state_dict())
            player.extrapolate(gradient)
            if self.moments == "lookahead":
                states.append(player.state_dict())
        turn = game.turn("both", batches[-1], step)
        field = game.field(turn)
        for i, player in enumerate(players):
            _put(player.parameters, origins[i])
            if self.moments == "update":
                player.load_state_dict(states[i])
            player.step(field[i])
            if self.moments == "lookahead":
                player.load_state_dict(states[i])
        return turn


class Optimistic(Rule):
    """w ← w + 2Δ_t - Δ_{t-1}, Δ the optimizer's own simultaneous move (Popov 1980; Daskalakis et al. 2018).

    With gradient descent this is OGDA, with Adam it is Optimistic Adam. The first move is plain.
    """

    def __init__(self) -> None:
        self.previous: list[list[Tensor]] | None = None

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        turn = game.turn("both", batches[-1], step)
        field = game.field(turn)
        moves = []
        for i, player in enumerate(players):
            origin = _copy(player.parameters)
            player.step(field[i])
            move = _moved(player.parameters, origin)
            if self.previous is not None:  # old.to: a checkpoint is read on the CPU
                player.shift([new - old.to(new) for new, old in zip(move, self.previous[i], strict=True)])
            moves.append(move)
        self.previous = moves
        return turn

    def state_dict(self) -> dict[str, Any]:
        return {"previous": self.previous}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.previous = state["previous"]


class Lookahead(Rule):
    """Alternating updates; after every k-th both players go back part of the way (Chavdarova et al. 2021).

    w ← slow + share · (w - slow), and slow ← w. Between two returns it is :class:`Alternating`.

    Args:
        k: updates between two returns.
        share: of the way since the last return that is kept, the paper's α, in (0, 1].
    """

    several_d_steps = True

    def __init__(self, k: int = 5, share: float = 0.5) -> None:
        self.period, self.share, self.inner = k, share, Alternating()
        self.moved: list[list[Tensor]] | None = None  # w - slow of both players

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        before = [_copy(player.parameters) for player in players]
        turn = self.inner(game, batches, step, players)
        moves = [_moved(player.parameters, origin) for player, origin in zip(players, before, strict=True)]
        if self.moved is not None:  # old.to: a checkpoint is read on the CPU
            moves = [
                [new + old.to(new) for new, old in zip(*pair, strict=True)]
                for pair in zip(moves, self.moved, strict=True)
            ]
        if (step + 1) % self.period == 0:
            for player, way in zip(players, moves, strict=True):
                player.shift([(self.share - 1) * move for move in way])
            moves = [[torch.zeros_like(move) for move in way] for way in moves]
        self.moved = moves
        return turn

    def state_dict(self) -> dict[str, Any]:
        return {"moved": self.moved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.moved = state["moved"]


class SGA(Rule):
    """Symplectic gradient adjustment: ξ + strength · Aᵀξ, A the antisymmetric part of the Jacobian of ξ.

    Args:
        strength: λ of Balduzzi et al. 2018.
        align: choose the sign of the adjustment as their alignment criterion does; needs no branch.
    """

    def __init__(self, strength: float = 1.0, align: bool = False) -> None:
        self.strength, self.align = strength, align

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
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


def _moved(parameters: Iterable[Tensor], origins: Iterable[Tensor]) -> list[Tensor]:
    return [p.detach() - o for p, o in zip(parameters, origins, strict=True)]


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
