"""What a margin's report says of exponents: do they predict margins, and which part does each ingredient change?"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from gcn.study.margin.rank_correlation import FEWEST, RankCorrelation, rank_correlation
from gcn.study.reports.margin_cells import CELL, Found, Key, Row, missing, name_of
from gcn.study.reports.pages import Block, Table

NAMES = ("exponent", "exponent_g", "exponent_d", "share_of_the_game")
HEAD = ("Λ", "Λ of G alone", "Λ of D alone", "coupling")
ABOUT = (
    "Λ is the rate per update at which two copies of a training, a tiny distance apart, separate (above 0) or come"
    " together (below 0). *Of G alone*: the same with D's weights replayed; *of D alone*: with G's. *Coupling*: Λ minus"
    " the larger of the two."
)
CHANGES = (
    "Mean change over all pairs of games that differ in this ingredient alone, with the smallest and the largest change"
    " in brackets; h* in octaves."
)
PLAIN = {
    "loss": "ns", "mse": "0", "trick": "none", "control": "none", "beta1": "0", "epsilon": "1e-8", "ratio": "1",
}  # fmt: skip
Means = Mapping[Key, Mapping[str, float]]
Pair = tuple[Mapping[str, float], Mapping[str, float]]  # of a game without an ingredient and with it


def means(rows: Sequence[Row]) -> dict[Key, dict[str, float]]:
    """Exponents of each game, means over seeds; what was not measured is left out."""
    found: dict[Key, dict[str, list[float]]] = {}
    for row in rows:
        own = found.setdefault(tuple(str(row[name]) for name in CELL), {})
        for name in NAMES:
            if row[name] is not None and math.isfinite(row[name]):
                own.setdefault(name, []).append(row[name])
    return {key: {name: fmean(values) for name, values in own.items()} for key, own in found.items()}


def where(rows: Sequence[Row]) -> str:
    """At which learning rate of G exponents were measured, in words."""
    rates = sorted({row["h"] for row in rows})
    if len(rates) == 1:
        return f"at a learning rate of {rates[0]:.0e}"
    return f"at learning rates from {rates[0]:.1e} to {rates[-1]:.1e}" if rates else "at a low learning rate"


def relation(measured: Means, games: Mapping[Key, Found], at_rate: str) -> list[str]:
    """Sentences on the rank correlation of Λ with h*, over all games and over those of each weight of mse."""
    both = [key for key in measured if key in games and "exponent" in measured[key]]
    both = [key for key in both if math.isfinite(games[key].mean)]

    def correlation(keys: Sequence[Key]) -> RankCorrelation | None:
        return rank_correlation([measured[k]["exponent"] for k in keys], [games[k].mean for k in keys])

    found, at = correlation(both), CELL.index("mse")
    if found is None:
        return [f"Both Λ and h* are known of {len(both)} games; a rank correlation needs {FEWEST}."]
    verdict = "predicts" if found.predicts else "does not predict"
    within = {
        weight: correlation([key for key in both if key[at] == weight])
        for weight in sorted({key[at] for key in both}, key=float)
    }
    known = [f"{one.text} at mse={weight}" for weight, one in within.items() if one is not None]
    return [
        f"Λ {at_rate} {verdict} h*, by the plan's rule: the rank correlation over {len(both)} games is"
        f" {found.text}.",
        *([f"Among games of the same weight: {'; '.join(known)}."] if known else []),
    ]


def blocks(
    measured: Means, games: Mapping[Key, Found], figures: Sequence[tuple[Path, str]], at_rate: str
) -> list[Block]:
    """The sections about exponents.

    Args:
        measured: exponents of each game.
        games: margins of the games.
        figures: of margins against exponents.
        at_rate: where the exponents were measured, see :func:`where`.
    """
    title = "Does the exponent predict the margin?"
    if not measured:
        return [Block(title, [missing("Exponents", "stage0_exponents")])]
    body = [[name_of(key), *map(_number, map(own.get, NAMES))] for key, own in sorted(measured.items())]
    said, changes = _changes(measured, games)
    return [
        Block(title, [ABOUT, *relation(measured, games, at_rate)], None, figures),
        Block("Which part of the exponent does each ingredient change?", said, changes),
        Block(
            "Exponents of all games", ["Means over seeds, per update."], (("game", *HEAD), body), folded=True
        ),
    ]


def _changes(measured: Means, games: Mapping[Key, Found]) -> tuple[list[str], Table | None]:
    """Sentences and a row for each ingredient."""
    values = {
        key: {**own, "h": games[key].mean if key in games else math.nan} for key, own in measured.items()
    }
    body = []
    for place, factor in enumerate(CELL):
        for level in sorted({key[place] for key in values if key[place] != PLAIN[factor]}):
            pairs = [
                (values[plain], values[key])
                for key in values
                if key[place] == level
                and (plain := (*key[:place], PLAIN[factor], *key[place + 1 :])) in values
            ]
            if pairs:
                cells = [_change(pairs, name) for name in (*NAMES, "h")]
                body.append([f"{factor} {PLAIN[factor]} → {level}", str(len(pairs)), *cells])
    table = (["ingredient", "pairs", *HEAD, "h*"], body) if body else None
    return [CHANGES] * bool(body) + _larger(measured), table


def _change(pairs: Sequence[Pair], name: str) -> str:
    changes = [after[name] - before[name] for before, after in pairs if name in before and name in after]
    known = [change for change in changes if math.isfinite(change)]
    digits = 1 if name == "h" else 3
    if not known:
        return ""
    middle, low, high = (f"{value:+z.{digits}f}" for value in (fmean(known), min(known), max(known)))
    return f"{middle} [{low}, {high}]"


def _larger(measured: Means) -> list[str]:
    """For each weight of the distortion, in how many games D alone has the larger exponent."""
    said, at = [], CELL.index("mse")
    for weight in sorted({key[at] for key in measured}, key=float):
        own = [
            e for key, e in measured.items() if key[at] == weight and {"exponent_g", "exponent_d"} <= e.keys()
        ]
        larger = sum(e["exponent_d"] > e["exponent_g"] for e in own)
        if own:
            said.append(
                f"mse={weight}: D alone has a larger exponent than G alone in {larger} of {len(own)} games."
            )
    return said


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
