"""Margins and exponents of the methods from the stored runs: means over seeds, and differences to the plain game."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcn.lab.intervals import interval
from gcn.study.methods.catalogue import PLAIN

QUANTITIES = {
    "margin": "octaves",
    "exponent": "exponent",
}  # levels of ``measured``, and the columns of the table


@dataclass(frozen=True)
class Effect:
    """A quantity of one method with one weight of the distortion.

    Attributes:
        values: by seed, finite ones.
        missing: reasons of the seeds without one, such as a failure at the first learning rate.
        above: seeds whose training held to the last learning rate.
        differences: to the plain game of the same seed and distortion.
    """

    values: Mapping[int, float]
    missing: Sequence[str]
    above: int
    differences: Sequence[float]

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return interval(list(self.values.values())).mean if self.values else math.nan

    @property
    def difference(self) -> tuple[float, float]:
        """Mean difference to the plain game, and half of its 95 % interval (Student's t); not numbers without seeds."""
        return _mean_and_half(self.differences)

    def gain_over(self, other: "Effect") -> tuple[float, float]:
        """Mean difference to another effect by seed, and half of its interval; not numbers without a common seed."""
        common = sorted(self.values.keys() & other.values.keys())
        return _mean_and_half([self.values[seed] - other.values[seed] for seed in common])


def effects(rows: Iterable[Mapping[str, Any]], measured: str) -> dict[tuple[str, str], Effect]:
    """The effects in a table of runs, by method and level of ``mse``.

    Args:
        rows: of ``runs.parquet``.
        measured: ``margin`` or ``exponent``.
    """
    column = QUANTITIES[measured]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["measured"] == measured:
            groups.setdefault((row["method"], row["mse"]), []).append(row)
    values = {
        key: {row["seed"]: row[column] for row in own if _is_finite(row.get(column))}
        for key, own in groups.items()
    }
    found = {}
    for (method, mse), own in groups.items():
        mine, plain = values[method, mse], values.get((PLAIN, mse), {})
        found[method, mse] = Effect(
            mine,
            [str(row["verdict_reason"]) for row in own if row["seed"] not in mine],
            sum(row["verdict"] == "holds" for row in own),
            [mine[seed] - plain[seed] for seed in sorted(mine.keys() & plain.keys())]
            if method != PLAIN
            else [],
        )
    return found


def _mean_and_half(differences: Sequence[float]) -> tuple[float, float]:
    mean, half = interval(list(differences)) if differences else (math.nan, math.nan)
    return mean, half


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
