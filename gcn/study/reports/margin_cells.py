"""The cells of a margin study: what each configuration's margin is, by every search that was made for it."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from gcn.study.margin import margins

CELL = ("loss", "mse", "trick", "control", "beta1", "epsilon", "ratio")  # factors that make a configuration
PLAIN = {"trick": "none", "control": "none", "epsilon": "1e-8", "ratio": "1"}  # not said in a cell's name
EXACT = ("grid", "bisection", "halves")  # searches that find a margin, the finest first
SAME = {"near": "bisection"}  # a search that finds what another one does, from a better guess
ALONE = "distortion_alone"
SGD = "sgd"  # level of ``epsilon``: the optimizer that has none
FEW = 3  # seeds whose margins are shown one by one
COMMAND = "python scripts/study.py study=margin data.root=data/BSDS500 grids={}"

Row = Mapping[str, Any]
Key = tuple[str, ...]


class Found(NamedTuple):
    """Margins of a cell over seeds, in octaves: logarithms to base 2 of G's learning rate.

    Attributes:
        octaves: by seed; minus infinity where even the lowest value fails.
        ends: by seed; ``below`` the grid, ``above`` it, or nothing.
        monotone: by seed; whether no higher value holds than the margin.
        methods: by seed; the search that found it.
        lowest: by seed; value that was tried, in octaves.
    """

    octaves: Mapping[int, float]
    ends: Mapping[int, str]
    monotone: Mapping[int, bool]
    methods: Mapping[int, str]
    lowest: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over seeds, octaves."""
        return fmean(self.octaves.values())

    @property
    def above(self) -> bool:
        """Whether the margin of some seed is the highest value of the grid."""
        return "above" in self.ends.values()

    @property
    def points(self) -> list[tuple[float, str]]:
        """For each seed where its margin is drawn, in octaves, and the end of the grid that it lies beyond."""
        at = {seed: max(self.lowest[seed], value) for seed, value in self.octaves.items()}
        return [(value, self.ends[seed]) for seed, value in at.items() if math.isfinite(value)]

    def less(self, other: "Found") -> float:
        """Octaves by which these margins lie below others, over the seeds of both, or over all if they share none."""
        seeds = self.octaves.keys() & other.octaves.keys()
        if not seeds:
            return other.mean - self.mean
        return fmean(other.octaves[seed] - self.octaves[seed] for seed in seeds)


class Room(NamedTuple):
    """How far the margin of a game lies below what needs no game.

    Attributes:
        twin, alone: octaves below the twin and below the distortion alone; not a number if one is not measured.
        word: ``room``, ``ceiling (twin)``, ``ceiling (distortion alone)``, ``end of the grid``,
            ``twin not measured yet`` or ``not measured yet``.
    """

    twin: float
    alone: float
    word: str


def room(game: Found, twin: Found | None, distortion: Found | None) -> Room:
    """How far the margin of a game lies below that of its twin and of the distortion alone."""
    below_twin = math.nan if twin is None else game.less(twin)
    below_alone = math.nan if distortion is None else game.less(distortion)
    beside = game if twin is None and distortion is None else twin or distortion
    assert beside is not None
    if any(game.ends[seed] for seed in (game.octaves.keys() & beside.octaves.keys()) or game.octaves):
        word = "end of the grid"
    elif math.isnan(below_twin) and math.isnan(below_alone):
        word = "not measured yet"
    elif below_twin < margins.CEILING:
        word = "ceiling (twin)"
    elif below_alone < margins.CEILING:
        word = "ceiling (distortion alone)"
    elif math.isnan(below_twin):
        word = "twin not measured yet"
    else:
        word = "room"
    return Room(below_twin, below_alone, word)


def cells(
    rows: Sequence[Row],
    twin: str = "none",
    methods: Sequence[str] = EXACT,
    length: str = "N",
    axis: str = "lr",
) -> dict[Key, Found]:
    """Margins by cell, for each seed by the first of the methods that measured it.

    Args:
        rows: of ``runs.parquet``.
        twin: whose.
        methods: names of searches, in the order of preference.
        length: ``N`` updates or ``4N``.
        axis: ``lr``, margins of the learning rate, or ``adv``, of the weight of the adversary.
    """
    own = [
        {**row, "method": SAME.get(row["method"], row["method"])}
        for row in rows
        if row["axis"] == axis and row["twin"] == twin and row["length"] == length
    ]
    found: dict[Key, dict[int, dict[str, Any]]] = {}
    for method in methods:
        for one in margins.of_rows([row for row in own if row["method"] == method], CELL):
            key = tuple(str(one[name]) for name in CELL)
            found.setdefault(key, {}).setdefault(one["seed"], one)
    return {
        key: Found(
            {seed: -math.inf if one["below"] else one["octaves"] for seed, one in by_seed.items()},
            {seed: "below" * one["below"] + "above" * one["above"] for seed, one in by_seed.items()},
            {seed: one["monotone"] for seed, one in by_seed.items()},
            {seed: one["method"] for seed, one in by_seed.items()},
            {seed: math.log2(one["lowest"]) for seed, one in by_seed.items()},
        )
        for key, by_seed in found.items()
    }


def alone(rows: Sequence[Row]) -> dict[Key, Found]:
    """Margins of the distortion alone by its optimizer, see :func:`optimizer`; its weight changes no step of Adam."""
    return {optimizer(key): found for key, found in cells(rows, ALONE).items()}


def optimizer(key: Key) -> Key:
    """The levels of G's optimizer in a cell: those of ``beta1`` and ``epsilon``."""
    return key[CELL.index("beta1")], key[CELL.index("epsilon")]


def name_of(key: Key, without: Sequence[str] = ()) -> str:
    """``ns, mse=0.1, r1=10, beta1=0``: a cell by its levels, without those that nothing was changed in."""
    said = []
    for factor, level in zip(CELL, key, strict=True):
        if factor in without or PLAIN.get(factor) == level:
            continue
        bare = factor in ("loss", "trick", "control")
        said.append(level if bare else f"{factor}={level}")
    return ", ".join(said)


def rate(octaves: float) -> str:
    """A margin in octaves as a learning rate."""
    return "below the grid" if octaves == -math.inf else f"{2**octaves:.1e}"


def shown(found: Found) -> str:
    """The margins of up to ``FEW`` seeds as learning rates, in the order of the seeds; of more seeds their mean."""
    if len(found.octaves) > FEW:
        return f"{'≥ ' * found.above}{rate(found.mean)}"
    return ", ".join(
        f"{'≥ ' * (found.ends[seed] == 'above')}{rate(octaves)}"
        for seed, octaves in sorted(found.octaves.items())
    )


def missing(what: str, grid: str) -> str:
    """The sentence of a section without rows: which grid of the study measures it."""
    return f"{what}: not measured yet; `{COMMAND.format(grid)}` measures it."
