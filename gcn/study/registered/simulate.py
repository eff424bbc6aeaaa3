"""Simulated tables of margins whose truth is known, to see how often the deciding code is right and wrong.

A margin is the mean of its cell, plus noise, cut off downwards to the quarter octave (the grid) and at the ends of the
grid. Noise has a part that all settings of a seed share and a part of its own, so that a paired difference in one
setting has the deviation ``spread``.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gcn.study.registered.decide import (
    CLAIMS,
    CONTRARY,
    EQUIVALENT,
    NO_EFFECT,
    OPPOSITE,
    SUPPORTED,
    Decision,
    decide,
)
from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import GAME, TWIN, Cell, Margin
from gcn.study.registered.registered_contrasts import ADDS, COSTS, HARMS, HELPS

GRID = 0.25  # octaves between points of the grid
FIRST_SEED = 1000  # of simulated studies, which have every second one; no stage uses them
COUPLING = 0.02  # per update: deviation of the exponent's coupling over seeds
TOP = 16.0  # octaves from the first point of the grid to the last

Contrast = tuple[str, str, str]  # setting, chain and name
Numbers = npt.NDArray[np.float64]
Shape = Callable[[np.random.Generator, tuple[int, ...]], Numbers]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Normal numbers of variance 1."""
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Student's t of three degrees of freedom, scaled to variance 1."""
    return rng.standard_t(3, shape) / math.sqrt(3)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Exponential numbers, shifted to mean 0, of variance 1."""
    return rng.exponential(size=shape) - 1


@dataclass(frozen=True)
class Truth:
    """What is true in a simulated study, octaves unless said otherwise.

    Attributes:
        fall: of the game's cost, from the smallest weight to the largest.
        rise: of the game's own margin, over the same weights.
        coupling: fall of the exponent's coupling, in its deviations over seeds.
        truth: μ* above each control.
        weak: what a trick adds beside the smallest weight; ``beside``: what it adds beside μ*. A number for each trick,
            repeated.
        gap: between a game at μ* and its twin; ``cost``: the mean cost of the game over the weights.
        shape: distribution of the noise; with ``one_side`` only of tricks, controls and games, not of what they
            are compared with.
        outlier: octaves by which one seed's margins are off, each in a random direction.
        alike: correlation between seeds, as images that all seeds share would cause.
        top: last point of the grid, octaves from its first.
        others: what is true in all settings but the first one; None: the same. Its noise and grid are not looked at.
    """

    fall: float = 0.0
    rise: float = 0.0
    coupling: float = 0.0
    truth: float = 0.0
    weak: tuple[float, ...] = (0.0,)
    beside: tuple[float, ...] = (0.0,)
    gap: float = 3.0
    cost: float = 3.0
    shape: Shape = field(default=normal)
    one_side: bool = False
    outlier: float = 0.0
    alike: float = 0.0
    top: float = TOP
    others: "Truth | None" = None

    def within(self, place: int) -> "Truth":
        """What is true in a setting, by its place in the plan."""
        return self.others if place and self.others else self

    def effects(self, plan: Plan) -> dict[Contrast, float]:
        """The true number of each registered contrast."""
        return {
            (setting, *name): number
            for place, setting in enumerate(plan.settings)
            for name, number in self.within(place)._effects(plan).items()
        }

    def _effects(self, plan: Plan) -> dict[tuple[str, str], float]:
        found = {
            ("H1", "cost falls"): self.fall,
            ("H1", "margin rises"): self.rise,
            ("confinement", "twin's margin rises"): self.rise - self.fall,
            ("confinement", "game costs nothing"): self.cost,
            ("exponent", "coupling falls"): self.coupling,
        }
        found |= {(f"truth, {name}", f"mse above {name}"): self.truth for name in plan.controls}
        for i, trick in enumerate(plan.assay):
            found[f"H2, {trick}", "assay"] = self.weak[i % len(self.weak)]
            found[f"H2, {trick}", "superfluous"] = self.beside[i % len(self.beside)]
        return found


def is_false(word: str, effect: float, threshold: float) -> bool:
    """Whether a word denies the truth; a word that claims nothing never does."""
    wrong = {
        SUPPORTED: effect <= 0,
        OPPOSITE: effect >= 0,
        NO_EFFECT: abs(effect) >= threshold,
        EQUIVALENT: abs(effect) >= threshold,
        **dict.fromkeys((ADDS, COSTS), effect < threshold),
        **dict.fromkeys((HARMS, HELPS), effect > -threshold),
    }
    return wrong.get(word, False)


class Grid(NamedTuple):
    """All cells of stage 2, with the means of their margins.

    Attributes:
        places: setting and cell.
        levels: index of the cell's name, which is the same in all settings.
        means: of h, a and the coupling, in octaves above the first point of the grid and per update. (cells, 3)
        plain: whether noise of one side alone leaves the cell out. (cells,)
    """

    places: list[tuple[str, Cell]]
    levels: npt.NDArray[np.int64]
    means: Numbers
    plain: npt.NDArray[np.bool_]


def grid(truth: Truth, plan: Plan) -> Grid:
    """The cells of stage 2 and what is true in each."""
    names: dict[Cell, int] = {}
    places, levels, means = [], [], []
    for place, setting in enumerate(plan.settings):
        for cell, name, mean in _cells(truth.within(place), plan, setting):
            places.append((setting, cell))
            levels.append(names.setdefault(name, len(names)))
            means.append(mean)
    smallest = Cell(plan.weights[0])
    plain = [c.trick == c.control == "none" and (c.twin == TWIN or c == smallest) for _, c in places]
    return Grid(places, np.array(levels), np.array(means), np.array(plain))


def _cells(truth: Truth, plan: Plan, setting: str) -> Iterator[tuple[Cell, Cell, tuple[float, float, float]]]:
    """Each cell in a setting, its name in all settings (μ* is -1), and its means."""
    star = plan.mse_star[setting]
    logs = np.log2(plan.weights)
    lowest = 5.0 + truth.rise * (logs[0] - logs.mean()) / (logs[-1] - logs[0])
    for weight, place in zip(plan.weights, (logs - logs.mean()) / (logs[-1] - logs[0]), strict=True):
        h, cost = 5.0 + truth.rise * place, truth.cost - truth.fall * place
        for twin, mean in (
            (GAME, (h, 6.0, 0.05 - COUPLING * truth.coupling * place)),
            (TWIN, (h + cost, 6.0 + truth.gap, math.nan)),
        ):
            yield Cell(weight, twin=twin), Cell(weight, twin=twin), mean
    if star not in plan.weights:
        yield Cell(star), Cell(-1.0), (5.0, 6.0, math.nan)
        yield Cell(star, twin=TWIN), Cell(-1.0, twin=TWIN), (5.0 + truth.cost, 6.0 + truth.gap, math.nan)
    for name, levels in plan.controls.items():
        yield Cell(0.0, control=levels[setting]), Cell(0.0, control=name), (5.0, 6.0 - truth.truth, math.nan)
    for i, assay in enumerate(plan.assay.values()):
        weak, beside = truth.weak[i % len(truth.weak)], truth.beside[i % len(truth.beside)]
        first = Cell(plan.weights[0], assay.level)
        yield first, first, (lowest + weak, 6.0 + weak, math.nan)
        yield Cell(star, assay.level), Cell(-1.0, assay.level), (5.0, 6.0 + beside, math.nan)


def margins(truth: Truth, plan: Plan, cells: Grid, rng: np.random.Generator) -> list[Margin]:
    """The margins of a simulated study."""
    count, n = len(cells.places), plan.seeds
    starts = rng.uniform(
        0, 2, len(plan.settings)
    )  # settings differ, also in their place between points of the grid
    values = cells.means[:, :2, None] + _noise(truth, plan, cells, rng)  # (cells, 2, seeds)
    values += np.repeat(starts, count // len(starts))[:, None, None]
    if truth.outlier:
        values[:, :, rng.integers(n)] += truth.outlier * rng.choice([-1, 1], (count, 1))
    values = np.floor(values / GRID) * GRID
    ends = np.where(values < 0, "below", np.where(values > truth.top, "above", "")).tolist()
    together = (cells.means[:, 2:] + COUPLING * rng.standard_normal((count, n))).tolist()
    found = []
    for (setting, cell), own, end, exponent in zip(
        cells.places, values.clip(0, truth.top).tolist(), ends, together, strict=True
    ):
        rows = zip(range(FIRST_SEED, FIRST_SEED + 2 * n, 2), *own, *end, exponent, strict=True)
        found += [Margin(setting, *cell, seed, h, a, x, y, True, z) for seed, h, a, x, y, z in rows]
    return found


def _noise(truth: Truth, plan: Plan, cells: Grid, rng: np.random.Generator) -> Numbers:
    """Noise of h and a, in part common to the settings of a seed, in part to all seeds. (cells, 2, seeds)"""

    def drawn(shape: Shape) -> Numbers:
        levels = int(cells.levels.max()) + 1
        common = math.sqrt(1 - truth.alike) * shape(rng, (levels, 2, plan.seeds))
        if truth.alike:
            common += math.sqrt(truth.alike) * shape(rng, (levels, 2, 1))
        own = shape(rng, (len(cells.places), 2, plan.seeds))
        return math.sqrt(plan.common) * common[cells.levels] + math.sqrt(1 - plan.common) * own

    noise = drawn(truth.shape)
    if truth.one_side:
        noise = np.where(cells.plain[:, None, None], drawn(normal), noise)
    return plan.spread / math.sqrt(2) * noise


class Rates(NamedTuple):
    """How often words were given in simulated studies.

    Attributes:
        studies: number of them.
        false_claims, false_contrary: studies with at least one false claim, with at least one false contrary word.
        words: contrast to word to number of studies.
    """

    studies: int
    false_claims: int
    false_contrary: int
    words: Mapping[Contrast, Mapping[str, int]]

    def share(self, word: str, *contrasts: Contrast) -> float:
        """Mean share of studies in which these contrasts have the word."""
        return sum(self.words[c].get(word, 0) for c in contrasts) / (self.studies * len(contrasts))


def rates(truth: Truth, plan: Plan, studies: int, rng: np.random.Generator) -> Rates:
    """How often each word is given, and is false, in so many simulated studies."""
    effects = truth.effects(plan)
    words: dict[Contrast, dict[str, int]] = {}
    wrong = {CLAIMS: 0, CONTRARY: 0}
    cells = grid(truth, plan)
    for _ in range(studies):
        found = decide(margins(truth, plan, cells, rng), plan, limits=False)
        for kind in wrong:
            wrong[kind] += any(d.word in kind and _false(d, effects, plan) for d in found)
        for d in found:
            own = words.setdefault((d.setting, d.chain, d.name), {})
            own[d.word] = own.get(d.word, 0) + 1
    return Rates(studies, wrong[CLAIMS], wrong[CONTRARY], words)


def _false(decision: Decision, effects: Mapping[Contrast, float], plan: Plan) -> bool:
    contrast = (decision.setting, decision.chain, decision.name)
    return is_false(decision.word, effects[contrast], plan.equivalence)
