"""The spectrum of a game in the plane at the end of a run, matrix-free."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gcn.game.game import Game
from gcn.game.rules import Rule
from gcn.lab.plane.plane import PlaneRun
from gcn.lab.players import Descent
from gcn.spectrum.eigenvalues import Krylov, as_record, read, rotation_index, skew_norm
from gcn.spectrum.linearised import Linearised
from gcn.spectrum.update_map import LinearPlayer, UpdateMap

PRODUCTS, PROBES, SHOWN = 80, 32, 6


def spectrum(run: PlaneRun, rule: Callable[[], Rule], d_steps: int = 1, row: int = 0) -> dict[str, Any]:
    """Eigenvalues of the field and of the update at the last update of one game, in float64 on one batch.

    Away from |v| = 0 they prove nothing about convergence; ``residuals`` say how far each one is to be trusted.

    Args:
        run: the trained games.
        rule: makes the update rule, whose derivative is taken with the optimizers' preconditioners frozen.
        d_steps: turns of D in it.
        row: which game.
    """
    step, seed = int(run.steps[-1]), run.seeds[row]
    game = _alone(run, row)
    x = run.plane.data(game, "data", step)
    linear = Linearised(game, x, step)
    flow = Krylov(linear.vjp, linear.field, PRODUCTS, seed)
    rotation, bound = rotation_index(linear, PROBES, seed), skew_norm(linear, seed=seed)
    norm = float(linear.field.norm())
    players = (_linear(run.players.g, game, "g", row), _linear(run.players.d, game, "d", row))
    update = UpdateMap(game, rule(), [x] * d_steps, players, step)
    moved = Krylov(update.derivative, update.state, PRODUCTS, seed)
    return as_record(read(flow, moved, SHOWN)) | {
        "closed_form": None,
        "rotation_index": rotation.value,
        "largest_rotation": bound,
        "field_norm": norm,
        "equilibrium_note": f"seed {seed} at update {step}, away from equilibrium: |v| = {norm:.3g}",
    }


def _alone(run: PlaneRun, row: int) -> Game:
    """One of the games as a game of its own, in float64."""
    game = run.plane.game(run.game.objective, [run.seeds[row]], torch.float64)
    together = dict(run.game.named_parameters())
    with torch.no_grad():
        for name, parameter in game.named_parameters():
            parameter.copy_(together[name][row : row + 1])
    memory = run.game.objective.memory()
    game.objective.load_memory(
        {term: {name: b[row : row + 1].double() for name, b in own.items()} for term, own in memory.items()}
    )
    return game


def _linear(player: Any, game: Game, name: Any, row: int) -> LinearPlayer:
    assert isinstance(player, Descent)
    precondition, beta, gain = player.linear()
    lr = player.lr[row] if isinstance(player.lr, Tensor) else player.lr
    rows: Sequence[Tensor] = [lr * p[row : row + 1].double() for p in precondition]
    return LinearPlayer(game.parameters_of(name), rows, beta, gain)
