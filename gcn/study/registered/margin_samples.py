"""Margins by cell and seed, and what a contrast in a setting is computed from: one number for each seed.

The unit is the seed. Both sides of a difference, and all weights of a trend, are of the same seed: of the same codec,
crops and split of the photographs. A seed enters a contrast only if all its margins are there.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter, mul
from statistics import median
from typing import NamedTuple

import numpy as np

from gcn.errors import InputError

GAME, TWIN = "none", "rescaled"  # levels of ``twin``: what the registered contrasts compare
ENDS = ("", "below", "above")


class Margin(NamedTuple):
    """The margins of one configuration with one seed.

    Attributes:
        setting: loss and momentum; ``mse``: weight of the distortion; ``trick``, ``control``, ``twin``: levels or
            ``none``.
        h_star: octaves of the learning rate above the grid's unit; NaN: not measured.
        a_star: octaves of ``adv`` above 1; NaN: not measured.
        h_end, a_end: ``below`` where no point of the grid holds, ``above`` where all hold: the margin is then the
            grid's end.
        monotone: whether every point below the margin holds and none above does.
        coupling: the exponent's part that neither player has alone, per update, at a low learning rate; NaN: not
            measured.
        exponent: Λ per update, at the same learning rate; NaN: not measured.
    """

    setting: str
    mse: float
    trick: str
    control: str
    twin: str
    seed: int
    h_star: float
    a_star: float
    h_end: str = ""
    a_end: str = ""
    monotone: bool = True
    coupling: float = math.nan
    exponent: float = math.nan


class Cell(NamedTuple):
    """A configuration within a setting."""

    mse: float
    trick: str = "none"
    control: str = "none"
    twin: str = GAME


Reading = Callable[[Margin], float]


h_star: Reading = attrgetter("h_star")
a_star: Reading = attrgetter("a_star")
coupling: Reading = attrgetter("coupling")
_ENDS = {h_star: attrgetter("h_end"), a_star: attrgetter("a_end")}


@dataclass(frozen=True)
class Sample:
    """A contrast's number for each seed.

    Attributes:
        seeds: seed to number, all that are complete.
        margins: that entered.
        end: which field of a margin says that it lies at an end of its grid; None if there is no grid.
    """

    seeds: Mapping[int, float]
    margins: Sequence[Margin]
    end: Callable[[Margin], str] | None

    @cached_property
    def censored(self) -> int:
        """Number of margins that lie at an end of their grid."""
        return sum(map(bool, map(self.end, self.margins))) if self.end else 0

    @cached_property
    def holes(self) -> int:
        """Number of margins at which holding is not monotone."""
        return sum(not m.monotone for m in self.margins) if self.end else 0


class Margins:
    """All margins, by setting and cell.

    Raises:
        InputError: a configuration and seed occur twice.
    """

    def __init__(self, margins: Iterable[Margin]) -> None:
        self.cells: dict[tuple[str, Cell], dict[int, Margin]] = {}
        self._rooms: dict[tuple[Reading, Cell, str], float] = {}
        for m in margins:
            own = self.cells.setdefault((m.setting, m[1:5]), {})  # type: ignore[arg-type]  # equal to the cell
            if m.seed in own:
                raise InputError(
                    f"margins of {m.setting}, mse={m.mse:g}, trick {m.trick}, control {m.control}, twin {m.twin}, seed"
                    f" {m.seed} occur twice; keep one row"
                )
            own[m.seed] = m

    def difference(self, read: Reading, one: Cell, other: Cell, setting: str) -> Sample:
        """For each seed one - other."""
        return self._sample(read, {one: 1.0, other: -1.0}, setting)

    def trend(
        self, read: Reading, parts: Mapping[str, float], weights: Sequence[float], setting: str
    ) -> Sample:
        """For each seed the change from the smallest to the largest weight, by a straight line over log2 of the weight.

        Args:
            parts: twin level to the sign with which its reading enters.
        """
        return self._weighted(read, parts, dict(zip(weights, slopes(weights), strict=True)), setting)

    def average(
        self, read: Reading, parts: Mapping[str, float], weights: Sequence[float], setting: str
    ) -> Sample:
        """For each seed the mean over the weights; ``parts`` as in :meth:`trend`."""
        return self._weighted(read, parts, dict.fromkeys(weights, 1 / len(weights)), setting)

    def _weighted(
        self, read: Reading, parts: Mapping[str, float], factors: Mapping[float, float], setting: str
    ) -> Sample:
        cells = {
            Cell(w, twin=twin): sign * factor for w, factor in factors.items() for twin, sign in parts.items()
        }
        return self._sample(read, cells, setting)

    def _sample(self, read: Reading, factors: Mapping[Cell, float], setting: str) -> Sample:
        held = [self.cells.get((setting, cell), {}) for cell in factors]
        seeds = sorted(set(held[0]).intersection(*held[1:]))
        margins = [list(map(by_seed.__getitem__, seeds)) for by_seed in held]
        columns = zip(*(map(read, of_cell) for of_cell in margins), strict=True)
        values = [sum(map(mul, factors.values(), column)) for column in columns]
        entered = [
            m for of_cell in margins for m, v in zip(of_cell, values, strict=True) if not math.isnan(v)
        ]
        found = {seed: v for seed, v in zip(seeds, values, strict=True) if not math.isnan(v)}
        return Sample(found, entered, _ENDS.get(read))

    def room(self, read: Reading, cell: Cell, setting: str) -> float:
        """Median over seeds of twin - game in a setting, octaves; NaN if it was not measured."""
        key = (read, cell, setting)
        if key not in self._rooms:
            gap = self.difference(read, cell._replace(twin=TWIN), cell, setting)
            self._rooms[key] = median(gap.seeds.values()) if gap.seeds else math.nan
        return self._rooms[key]


def slopes(weights: Sequence[float]) -> list[float]:
    """Factors whose sum with the readings is a least-squares line's change over the whole range of weights."""
    logs = np.log2(np.asarray(weights))
    centred = logs - logs.mean()
    return [float(c) for c in centred / (centred**2).sum() * (logs[-1] - logs[0])]
