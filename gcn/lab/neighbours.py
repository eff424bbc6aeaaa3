"""Exponents of small games: displaced copies of a game as further rows of the same ensemble.

The instrument is that of :mod:`gcn.spectrum.exponent`, and so is the state that is displaced; here all copies are
updated at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcn.game.protocols import Players
from gcn.game.rules import update
from gcn.lab.ensemble import GameEnsemble
from gcn.spectrum.growth import Estimate, estimate, orthonormal, random_frame, weighted_mean
from gcn.spectrum.training_state import Snapshot, TrainingState
from gcn.spectrum.update_map import rebuilt, tensors_in

DISTANCE = 1e-6  # of the copies: an update is linear at this distance to six digits
DIRECTIONS = 8
SEED = 0  # of the first displacements


class Neighbours:
    """C games and ``directions`` displaced copies of each, trained side by side.

    Args:
        ensemble: the game; weights of terms may be tensors (C · (directions + 1),).
        points: where the games stand (C, N).
        players: whose memory the optimizers continue with, of one game; None: that of a beginning.
        directions: copies of each game; at most as many as its state has numbers.

    Attributes:
        period: updates between two renormalisations, after which rule and lazy terms repeat themselves.
    """

    def __init__(
        self,
        ensemble: GameEnsemble,
        points: Tensor,
        players: Players | None = None,
        directions: int = DIRECTIONS,
    ) -> None:
        self.ensemble, self.period, self.games = ensemble, ensemble.period, len(points)
        self.block = directions + 1
        rows = points.repeat_interleave(self.block, dim=0)
        self.game, self.rule = ensemble.game(rows), ensemble.rule()
        self.players = ensemble.players(self.game)
        if players is not None:
            for mine, its in zip(self.players, players, strict=True):
                known = its.state_dict()
                mine.load_state_dict(rebuilt(known, map(self._in_all_rows, tensors_in(known))))
        self.batches = [ensemble.batch(len(rows))] * ensemble.d_steps
        self.step = 0
        self.state = TrainingState(self.game, self.rule, self.players)
        self._settle()
        before = self.state.take()
        self._advance()
        self.now = self.state.take()
        self.state.lay_out(before, self.now)
        self._widths = [size // len(rows) for size in self.state.sizes]
        mask = self._rows(self.state.mask("g", "d", "shared"))[0]
        frame = random_frame(directions, mask, SEED)
        self.frame = frame.expand(self.games, *frame.shape)

    def _in_all_rows(self, tensor: Tensor) -> Tensor:
        return tensor.expand(self.games * self.block, *tensor.shape[1:]).clone()

    def _settle(self) -> None:
        """Set the memories of terms to their values at rest."""
        self.game.objective.settle(self.game.turn("both", self.batches[0], 0))

    def _advance(self) -> None:
        for _ in range(self.period):
            update(self.game, self.rule, self.batches, self.step, self.players)
            self.step += 1

    def _rows(self, vector: Tensor) -> Tensor:
        """Coordinates of a state (E · K,) as a row a game, (E, K)."""
        rows = self.games * self.block
        return torch.cat([part.view(rows, -1) for part in vector.split(self.state.sizes)], dim=1)

    def _originals(self, snapshot: Snapshot) -> Snapshot:
        """The state with each copy put where its original is."""
        shape = (self.games, self.block)
        tensors = (
            t.unflatten(0, shape)[:, :1].expand(*shape, *t.shape[1:]).flatten(0, 1) for t in snapshot.tensors
        )
        return Snapshot(tuple(tensors), snapshot.memory)

    def growth(self, blocks: int, at_rest: bool = False) -> Tensor:
        """Log growth of each direction in each block of ``period`` updates (blocks, C, k); NaN after an escape.

        Args:
            blocks: their number.
            at_rest: the originals stand still, and are put back after each block: what is unstable is not left.
        """
        resting, found = self.now, []
        for _ in range(blocks):
            offsets = torch.cat([torch.zeros_like(self.frame[:, :1]), DISTANCE * self.frame], dim=1)
            missing = self.block - offsets.shape[1]  # a small state has fewer directions than copies
            offsets = torch.nn.functional.pad(offsets, (0, 0, 0, missing)).flatten(0, 1)
            flat = torch.cat([part.reshape(-1) for part in offsets.split(self._widths, dim=1)])
            self.state.put(self.state.displaced(self._originals(resting if at_rest else self.now), flat))
            self._advance()
            self.now = self.state.take()
            rows = self._rows(self.state.vector(self.now)).unflatten(0, (self.games, self.block))
            apart = (rows[:, 1:] - rows[:, :1])[:, : self.frame.shape[1]] / DISTANCE
            if not apart.isfinite().all():
                return torch.full((blocks, *self.frame.shape[:2]), torch.nan, dtype=torch.float64)
            self.frame, lengths = orthonormal(apart)
            found.append(lengths)
        return torch.stack(found)


def exponents_at_rest(ensemble: GameEnsemble, points: Tensor, updates: int) -> Tensor:
    """Leading exponents per update (C, k) of C games at their equilibria (C, N), for optimizers that do not adapt.

    They are the logarithms of the moduli of the update's eigenvalues.
    """
    beside = Neighbours(ensemble, points)
    blocks = max(1, updates // beside.period)
    return weighted_mean(beside.growth(blocks, at_rest=True)) / beside.period


def exponent_along(
    ensemble: GameEnsemble, point: Sequence[float] | Tensor, players: Players, updates: int
) -> Estimate:
    """The largest exponent per update of one game along the trajectory that goes on from a point (N,)."""
    at = torch.as_tensor(point, dtype=torch.float64)[None]
    beside = Neighbours(ensemble, at, players, directions=1)
    rates = beside.growth(max(1, updates // beside.period))[:, 0, 0] / beside.period
    spread = estimate(rates.tolist())
    return Estimate(float(weighted_mean(rates)), spread.half, spread.rates, spread.error)
