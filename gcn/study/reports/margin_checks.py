"""What a margin's report says of its method: monotone or not, a threshold or a drift, other searches, spread, cost."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev

from gcn.study.margin import margins
from gcn.study.margin.rank_correlation import rank_correlation
from gcn.study.reports.margin_cells import CELL, Found, Key, Row, cells, missing, name_of, shown
from gcn.study.reports.pages import Table

Margins = Mapping[Key, Found]
DRIFT = -2.0  # octaves by which four times the updates lower a margin that is inversely proportional to them
STEPS = {"grid": "quarter", "halves": "half"}  # of an octave between the values of a whole grid
WHOLE = tuple(STEPS)
COST = (
    "Seconds by the clock; the machine may have done other work too. Runs that fail end earlier than runs that hold."
    " Times are medians; *a search* is the sum of its runs."
)


JUDGES = (
    "All runs of a seed are judged by the same small classifiers. A run fails where their log-loss, 1 - bits, is below"
    " its limit, a fixed share of the reference's. *Noise*: standard deviation of the log-loss between equally good"
    " decoders, in octaves (factors of two). *Failed decoder*: octaves by which the log-loss falls for the distortion"
    " alone at the highest learning rate. A judge that does not fail this decoder, or whose noise is more than half of"
    " what is allowed, is not used. A seed with two references had two codecs: the same words give other numbers on"
    " another processor. Margins are compared within a setting, and the runs of a setting have one codec for each seed."
)


def judges(stored: Sequence[Row]) -> Table | None:
    """What the judge of each seed says of the reference, with its noise and of a decoder that has failed."""
    measured = [row for row in stored if math.isfinite(row.get("b0", math.nan))]
    found = {
        (row["seed"], row["length"], row["b0"]): row for row in measured
    }  # a seed may have had two codecs
    body = []
    for (seed, length, _), row in sorted(found.items()):
        allowed = math.log2((1 - row["b0"]) / (1 - row["limit"]))
        failed = row["judge_failed"]
        seen = f"{failed:.2f}" if math.isfinite(failed) else "not finite"
        numbers = (
            f"{row['b0']:.3f}",
            f"{row['limit']:.3f}",
            f"{allowed:.2f}",
            f"{row['judge_noise']:.3f}",
            seen,
        )
        body.append([str(seed), length, *numbers])
    head = [
        "seed",
        "updates",
        "bits of the reference",
        "limit, bits",
        "allowed octaves",
        "noise",
        "failed decoder",
    ]
    return (head, body) if body else None


def monotone(games: Margins) -> list[str]:
    """In how many whole grids nothing holds above the margin, and where something does."""
    whole = [
        (key, found.methods[seed], monotone)
        for key, found in games.items()
        for seed, monotone in found.monotone.items()
        if found.methods[seed] in WHOLE
    ]
    if not whole:
        return [missing("Whole grids", "stage0_halves")]
    broken = [name_of(key) for key, _, monotone in whole if not monotone]
    steps = " and ".join(STEPS[method] for method in WHOLE if any(method == own for _, own, _ in whole))
    return [
        f"{len(whole) - len(broken)} of {len(whole)} whole grids, in {steps} octaves, are monotone: below the margin"
        " every learning rate holds, and above it none."
        + (f" A higher value holds again in: {'; '.join(broken)}." if broken else "")
    ]


def longer(games: Margins, repeated: Margins) -> tuple[list[str], Table | None]:
    """Margins of four times as many updates beside those of N, and what the shift is nearer to."""
    both = [key for key in games if key in repeated and math.isfinite(games[key].less(repeated[key]))]
    if not both:
        return [missing("Runs of 4N updates", "stage0_longer")], None
    shifts = {key: games[key].less(repeated[key]) for key in both}
    body = [
        [name_of(key), shown(games[key]), shown(repeated[key]), f"{shift:+z.1f}", _kind(shift)]
        for key, shift in shifts.items()
    ]
    drifts = sum(_kind(shift) == "drift" for shift in shifts.values())
    said = [
        "A threshold does not depend on the number of updates. Where a training fails because it has moved far enough,"
        " four times as many updates lower the margin by two octaves.",
        f"The median shift is {median(shifts.values()):+.1f} octaves; it is nearer to a drift's {DRIFT:+g} than"
        f" to a threshold's 0 in {drifts} of {len(shifts)} games.",
    ]
    return said, (["game", "h* at N updates", "h* at 4N", "octaves", "nearer to"], body)


def _kind(shift: float) -> str:
    return "drift" if shift < DRIFT / 2 else "threshold"


def methods(stored: Sequence[Row]) -> list[str]:
    """Whether ramps and bisections find what whole grids find, and order cells alike."""
    return [*_bisected(stored), *_other(stored, "bisection"), *_other(stored, "ramp")]


def _bisected(stored: Sequence[Row]) -> list[str]:
    """What a bisection would have found among the runs of each whole grid, which are the runs it would have made."""
    same, asked, tried, different = 0, 0, 0, list[str]()
    for key, grid in _grids(stored):
        found = margins.search("bisection", len(grid) - 1, grid.__getitem__)
        asked, tried = asked + found.tried, tried + len(grid)
        if found.place == margins.margin(dict(enumerate(grid))).place:
            same += 1
        else:
            different.append(name_of(key))
    if not tried:
        return []
    number = same + len(different)
    return [
        f"A bisection among the runs of a whole grid ends at the grid's margin in {same} of {number} grids, after"
        f" {asked / number:.0f} runs in place of {tried / number:.0f}."
        + (f" At another value: {'; '.join(different)}." if different else "")
    ]


def _grids(stored: Sequence[Row]) -> list[tuple[Key, list[bool]]]:
    """For each whole grid of a game of N updates whether its values hold, from the lowest; the finest of a seed."""
    found: dict[tuple[Key, int], list[Row]] = {}
    for method in WHOLE:
        fresh: dict[tuple[Key, int], list[Row]] = {}
        for row in stored:
            if (row["axis"], row["twin"], row["length"], row["method"]) == ("lr", "none", "N", method):
                fresh.setdefault((tuple(str(row[name]) for name in CELL), row["seed"]), []).append(row)
        found = fresh | found
    by_value = {at: sorted(own, key=lambda row: row["h"]) for at, own in found.items()}
    return [(key, [bool(row["holds"]) for row in own]) for (key, _), own in by_value.items()]


def _other(stored: Sequence[Row], method: str) -> list[str]:
    """How another search orders the cells that have a whole grid as well."""
    whole, other = cells(stored, methods=WHOLE), cells(stored, methods=(method,))
    both = [key for key in whole if key in other and math.isfinite(whole[key].less(other[key]))]
    order = rank_correlation([whole[key].mean for key in both], [other[key].mean for key in both])
    if order is None:
        return [missing("Ramps", "stage0_ramps")] if method == "ramp" else []
    shifts = {key: whole[key].less(other[key]) for key in both}
    middle = median(shifts.values())
    far = max(both, key=lambda key: abs(shifts[key] - middle))
    return [
        f"A {method} orders {len(both)} games as the whole grid does with a rank correlation of {order.text}. Its"
        f" margins lie {middle:+z.1f} octaves from the grid's (median); the largest disagreement beyond that is"
        f" {shifts[far] - middle:+.1f} octaves ({name_of(far)})."
    ]


def spread(games: Margins) -> list[str]:
    """Deviation of margins over seeds, pooled over the cells that have several."""
    several = [list(found.octaves.values()) for found in games.values() if len(found.octaves) > 1]
    known = [values for values in several if all(map(math.isfinite, values))]
    if not known:
        return [missing("Several seeds", "stage1_mse")]
    pooled = math.sqrt(fmean(stdev(values) ** 2 for values in known))
    return [
        f"Deviation of h* over seeds, pooled over {len(known)} games: {pooled:.2f} octaves; the grid's step is"
        f" {1 / margins.STEPS}. What the plan needs is the deviation of differences within a seed;"
        " `python scripts/registered.py pilot=TABLE` prints it."
    ]


def cost(stored: Sequence[Row], measured: Sequence[Row]) -> Table | None:
    """Seconds of runs and of searches by kind of search, and those of the exponents in ``measured``."""
    groups: dict[tuple[str, str, str], dict[tuple[object, ...], list[Row]]] = {}
    for row in stored:
        search = f"{row['method']}, adv" if row["axis"] == "adv" else row["method"]
        one = (*(row[name] for name in CELL), row["seed"])
        groups.setdefault((search, row["twin"], row["length"]), {}).setdefault(one, []).append(row)
    body = []
    for kind, searches in groups.items():
        own = [row for rows in searches.values() for row in rows]
        held, failed = ([r["seconds"] for r in own if bool(r["holds"]) is way] for way in (True, False))
        sums = [sum(row["seconds"] for row in rows) for rows in searches.values()]
        each = f"{len(own) / len(searches):.1f}"
        body.append([*kind, str(len(searches)), each, *map(_middle, (held, failed, sums))])
    if measured:
        seconds = _middle([row["seconds"] for row in measured])
        body.append(["exponent", "none", "N", str(len(measured)), "1.0", "", "", seconds])
    head = [
        "search",
        "twin",
        "updates",
        "searches",
        "runs of each",
        "a run that holds",
        "that fails",
        "a search",
    ]
    return (head, body) if body else None


def _middle(values: Sequence[float]) -> str:
    return f"{median(values):.0f} s" if values else ""
