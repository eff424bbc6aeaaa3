"""The report of a margin study: which settings have room, what the margins are, and what a search costs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import spearmanr

from gcn.study.design import Study
from gcn.study.margin import margin_exponent
from gcn.study.margin.margins import CEILING
from gcn.study.registered.margin_pilot import CLEAR
from gcn.study.reports import margin_figures
from gcn.study.reports.margin_cells import CELL, Found, Key, Row, alone, cells, name_of, rate
from gcn.study.reports.pages import Block, Table

QUESTION = (
    "How much faster can a game be trained before it fails, with a distortion, with a trick, with both, and how much "
    "of that is the game's, and not its twin's? The margin h* is the largest learning rate of G that holds."
)
WHOLE = ("grid", "halves")  # searches that try every value of a grid, or every second
FAILED = "failed"  # verdict of an arm that could not be trained: it has no numbers
QUARTER = 0.25  # octaves: the step of a grid
COMMAND = "python scripts/study.py study=margin data.root=data/BSDS500 grids={}"
Margins = Mapping[Key, Found]


def blocks(study: Study, stored: Sequence[Row], table: Path, folder: Path) -> list[Block]:
    """The sections, with their figures in ``folder``.

    Args:
        study: whose runs these are.
        stored: rows of its table.
        table: folder of the table, for its exponents.
        folder: of the figures.
    """
    failed = [row for row in stored if row["verdict"] == FAILED]
    stored = [row for row in stored if row["verdict"] != FAILED]
    games, twins, distortion = cells(stored), cells(stored, "yoked"), alone(stored)
    rates = margin_exponent.read(table)
    pairs = [
        (row["exponent"], games[key].mean)
        for row in rates
        if (key := _key(row)) in games and _finite(row, games)
    ]
    drawn = [
        (
            margin_figures.bits(stored, folder / "bits.png"),
            "Bits of the judge (0: cannot tell reconstructions from photographs, 1: always right) for every run,"
            " largest of its three looks. Grey: the limit b₀ + δ; a run below it holds.",
        ),
        (
            margin_figures.beside(games, twins, distortion, folder / "margins.png"),
            "Margins of each game, of its yoked twin and of the distortion alone; a dot for each seed.",
        ),
        (
            margin_figures.against(pairs, folder / "exponents.png"),
            "Margin against exponent, a dot for each game.",
        ),
    ]
    figures = [[(path, caption)] if path is not None else [] for path, caption in drawn]
    return [
        Block("In short", [*_short(games, twins, distortion), *_tricks(games)], None, figures[0]),
        Block("Margins", [MARGINS], _margins(games, twins, distortion), figures[1]),
        Block("Is holding monotone?", _monotone(cells(stored, methods=WHOLE))),
        Block("Is a margin a threshold, or a drift that takes time?", *_longer(games, cells(stored, length="4N"))),
        Block("Do a ramp and a bisection find the same?", _methods(stored)),
        Block("Does the exponent predict the margin?", *_exponents(rates, pairs), figures[2]),
        Block("Spread over seeds", _spread(games)),
        Block("Cost", [COST], _cost(stored)),
        Block("What was run", [*_design(study, stored), *_failures(failed), *study.cannot_say]),
    ]  # fmt: skip


MARGINS = (
    "h* as a learning rate; after the stroke that of the yoked twin: the same training, in which D repeats the weights"
    " it had in another seed's game. *Room*: octaves (factors of two) from the game to the twin. Means over seeds."
)
COST = "Seconds of wall time a run, by kind of search; runs that fail end earlier than runs that hold."


def _missing(what: str, grid: str) -> str:
    return f"{what}: not measured yet; `{COMMAND.format(grid)}` measures it."


def _finite(row: Row, games: Margins) -> bool:
    return row["exponent"] is not None and math.isfinite(games[_key(row)].mean)


def _key(row: Row) -> Key:
    return tuple(str(row[name]) for name in CELL)


def _short(games: Margins, twins: Margins, distortion: Mapping[str, Found]) -> list[str]:
    """How far margins reach by the weight of the distortion, and which games have a ceiling."""
    said = []
    at = CELL.index("mse")
    for mse in sorted({key[at] for key in games}, key=float):
        own = [found.mean for key, found in games.items() if key[at] == mse]
        low, high = min(own), max(own)
        text = f"from {rate(low)} to {rate(high)}" if low != high else f"{rate(low)} in all of them"
        said.append(f"mse={mse}: h* is {text} ({len(own)} games).")
    known = {key: twins[key].mean - games[key].mean for key in games if key in twins}
    if known:
        near = [name_of(key) for key, room in known.items() if room < CEILING]
        said.append(
            f"{len(known) - len(near)} of {len(known)} games fail an octave or more below their yoked twin, so that"
            " a gain could show there."
            + (f" No room (less than an octave): {'; '.join(near)}." if near else "")
        )
    else:
        said.append(_missing("Yoked twins", "stage0_twins"))
    if distortion:
        limits = ", ".join(f"{rate(found.mean)} with β₁ = {beta1}" for beta1, found in distortion.items())
        said.append(
            f"The distortion alone holds up to {limits}: no game beside a distortion can be expected above that."
        )
    else:
        said.append(_missing("The distortion alone", "stage0_alone"))
    return said


def _tricks(games: Margins) -> list[str]:
    """What each trick changes, without and beside a distortion."""
    trick, said = CELL.index("trick"), []
    for name in dict.fromkeys(key[trick] for key in games if key[trick] != "none"):
        gains: dict[str, list[float]] = {}
        for key, found in games.items():
            plain = games.get((*key[:trick], "none", *key[trick + 1 :]))
            if (
                key[trick] == name
                and plain is not None
                and math.isfinite(found.mean)
                and math.isfinite(plain.mean)
            ):
                gains.setdefault(key[CELL.index("mse")], []).append(found.mean - plain.mean)
        each = [
            f"{min(own):+.1f} to {max(own):+.1f} octaves at mse={mse} ({sum(g >= CLEAR for g in own)} of {len(own)}"
            f" games gain {CLEAR} or more)"
            for mse, own in sorted(gains.items(), key=lambda item: float(item[0]))
        ]
        if each:
            said.append(f"{name} changes h* by {'; '.join(each)}.")
    return said


def _margins(games: Margins, twins: Margins, distortion: Mapping[str, Found]) -> Table | None:
    """A row for each loss, trick and optimizer; a column for each weight of the distortion."""
    at = CELL.index("mse")
    weights = sorted({key[at] for key in games}, key=float)
    body = []
    for key in sorted({(*key[:at], "", *key[at + 1 :]) for key in games}):
        row = [name_of(key, without=("mse",))]
        for mse in weights:
            cell = (*key[:at], mse, *key[at + 1 :])
            game, twin = games.get(cell), twins.get(cell)
            text = "" if game is None else f"{'≥ ' * game.above}{rate(game.mean)}"
            if game is not None and twin is not None:
                text += f" / {rate(twin.mean)}"
                room = twin.mean - game.mean
                text += f" (room {room:+.1f})" if math.isfinite(room) else ""
            row.append(text)
        body.append(row)
    head = ["game", *(f"mse={mse}" for mse in weights)]
    return (head, body) if body else None


def _monotone(whole: Margins) -> list[str]:
    if not whole:
        return [_missing("Whole grids", "stage0_halves")]
    broken = [name_of(key) for key, found in whole.items() if found.monotone < len(found.octaves)]
    finest = "quarter" if all(found.method == "grid" for found in whole.values()) else "half"
    return [
        f"{len(whole) - len(broken)} of {len(whole)} whole grids, in {finest} octaves, are monotone: below the margin"
        " every learning rate holds, and above it none."
        + (f" A higher value holds again in: {'; '.join(broken)}." if broken else "")
    ]


def _longer(games: Margins, longer: Margins) -> tuple[list[str], Table | None]:
    both = [key for key in games if key in longer and math.isfinite(games[key].mean + longer[key].mean)]
    if not both:
        return [_missing("Runs of 4N updates", "stage0_longer")], None
    body = [
        [
            name_of(key),
            rate(games[key].mean),
            rate(longer[key].mean),
            f"{longer[key].mean - games[key].mean:+.1f}",
        ]
        for key in both
    ]
    said = [
        "A threshold does not depend on the number of updates. Where a training fails because it has moved far enough,"
        " four times as many updates lower the margin by two octaves."
    ]
    return said, (["game", "h* at N updates", "h* at 4N", "octaves"], body)


def _methods(stored: Sequence[Row]) -> list[str]:
    whole, said = cells(stored, methods=WHOLE), []
    for method in ("bisection", "ramp"):
        other = cells(stored, methods=(method,))
        both = [key for key in whole if key in other and math.isfinite(whole[key].mean + other[key].mean)]
        if len(both) < 3:
            if method == "ramp":
                said.append(_missing("Ramps", "stage0_ramps"))
            continue
        order = spearmanr([whole[key].mean for key in both], [other[key].mean for key in both]).statistic
        far = max(both, key=lambda key: abs(other[key].mean - whole[key].mean))
        shift = fmean(other[key].mean - whole[key].mean for key in both)
        said.append(
            f"A {method} orders {len(both)} cells as the whole grid does with a rank correlation of {order:.2f}; it is"
            f" {shift:+.1f} octaves from it on average, and {other[far].mean - whole[far].mean:+.1f} at most"
            f" ({name_of(far)})."
        )
    return said


def _exponents(rows: Sequence[Row], pairs: Sequence[tuple[float, float]]) -> tuple[list[str], Table | None]:
    if not rows:
        return [_missing("Exponents", "stage0_exponents")], None
    said = []
    if len(pairs) > 3:
        order = spearmanr([one for one, _ in pairs], [other for _, other in pairs]).statistic
        said.append(
            f"Rank correlation of Λ at a learning rate of 1e-4 with h*: {order:.2f} over {len(pairs)} games."
        )
    body = [
        [name_of(_key(row)), str(row["seed"]), *(_number(row[name]) for name in NAMES)]
        for row in sorted(rows, key=_key)
    ]
    return said, (["game", "seed", "Λ", "Λ of G alone", "Λ of D alone", "coupling"], body)


NAMES = ("exponent", "exponent_g", "exponent_d", "share_of_the_game")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _spread(games: Margins) -> list[str]:
    several = [list(found.octaves.values()) for found in games.values() if len(found.octaves) > 1]
    known = [values for values in several if all(map(math.isfinite, values))]
    if not known:
        return [_missing("Several seeds", "stage1_mse")]
    pooled = math.sqrt(fmean(stdev(values) ** 2 for values in known))
    return [
        f"Deviation over seeds, pooled over {len(known)} cells: {pooled:.2f} octaves; the grid's step is {QUARTER}."
    ]


def _cost(stored: Sequence[Row]) -> Table | None:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in stored:
        groups.setdefault((row["method"], row["twin"], row["length"]), []).append(row)
    body = []
    for (method, twin, length), own in groups.items():
        held, failed = (sorted(r["seconds"] for r in own if bool(r["holds"]) is way) for way in (True, False))
        body.append([method, twin, length, str(len(own)), _middle(held), _middle(failed)])
    head = ["search", "twin", "updates", "runs", "median of runs that hold", "of runs that fail"]
    return (head, body) if body else None


def _middle(values: Sequence[float]) -> str:
    return f"{values[len(values) // 2]:.0f} s" if values else ""


def _design(study: Study, stored: Sequence[Row]) -> list[str]:
    seeds = sorted({row["seed"] for row in stored})
    commits = sorted({str(row["commit"]) for row in stored})
    seconds: Any = sum(row["seconds"] for row in stored)
    return [
        f"{len(stored)} runs of {study.protocol.updates} updates (or as many as the table says), seeds"
        f" {', '.join(map(str, seeds))}, {seconds / 3600:.1f} hours of wall time; commits {', '.join(commits)}.",
        f"Every run: `{' '.join(study.protocol.arm)}` of `scripts/train.py`, with the words of its row.",
    ]


def _failures(failed: Sequence[Row]) -> list[str]:
    """What could not be trained, and why."""
    return [f"Not trained: {row['name']} ({row['verdict_reason']})." for row in failed]
