"""Margins by cell and seed, and what a contrast is computed from: for each seed one number, averaged over settings.

The unit is the seed. Both sides of a difference, and all weights of a trend, are of the same seed: of the same
codec, crops
and split of the photographs. A seed enters a contrast only if all its margins in all settings of the contrast are
there.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter, mul
from statistics import fmean, median
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


Place = Callable[[str], Cell]  # the cell in a setting: the weight μ* may differ between settings
Reading = Callable[[Margin], float]


h_star: Reading = attrgetter("h_star")
a_star: Reading = attrgetter("a_star")
coupling: Reading = attrgetter("coupling")
_ENDS = {h_star: attrgetter("h_end"), a_star: attrgetter("a_end")}


@dataclass(frozen=True)
class Sample:
    """A contrast's number for each seed.

    Attributes:
        settings: setting to seed to number, all seeds that are complete in the setting.
        margins: that entered.
        end: which field of a margin says that it lies at an end of its grid; None if there is no grid.
    """

    settings: Mapping[str, Mapping[int, float]]
    margins: Sequence[Margin]
    end: Callable[[Margin], str] | None

    @cached_property
    def seeds(self) -> Mapping[int, float]:
        """Mean over settings for each seed that is complete in all of them."""
        held = [set(by_seed) for by_seed in self.settings.values()]
        return {
            seed: fmean([by[seed] for by in self.settings.values()])
            for seed in sorted(set.intersection(*held))
        }

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
        self._gaps: dict[tuple[Reading, Cell, str], float] = {}
        for m in margins:
            own = self.cells.setdefault((m.setting, m[1:5]), {})  # type: ignore[arg-type]  # equal to the cell
            if m.seed in own:
                raise InputError(
                    f"margins of {m.setting}, mse={m.mse:g}, trick {m.trick}, control {m.control}, twin {m.twin}, seed"
                    f" {m.seed} occur twice; keep one row"
                )
            own[m.seed] = m

    def difference(self, read: Reading, one: Place, other: Place, settings: Sequence[str]) -> Sample:
        """For each seed one - other."""
        return self._sample(read, lambda s: {one(s): 1.0, other(s): -1.0}, settings)

    def trend(
        self, read: Reading, parts: Mapping[str, float], weights: Sequence[float], settings: Sequence[str]
    ) -> Sample:
        """For each seed the change from the smallest to the largest weight, by a straight line over log2 of the weight.

        Args:
            parts: twin level to the sign with which its reading enters.
        """
        return self._weighted(read, parts, dict(zip(weights, slopes(weights), strict=True)), settings)

    def average(
        self, read: Reading, parts: Mapping[str, float], weights: Sequence[float], settings: Sequence[str]
    ) -> Sample:
        """For each seed the mean over the weights; ``parts`` as in :meth:`trend`."""
        return self._weighted(read, parts, dict.fromkeys(weights, 1 / len(weights)), settings)

    def _weighted(
        self,
        read: Reading,
        parts: Mapping[str, float],
        factors: Mapping[float, float],
        settings: Sequence[str],
    ) -> Sample:
        places = {
            Cell(w, twin=twin): sign * factor for w, factor in factors.items() for twin, sign in parts.items()
        }
        return self._sample(read, lambda _: places, settings)

    def _sample(
        self, read: Reading, places: Callable[[str], Mapping[Cell, float]], settings: Sequence[str]
    ) -> Sample:
        found: dict[str, dict[int, float]] = {}
        entered: list[Margin] = []
        for setting in settings:
            factors = places(setting)
            held = [self.cells.get((setting, cell), {}) for cell in factors]
            seeds = sorted(set(held[0]).intersection(*held[1:]))
            margins = [list(map(by_seed.__getitem__, seeds)) for by_seed in held]
            columns = zip(*(map(read, of_cell) for of_cell in margins), strict=True)
            values = [sum(map(mul, factors.values(), column)) for column in columns]
            found[setting] = {s: v for s, v in zip(seeds, values, strict=True) if not math.isnan(v)}
            for of_cell in margins:
                entered += [m for m, v in zip(of_cell, values, strict=True) if not math.isnan(v)]
        return Sample(found, entered, _ENDS.get(read))

    def room(self, read: Reading, cell: Place, settings: Sequence[str]) -> float:
        """The smallest, among the settings, median over seeds of twin - game, octaves; NaN if one is unknown."""
        return min(
            (self._gap(read, cell(s), s) for s in settings), key=lambda g: -math.inf if math.isnan(g) else g
        )

    def most_room(self, read: Reading, cell: Place, settings: Sequence[str]) -> float:
        """The largest, among the settings, median over seeds of twin - game, octaves; NaN if one is unknown."""
        return max(
            (self._gap(read, cell(s), s) for s in settings), key=lambda g: math.inf if math.isnan(g) else g
        )

    def _gap(self, read: Reading, cell: Cell, setting: str) -> float:
        """Median over seeds of twin - game in a setting."""
        key = (read, cell, setting)
        if key not in self._gaps:
            twin = self.difference(read, lambda _: cell._replace(twin=TWIN), lambda _: cell, [setting])
            self._gaps[key] = median(twin.seeds.values()) if twin.seeds else math.nan
        return self._gaps[key]


def slopes(weights: Sequence[float]) -> list[float]:
    """Factors whose sum with the readings is a least-squares line's change over the whole range of weights."""
    logs = np.log2(np.asarray(weights))
    centred = logs - logs.mean()
    return [float(c) for c in centred / (centred**2).sum() * (logs[-1] - logs[0])]
