"""The cells of a margin study: what each configuration's margin is, by every search that was made for it."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from gcn.study.margin import margins

CELL = ("loss", "mse", "trick", "control", "beta1", "epsilon", "ratio")  # factors that make a configuration
PLAIN = {"trick": "none", "control": "none", "epsilon": "1e-8", "ratio": "1"}  # not said in a cell's name
EXACT = ("grid", "halves", "bisection")  # searches that find a margin, the most thorough first
SAME = {"near": "bisection"}  # a search that finds what another one does, from a better guess
ALONE = "distortion_alone"

Row = Mapping[str, Any]
Key = tuple[str, ...]


class Found(NamedTuple):
    """Margins of a cell over seeds, in octaves: logarithms to base 2 of G's learning rate.

    Attributes:
        octaves: by seed; minus infinity where even the lowest value fails.
        monotone: for how many seeds no higher value holds than the margin.
        above: the margin of some seed is the highest value of the grid.
        method: by which the first of them was found.
        seconds: of all runs together.
        runs: how many.
    """

    octaves: Mapping[int, float]
    monotone: int
    above: bool
    method: str
    seconds: float
    runs: int

    @property
    def mean(self) -> float:
        """Mean over seeds, octaves."""
        return fmean(self.octaves.values())


def cells(
    rows: Sequence[Row], twin: str = "none", methods: Sequence[str] = EXACT, length: str = "N"
) -> dict[Key, Found]:
    """Margins of the learning rate by cell, each seed's by the first of the methods that measured it.

    Args:
        rows: of ``runs.parquet``.
        twin: whose.
        methods: names of searches, in the order of preference.
        length: ``N`` updates or ``4N``.
    """
    own = [
        {**row, "method": SAME.get(row["method"], row["method"])}
        for row in rows
        if row["axis"] == "lr" and row["twin"] == twin and row["length"] == length
    ]
    by_seed: dict[Key, dict[int, dict[str, Any]]] = {}
    for method in methods:
        for one in margins.of_rows([row for row in own if row["method"] == method], CELL):
            by_seed.setdefault(tuple(str(one[name]) for name in CELL), {}).setdefault(one["seed"], one)
    return {key: _found(list(each.values())) for key, each in by_seed.items()}


def _found(each: Sequence[Mapping[str, Any]]) -> Found:
    """The margins of a cell, one for each seed."""
    return Found(
        {one["seed"]: -math.inf if one["below"] else one["octaves"] for one in each},
        sum(one["monotone"] for one in each),
        any(one["above"] for one in each),
        each[0]["method"],
        sum(one["seconds"] for one in each),
        sum(one["runs"] for one in each),
    )


def alone(rows: Sequence[Row]) -> dict[str, Found]:
    """Margins of the distortion alone, by beta1; its weight changes no step of Adam."""
    return {key[CELL.index("beta1")]: found for key, found in cells(rows, ALONE).items()}


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
    return "below the grid" if octaves == -math.inf else f"{2**octaves:.2g}"
