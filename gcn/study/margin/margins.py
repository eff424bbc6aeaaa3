"""Margins: the largest learning rate h*, or weight of the adversary a*, at which a training still holds.

Values are looked for on a grid of quarter octaves, lowest · 2^(k/4). The margin is the last value that holds counted
from the lowest; whether a higher one holds again is reported as well (``monotone``). A margin is known to a quarter
octave, or not at all: below the grid where the lowest value fails, above it where the highest holds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gcn.errors import InputError

STEPS = 4  # of the grid in an octave
CEILING = 1.0  # octaves: a game whose margin is as close to its twin's shows the twin's limit, not its own
SAME = ("axis", "method", "updates")  # facts of a row that runs of one margin share, beside levels and seed


class Margin(NamedTuple):
    """A margin on the grid.

    Attributes:
        place: k of the largest value that holds, counted from the lowest; -1 where the lowest fails.
        monotone: no higher value that was tried holds.
        below, above: the margin lies outside of the grid.
        tried: number of values.
    """

    place: int
    monotone: bool
    below: bool
    above: bool
    tried: int


def value(lowest: float, place: int) -> float:
    """The value at a place of the grid."""
    return lowest * 2 ** (place / STEPS)


def margin(held: Mapping[int, bool], top: int | None = None) -> Margin:
    """The margin of the places that were tried.

    Args:
        held: place to whether the run there holds.
        top: the last place of the grid, by default the last one that was tried.
    """
    places = sorted(held)
    failed = next((k for k in places if not held[k]), None)
    last = max((k for k in places if failed is None or k < failed), default=-1)
    monotone = failed is None or not any(held[k] for k in places if k > failed)
    top = places[-1] if top is None else top
    return Margin(
        last, monotone, failed is not None and last < 0, failed is None and last == top, len(places)
    )


def place_of(lowest: float, wanted: float) -> int:
    """The place of the grid that is nearest to a value."""
    return round(STEPS * math.log2(wanted / lowest))


def search(method: str, top: int, holds: Callable[[int], bool], start: int | None = None) -> Margin:
    """Try values of the grid until the margin is known.

    Args:
        method: ``grid``: all places from 0 to ``top``, coarse ones first; ``halves``: every second; ``bisection``: as
            few as possible without a guess; ``near``: outward from a guess. The last two are right where holding is
            monotone, and then they find the same value.
        top: last place of the grid.
        holds: whether a run at this place holds.
        start: the guess of ``near``, a place of the grid; without one it is a bisection.
    """
    if method in ("bisection", "near"):
        return _narrowed(top, holds, start if method == "near" else None)
    finest = {"grid": 1, "halves": 2}[method]
    places = [k for k in range(top + 1) if k % finest == 0]
    order = sorted(places, key=lambda k: (-math.gcd(k, 8) if k else -8, k))
    return margin({k: holds(k) for k in order}, top)


def _narrowed(top: int, holds: Callable[[int], bool], start: int | None) -> Margin:
    """The margin between a value that holds and one that fails, halved until they are neighbours.

    Without ``start`` the ends of the grid are halved at once. With one, steps of 2, 2, 4, 8, ... places lead away from
    it until the result changes: half an octave first, as margins of two seeds lie about so far apart.
    """
    held, low, high = dict[int, bool](), -1, top + 1
    while high - low > 1:
        step = max(2, 2 ** (len(held) - 1))
        if start is None or (low >= 0 and high <= top):
            k = (low + high) // 2
        elif not held:
            k = min(max(start, 0), top)
        else:
            k = min(low + step, top) if low >= 0 else max(high - step, 0)
        held[k] = holds(k)
        low, high = (k, high) if held[k] else (low, k)
    return margin(held, top)


def of_rows(rows: Iterable[Mapping[str, Any]], factors: Iterable[str]) -> list[dict[str, Any]]:
    """The margins in a table of runs, one row for each set of levels, seed and axis.

    Args:
        rows: of ``runs.parquet``.
        factors: columns of the levels.

    Returns:
        The levels, ``seed``, ``axis``, ``method``, ``updates``, ``runs`` (how many); ``margin``, the largest learning
        rate of G or weight of the adversary that holds, and ``octaves``, its logarithm to base 2 (not a number where it
        is below the grid); ``lowest``, the lowest value that was tried, which is the grid's where the margin is below
        it; ``monotone``, ``below``, ``above``; ``reach``, the lowest value at which the classifier is
        fooled better than by the reference (not a number if there is none); ``seconds`` of all runs.
    """
    keys = (*factors, "seed", *SAME)
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [{**dict(zip(keys, said, strict=True)), **_of_group(own)} for said, own in groups.items()]


def _of_group(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    axis = "h" if rows[0]["axis"] == "lr" else "adv"
    if rows[0]["method"] == "ramp":
        found = Margin(0 if rows[0][axis] > 0 else -1, True, not rows[0][axis] > 0, bool(rows[0]["holds"]), 1)
        best = rows[0][axis]
    else:
        ordered = sorted(rows, key=lambda row: row[axis])
        found = margin({k: bool(row["holds"]) for k, row in enumerate(ordered)})
        best = ordered[found.place][axis] if found.place >= 0 else math.nan
    reached = [row[axis] for row in rows if row["reach"]]
    positive = [row[axis] for row in rows if row[axis] > 0]  # a ramp that never held has 0
    return {
        "runs": found.tried,
        "margin": best if found.place >= 0 else math.nan,
        "octaves": math.log2(best) if found.place >= 0 else math.nan,
        "lowest": min(positive, default=math.nan),
        "monotone": found.monotone,
        "below": found.below,
        "above": found.above,
        "reach": min(reached, default=math.nan),
        "seconds": sum(row["seconds"] for row in rows),
    }


def check_references(rows: Iterable[Mapping[str, Any]], factors: Sequence[str]) -> None:
    """Refuse runs that would be compared and began with different codecs, as the same words give on two processors.

    The bits of the reference, ``b0``, tell codecs apart.

    Args:
        rows: of ``runs.parquet``.
        factors: columns of the levels within which runs of a seed are compared.

    Raises:
        InputError: a seed has two references.
    """
    known: dict[tuple[Any, ...], float] = {}
    for row in rows:
        bits = row.get("b0")
        if bits is None or not math.isfinite(bits):
            continue
        first = known.setdefault((row["seed"], row.get("length"), *(row[factor] for factor in factors)), bits)
        if first != bits:
            raise InputError(
                f"seed {row['seed']}: references of {first:.4f} and {bits:.4f} bits, hence two codecs; train all these"
                " runs from one codec, which differs between processors"
            )


def has_ceiling(game: float, alone: float) -> bool:
    """Whether a margin in octaves is so close to that of the twin without a game that it is the twin's limit."""
    return alone - game < CEILING
