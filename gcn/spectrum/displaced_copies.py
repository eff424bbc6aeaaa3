"""Displaced copies of a training, advanced beside the original on the same batches and random numbers."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.labelled import Batch
from gcn.game.protocols import Players
from gcn.game.replay import Point, Recorded, Replayed
from gcn.game.rules import Rule, update
from gcn.spectrum.growth import Estimate, estimate, orthonormal, random_frame
from gcn.spectrum.linearised import still
from gcn.spectrum.training_state import Snapshot, TrainingState

OTHER = {"g": "d", "d": "g"}


class Training(Protocol):
    """A training in float64 that can be continued: :class:`gcn.study.arm_training.ArmTraining` is one.

    Attributes:
        game, rule, players: what :func:`gcn.game.rules.update` takes.
        step: generator updates made so far.
    """

    game: Game
    rule: Rule
    players: Players
    step: int

    def batches(self, step: int) -> Sequence[Batch]:
        """The batches of an update, the same whenever they are asked for; makes the generator ready for them."""


@dataclass
class Family:
    """Copies at one distance from the original, whose displacements are orthogonalised together.

    Attributes:
        displaced: ``all``, or the one player that is displaced while the other visits the original's points.
        epsilon: the distance, relative to the norm of all parameters (to 1 where all are 0).
        frame: directions (k, K) of the displacements, orthonormal.
        mask: coordinates (K,) that may be displaced.
        lengths: logarithms (k,) by which the directions have grown in each block.
        ratios: log of the change of each function over that of the state, at the end of each block.
        ratios_before: the same before the first of these blocks.
    """

    displaced: str
    epsilon: float
    frame: Tensor
    mask: Tensor
    lengths: list[Tensor] = field(default_factory=list)
    ratios: list[dict[str, float]] = field(default_factory=list)
    ratios_before: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget the growth so far; the directions stay."""
        self.ratios_before = self.ratios[-1] if self.ratios else {}
        self.lengths, self.ratios = [], []

    def rates(self, every: int) -> list[Estimate]:
        """Growth per update of each direction, in blocks of ``every`` updates."""
        return [estimate(column.tolist()) for column in (torch.stack(self.lengths) / every).unbind(1)]

    def in_functions(self, every: int) -> dict[str, Estimate]:
        """Growth per update of the first displacement, as functions of the networks change by it."""
        found = {}
        for name in self.ratios[0]:
            ratios = [self.ratios_before.get(name, math.nan), *(ratio[name] for ratio in self.ratios)]
            turned = [after - before for before, after in itertools.pairwise(ratios)]
            rates = [(float(log[0]) + turn) / every for log, turn in zip(self.lengths, turned, strict=True)]
            if all(map(math.isfinite, rates)):
                found[name] = estimate(rates)
        return found


class Copies:
    """The original, and families of displaced copies.

    Args:
        training: the original; its networks are used for the copies too.
        every: updates between two renormalisations.
        memory_scale: see :class:`gcn.spectrum.training_state.TrainingState`.

    Attributes:
        families: see :meth:`add`.
        alone: there is one player.
        cost: updates made so far, for original and copies.
    """

    def __init__(self, training: Training, every: int, memory_scale: float = 1.0) -> None:
        self.training, self.every, self.step = training, every, training.step
        self.state = TrainingState(training.game, training.rule, training.players, memory_scale)
        self.alone = training.players.g is training.players.d
        self.families: list[Family] = []
        self.cost = 0
        self.begun = self.state.take()
        self.now = self._first()

    def _first(self) -> Snapshot:
        """The original after one update, with which all memories exist."""
        self._advance(1)
        after = self.state.take()
        self.state.lay_out(self.begun, after)
        self.norm = self.state.norm(self.begun) or 1.0
        self._check(self.state.vector(after))
        self.step += 1
        return after

    def add(self, displaced: str, epsilon: float, directions: int, seed: int) -> None:
        """Add a family with random first directions; arguments as of :class:`Family`."""
        owners = ("g", "d") if displaced == "all" else (displaced,)
        mask = self.state.mask(*owners, "shared")
        self.families.append(Family(displaced, epsilon, random_frame(directions, mask, seed), mask))

    def advance(self) -> None:
        """Advance the original and all copies by one block, and renormalise the copies.

        Raises:
            InputError: the original's numbers are not finite any more.
        """
        start = self.now
        self.state.put(start)
        g = Recorded(self.training.players.g)
        d = g if self.alone else Recorded(self.training.players.d)
        self._advance(self.every, Players(g, d))
        self.now, seen = self.state.take(), self._functions()
        end = self.state.vector(self.now)
        self._check(end)
        points = {"g": g.take(), "d": d.take()}
        for family in self.families:
            self._advance_family(family, start, end, seen, points)
        self.step += self.every

    def restore(self) -> None:
        """Put the training back to where it began."""
        self.state.put(self.begun)

    def _advance(self, updates: int, players: Players | None = None) -> None:
        training = self.training
        for step in range(self.step, self.step + updates):
            update(training.game, training.rule, training.batches(step), step, players or training.players)
        self.cost += updates

    def _check(self, vector: Tensor) -> None:
        if not vector.isfinite().all():
            raise InputError(f"the training diverges at update {self.step}; it has no exponent from there on")

    def _advance_family(
        self,
        family: Family,
        start: Snapshot,
        end: Tensor,
        seen: dict[str, Tensor],
        points: dict[str, list[Point]],
    ) -> None:
        size, ends = family.epsilon * self.norm, []
        for i, direction in enumerate(family.frame):
            self.state.put(self.state.displaced(start, size * direction))
            self._advance(self.every, self._players(family.displaced, points))
            apart = (self.state.vector(self.state.take()) - end) * family.mask
            ends.append(apart / size)
            if i == 0:
                family.ratios.append(self._ratios(seen, float(apart.norm())))
        lengths = torch.full((len(ends),), math.nan, dtype=torch.float64)
        if all(bool(row.isfinite().all()) for row in ends):
            family.frame, lengths = orthonormal(torch.stack(ends))
        family.lengths.append(lengths)

    def _players(self, displaced: str, points: dict[str, list[Point]]) -> Players:
        """Both players; beside a displaced one the other visits the original's points."""
        players = self.training.players
        if displaced == "all":
            return players
        other = OTHER[displaced]
        return players._replace(**{other: Replayed(getattr(players, other).parameters, points[other])})

    @torch.no_grad()
    def _functions(self) -> dict[str, Tensor]:
        """x_hat on fixed crops, and D's logits of these and of x_hat."""
        game, first = self.training.game, self.training.step
        x = self.training.batches(first)[-1]
        with still(game):
            turn = game.turn("both", x, first, attached=False, playing=not self.alone)
            found = {"x_hat": turn.x_hat}
            if not self.alone:
                logits = [*turn.discriminate(turn.x).logits, *turn.discriminate(turn.x_hat).logits]
                found["logits"] = torch.cat([scale.reshape(-1) for scale in logits])
        return {name: value.detach().clone() for name, value in found.items()}

    def _ratios(self, seen: dict[str, Tensor], apart: float) -> dict[str, float]:
        changes = {name: float((value - seen[name]).norm()) for name, value in self._functions().items()}
        return {
            name: math.log(change / apart) if change > 0 and 0 < apart < math.inf else math.nan
            for name, change in changes.items()
        }
