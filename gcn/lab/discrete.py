"""Discrete time: the derivative of a rule's update, for one game or for thousands at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gcn.game.game import Game
from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.lab.ensemble import GameEnsemble, coordinates
from gcn.lab.players import PLAIN, Linear
from gcn.spectrum.update_map import LinearPlayer, load_memory, memory_of, rebuilt, tensors_in

OFFSET = 1e-5  # of the central differences: the rounding of float64 and the field's curvature weigh the same


def update_map(
    ensemble: GameEnsemble, at: Tensor, lr: tuple[float, float], linear: tuple[Linear, Linear]
) -> Tensor:
    """Derivative (K, K) of one period of updates at an equilibrium (N,), for points and the players' memory.

    Args:
        ensemble: the game and the rule.
        at: the equilibrium.
        lr: step sizes of G and D.
        linear: their optimizers with the preconditioner frozen.
    """
    return update_maps(ensemble, at[None], (at.new_tensor([lr[0]]), at.new_tensor([lr[1]])), linear)[0]


def update_maps(
    ensemble: GameEnsemble,
    at: Tensor,
    lr: tuple[Tensor, Tensor],
    linear: tuple[Linear, Linear],
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Derivatives (C, K, K) as of :func:`update_map` for C games with equilibria (C, N) and learning rates (C,).

    Central differences of the production rule itself, all 2KC displaced games in one batch. Momentum and the rule's
    memory belong to the state.

    Args:
        ensemble, at, lr, linear: see above; preconditioners are (1, ...) or (C, ...).
        weights: of terms that differ from game to game, (C,) each.
    """
    games, n = at.shape
    weights = weights or {}
    layout, settled = _memory_of(ensemble.with_weights(weights), at, lr, linear)
    momenta = [
        size
        for size, optimizer in zip((ensemble.split, n - ensemble.split), linear, strict=True)
        if optimizer.beta
    ]
    sizes = [n, *momenta, *(t[0].numel() for t in tensors_in(layout))]
    width = sum(sizes)
    offsets = OFFSET * torch.cat([torch.eye(width), -torch.eye(width)]).to(at)
    centres = torch.cat([at, at.new_zeros(games, sum(momenta)), settled], dim=1)
    states = (centres + offsets[:, None]).reshape(-1, width)  # (2K·C, K), games within displacements
    copies = len(offsets)
    many = ensemble.with_weights({name: w.repeat(copies) for name, w in weights.items()})
    points, *memory = (part.clone() for part in states.split(sizes, dim=1))
    game, rule = many.game(points), many.rule()
    parts = iter(memory[len(momenta) :])
    players = _players(game, lr, linear, copies)
    moving = [player for player in players if player.beta]
    for player, momentum in zip(moving, memory, strict=False):
        player.moves = [momentum]
    shaped = (
        part.reshape(len(part), *like.shape[1:]) for part, like in zip(parts, tensors_in(layout), strict=True)
    )
    load_memory(game, rule, rebuilt(layout, shaped))
    batches = [many.batch(len(states))] * ensemble.d_steps
    for step in range(ensemble.period):
        update(game, rule, batches, step, Players(*players))
    kept = (part.reshape(len(part), -1) for part in tensors_in(memory_of(game, rule)))
    remembered = [*(player.moves[0] for player in moving), *kept]
    after = torch.cat([coordinates(game), *remembered], dim=1).reshape(copies, games, width)
    return ((after[:width] - after[width:]) / (2 * OFFSET)).permute(1, 2, 0)


def _players(
    game: Game, lr: tuple[Tensor, Tensor], linear: tuple[Linear, Linear], copies: int = 1
) -> tuple[LinearPlayer, LinearPlayer]:
    """G's and D's optimizers of ``copies`` of C games, the copies in the outermost dimension."""

    def player(parameters: Sequence[Tensor], rate: Tensor, optimizer: Linear) -> LinearPlayer:
        scaled = [rate[:, None] * p for p in optimizer.precondition]
        each = [s if len(s) == 1 else s.repeat(copies, 1) for s in scaled]
        return LinearPlayer(parameters, each, optimizer.beta, optimizer.gain)

    g, d = (game.parameters_of("g"), lr[0], linear[0]), (game.parameters_of("d"), lr[1], linear[1])
    return player(*g), player(*d)


def _memory_of(
    ensemble: GameEnsemble, at: Tensor, lr: tuple[Tensor, Tensor], linear: tuple[Linear, Linear]
) -> tuple[Any, Tensor]:
    """The memory of terms and rule, for its shapes, and its values (C, M) at an equilibrium, where a rule's is 0."""
    game, rule, batch = ensemble.game(at), ensemble.rule(), ensemble.batch(len(at))
    game.objective.settle(game.turn("both", batch, 0))
    settled = [part.reshape(len(part), -1) for part in tensors_in(game.objective.memory())]
    update(game, rule, [batch] * ensemble.d_steps, 0, Players(*_players(game, lr, linear)))
    of_rule = [at.new_zeros(len(at), t[0].numel()) for t in tensors_in(rule.state_dict())]
    return memory_of(game, rule), torch.cat([at.new_zeros(len(at), 0), *settled, *of_rule], dim=1)


def growth(ensemble: GameEnsemble, at: Tensor, step_sizes: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """log |λ| an update of the largest eigenvalue, of plain gradient descent on C games: (C,); negative converges.

    Args:
        ensemble: the game and the rule.
        at: equilibria (C, N).
        step_sizes: of both players (C,).
        weights: of the terms that differ, (C,) each.
    """
    maps = update_maps(ensemble, at, (step_sizes, step_sizes), (PLAIN, PLAIN), weights)
    finite = maps.flatten(1).isfinite().all(1)
    radius = (
        torch.linalg.eigvals(torch.where(finite[:, None, None], maps, torch.zeros_like(maps))).abs().amax(1)
    )
    rate = radius.clamp(min=1e-300).log() / ensemble.period
    return torch.where(finite, rate, torch.full_like(rate, torch.nan))
