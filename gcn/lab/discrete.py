"""Discrete time: the derivative of the update that a rule makes, for one game or for thousands at once."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gcn.dynamics import Optimistic, Players, Rule
from gcn.lab.arena import Arena, coordinates
from gcn.lab.players import Linear
from gcn.update import LinearPlayer

OFFSET = 1e-5  # of the central differences: the rounding of float64 and the field's curvature weigh the same
Slots = list[tuple[str, int]]  # what is remembered from update to update: names and sizes


def update_map(arena: Arena, at: Tensor, lr: tuple[float, float], linear: tuple[Linear, Linear]) -> Tensor:
    """The derivative of one period of updates at an equilibrium (N,), on points and the players' memory: (K, K).

    Args:
        arena: the game and the rule.
        at: the equilibrium.
        lr: step sizes of G and D.
        linear: their optimizers with the preconditioner frozen.
    """
    return update_maps(arena, at[None], (at.new_tensor([lr[0]]), at.new_tensor([lr[1]])), linear)[0]


def update_maps(
    arena: Arena,
    at: Tensor,
    lr: tuple[Tensor, Tensor],
    linear: tuple[Linear, Linear],
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """:func:`update_map` of C games, each at its own equilibrium (C, N) with its own step sizes (C,): (C, K, K).

    Central differences of the production rule itself, all 2KC displaced games in one batch. Momentum and the rule's
    memory belong to the state.

    Args:
        arena, at, lr, linear: see above; preconditioners are (1, ...) or (C, ...).
        weights: of terms that differ from game to game, (C,) each.
    """
    games, n = at.shape
    split = arena.split
    slots = _slots(arena.rule(), linear, split, n)
    width = n + sum(size for _, size in slots)
    offsets = OFFSET * torch.cat([torch.eye(width), -torch.eye(width)]).to(at)
    centres = torch.cat([at, at.new_zeros(games, width - n)], dim=1)
    states = (centres + offsets[:, None]).reshape(-1, width)  # (2K·C, K), games within displacements
    copies = len(offsets)
    many = arena.with_weights({name: w.repeat(copies) for name, w in (weights or {}).items()})
    game = many.game(states[:, :n])
    frozen = [
        ([rate.expand(games).repeat(copies)[:, None] * _rows(p, copies) for p in precondition], beta, gain)
        for rate, (precondition, beta, gain) in zip(lr, linear, strict=True)
    ]
    players = Players(
        LinearPlayer(game.parameters_of("g"), *frozen[0]), LinearPlayer(game.parameters_of("d"), *frozen[1])
    )
    rule = many.rule()
    _put(rule, players, slots, states[:, n:], split)
    batches = [many.batch(len(states))] * arena.d_steps
    for step in range(arena.period):
        rule(game, batches, step, players)
    after = torch.cat([coordinates(game), *_memory(rule, players, slots)], dim=1).reshape(
        copies, games, width
    )
    return ((after[:width] - after[width:]) / (2 * OFFSET)).permute(1, 2, 0)


def growth(arena: Arena, at: Tensor, step_sizes: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """log |λ| an update of the largest eigenvalue, of plain gradient descent on C games: (C,); negative converges.

    Args:
        arena: the game and the rule.
        at: equilibria (C, N).
        step_sizes: of both players (C,).
        weights: of the terms that differ, (C,) each.
    """
    plain = Linear([at.new_ones(1, 1)], beta=0.0, gain=1.0)
    maps = update_maps(arena, at, (step_sizes, step_sizes), (plain, plain), weights)
    finite = maps.flatten(1).isfinite().all(1)
    radius = (
        torch.linalg.eigvals(torch.where(finite[:, None, None], maps, torch.zeros_like(maps))).abs().amax(1)
    )
    rate = radius.clamp(min=1e-300).log() / arena.period
    return torch.where(finite, rate, torch.full_like(rate, torch.nan))


def _rows(precondition: Tensor, copies: int) -> Tensor:
    return precondition if len(precondition) == 1 else precondition.repeat(copies, 1)


def _slots(rule: Rule, linear: tuple[Linear, Linear], split: int, n: int) -> Slots:
    sizes = (("g", split, linear[0].beta), ("d", n - split, linear[1].beta))
    slots = [(name, size) for name, size, beta in sizes if beta]
    return [*slots, ("previous", n)] if isinstance(rule, Optimistic) else slots


def _put(rule: Rule, players: Players, slots: Slots, memory: Tensor, split: int) -> None:
    for (name, _), part in zip(slots, memory.split([size for _, size in slots], dim=1), strict=True):
        if name == "previous":
            assert isinstance(rule, Optimistic)
            rule.previous = [[part[:, :split].clone()], [part[:, split:].clone()]]
        else:
            getattr(players, name).moves = [part.clone()]


def _memory(rule: Rule, players: Players, slots: Slots) -> Sequence[Tensor]:
    kept = []
    for name, _ in slots:
        if name == "previous":
            assert isinstance(rule, Optimistic)
            assert rule.previous is not None
            kept.append(torch.cat([rule.previous[0][0], rule.previous[1][0]], dim=1))
        else:
            kept.append(getattr(players, name).moves[0])
    return kept
