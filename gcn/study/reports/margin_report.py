"""The report of a margin study: which settings have room, what the margins are, and what a search costs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.study.design import Study
from gcn.study.margin import margin_exponent, margins
from gcn.study.margin.margins import CEILING
from gcn.study.registered.margin_pilot import CLEAR
from gcn.study.registered.margin_rows import FAILED, SETTING
from gcn.study.registered.margin_samples import TWIN
from gcn.study.reports import exponent_parts, margin_checks, margin_figures, margin_twins
from gcn.study.reports.margin_cells import (
    CELL,
    SGD,
    Found,
    Key,
    Room,
    Row,
    alone,
    cells,
    missing,
    name_of,
    optimizer,
    rate,
    room,
    shown,
)
from gcn.study.reports.margin_twins import by_weight
from gcn.study.reports.pages import Block, Table

QUESTION = (
    "How much faster can a game be trained before it fails, with a distortion, with a trick, with both, and how much "
    "of that is the game's, and not its twin's? The margin h* is the largest learning rate of G that holds."
)
WORDS = (
    "In a *game* a decoder G is trained against a discriminator D. `mse=W` adds W times G's squared error to the"
    " original images, the *distortion*; `r1=10` and the like are tricks. A run *holds* if fresh classifiers tell its"
    " images from photographs hardly better than those of the distortion alone at a low learning rate. The *twin* is"
    " the same training without feedback: D repeats what it did in another seed's game that held"
    f" (`{TWIN}`, see below)."
)
BITS = (
    "Bits of the judge for every run of a game, the largest of its three looks (0: cannot tell reconstructions from"
    " photographs, 1: always right), over the learning rate. Grey: the limit of each seed; a run at or below it"
    " holds."
)
BESIDE = (
    "Margins of each game, of its twins and of the distortion alone. Marks on one line are those of one seed, the"
    " smallest seed on top. An arrow stands at an end of the grid beyond which a margin lies."
)
AGAINST = "Margin against exponent, a mark for each game, means over seeds."
MARGINS = (
    f"h* as a learning rate; after the stroke that of the twin `{TWIN}`. Up to three seeds are shown one by one, more"
    " as their mean. *Room*: octaves (factors of two) from the game to the twin, over the seeds of both. A margin"
    " is known to a quarter octave, and to a half where it comes from every second value of the grid (`halves`)."
)
ROOM = (
    f"A game that fails less than {CEILING:g} octave below its twin `{TWIN}`, or below the distortion alone, has a"
    " *ceiling*: no gain could be told from what needs no game. The distortion alone is measured with `mse=1`, since"
    " its weight changes no step of Adam; it is compared with games that have its optimizer."
)
WEIGHTS = (
    "a* as a weight `adv`, for each seed, at an eighth of the learning rate that the distortion alone bears, one for"
    " all games of a setting and seed. *Room*: octaves from the game to the twin."
)
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
    rows = [row for row in stored if row["verdict"] != FAILED]
    margins.check_references(rows, SETTING)
    games, kinds, distortion = cells(rows), margin_twins.of_rows(rows), alone(rows)
    twins = kinds.get(TWIN, {})
    rates = margin_exponent.read(table)
    measured, at_rate = exponent_parts.means(rates), exponent_parts.where(rates)
    rooms = {key: room(found, twins.get(key), distortion.get(optimizer(key))) for key, found in games.items()}
    with_rates = {row["seed"] for row in rates}
    ranked = cells([row for row in rows if row["seed"] in with_rates])
    lambdas = {key: own["exponent"] for key, own in measured.items() if "exponent" in own}
    drawn = [
        (margin_figures.beside(games, kinds, distortion, folder / "margins"), BESIDE),
        (margin_figures.bits(rows, folder / "bits"), BITS),
        (margin_figures.against(lambdas, ranked, at_rate, folder / "exponents"), AGAINST),
    ]
    figures = [[(path, caption)] if path is not None else [] for path, caption in drawn]
    repeated = cells(rows, length="4N")
    return [
        Block(
            "In short",
            [
                WORDS,
                *_short(games, rooms, distortion),
                *margin_twins.sentences(games, kinds),
                *_tricks(games),
            ],
            None,
            figures[0],
        ),
        Block("Bits over the learning rate", [], None, figures[1]),
        Block("What do the judges see?", [margin_checks.JUDGES], margin_checks.judges(rows)),
        Block("Margins", [MARGINS], _margins(games, twins)),
        Block("What do the twins bear?", [margin_twins.ABOUT], margin_twins.table(games, kinds)),
        Block("Which games have room?", [ROOM], _rooms(games, rooms, twins, distortion)),
        Block("With how large a weight of the adversary?", [WEIGHTS], _weights(rows)),
        Block("Is holding monotone?", margin_checks.monotone(cells(rows, methods=margin_checks.WHOLE))),
        Block("Is a margin a threshold, or a drift that takes time?", *margin_checks.longer(games, repeated)),
        Block("Do a ramp and a bisection find the same?", margin_checks.methods(rows)),
        *exponent_parts.blocks(measured, ranked, figures[2], at_rate),
        Block("Spread over seeds", margin_checks.spread(games)),
        Block("Cost", [margin_checks.COST], margin_checks.cost(rows, rates)),
        Block("What was run", [*_design(study, rows), *_failures(failed)]),
        Block("What this study may not say", study.cannot_say),
    ]


def _short(games: Margins, rooms: Mapping[Key, Room], distortion: Mapping[Key, Found]) -> list[str]:
    """How far margins reach by the weight of the distortion, and which games have room."""
    said = []
    by_group: dict[
        tuple[bool, str], list[Found]
    ] = {}  # plain SGD apart: its learning rates have another scale
    for key, found in games.items():
        level = dict(zip(CELL, key, strict=True))
        by_group.setdefault((level["epsilon"] == SGD, level["mse"]), []).append(found)
    for (sgd, mse), own in sorted(by_group.items(), key=lambda item: (item[0][0], float(item[0][1]))):
        seeds = [octaves for found in own for octaves in found.octaves.values()]
        low, high = min(seeds), max(seeds)
        text = f"from {rate(low)} to {rate(high)}" if low != high else rate(low)
        name = f"mse={mse}" + ", plain SGD in place of Adam" * sgd
        said.append(f"{name}: h* is {text} in {len(own)} game{'s' * (len(own) > 1)}, over their seeds.")
    if distortion:
        limits = ", ".join(
            f"{rate(found.mean)} with β₁ = {beta1}" for (beta1, _), found in distortion.items()
        )
        said.append(f"The distortion alone holds up to {limits}.")
    else:
        said.append(missing("The distortion alone", "stage0_alone"))
    words = Counter(one.word for one in rooms.values())
    if set(words) - {"not measured yet"}:
        with_room = words.pop("room", 0)
        others = ", ".join(f"{number} {word}" for word, number in words.most_common())
        said.append(
            f"{with_room} of {len(rooms)} games have room for a gain{f' (the others: {others})' * bool(others)}."
        )
    return said


def _tricks(games: Margins) -> list[str]:
    """What each trick changes, without and beside a distortion."""
    trick, said = CELL.index("trick"), []
    for name in dict.fromkeys(key[trick] for key in games if key[trick] != "none"):
        gains: dict[str, list[float]] = {}
        for key, found in games.items():
            plain = games.get((*key[:trick], "none", *key[trick + 1 :]))
            if key[trick] != name or plain is None:
                continue
            gain = plain.less(found)
            if math.isfinite(gain):
                gains.setdefault(key[CELL.index("mse")], []).append(gain)
        each = by_weight(gains, CLEAR, " octaves", f" games gain {CLEAR} or more")
        if each:
            said.append(f"{name} changes h* by {'; '.join(each)}.")
    return said


def _margins(games: Margins, twins: Margins) -> Table | None:
    """A row for each loss, trick and optimizer; a column for each weight of the distortion."""
    at = CELL.index("mse")
    weights = sorted({key[at] for key in games}, key=float)
    body = []
    for key in sorted({(*key[:at], "", *key[at + 1 :]) for key in games}):
        row = [name_of(key, without=("mse",))]
        for mse in weights:
            cell = (*key[:at], mse, *key[at + 1 :])
            game, twin = games.get(cell), twins.get(cell)
            text = "" if game is None else shown(game)
            if game is not None and twin is not None:
                text += f" / {shown(twin)}"
                gap = game.less(twin)
                text += f" (room {gap:+.1f})" if math.isfinite(gap) else ""
            row.append(text)
        body.append(row)
    head = ["game", *(f"mse={mse}" for mse in weights)]
    return (head, body) if body else None


def _weights(rows: Sequence[Row]) -> Table | None:
    """A row for each game whose largest weight of the adversary was measured."""
    games, twins = (cells(rows, twin, axis="adv") for twin in ("none", TWIN))
    body = []
    for key, game in sorted(games.items()):
        twin = twins.get(key)
        room = "" if twin is None else f"{game.less(twin):+.1f}"
        body.append([name_of(key), _adv(game), "" if twin is None else _adv(twin), room])
    return (["game", "a*", "twin's", "room"], body) if body else None


def _adv(found: Found) -> str:
    return ", ".join(f"{2**octaves:.3g}" for _, octaves in sorted(found.octaves.items()))


def _rooms(
    games: Margins, rooms: Mapping[Key, Room], twins: Margins, distortion: Mapping[Key, Found]
) -> Table | None:
    """A row for each game that has a twin or the distortion alone beside it."""
    body = []
    for key, one in sorted(rooms.items()):
        if one.word != "not measured yet":
            beside = (twins.get(key), distortion.get(optimizer(key)))
            margins = ["" if found is None else shown(found) for found in (games[key], *beside)]
            gaps = [f"{gap:+.1f}" if math.isfinite(gap) else "" for gap in (one.twin, one.alone)]
            body.append([name_of(key), *margins, *gaps, one.word])
    head = [
        "game",
        "h*",
        "twin's",
        "distortion alone's",
        "octaves to the twin",
        "to the distortion alone",
        "room?",
    ]
    return (head, body) if body else None


def _design(study: Study, rows: Sequence[Row]) -> list[str]:
    seeds = sorted({row["seed"] for row in rows})
    commits = sorted({str(row["commit"]) for row in rows})
    distinct = {row["run"]: row["seconds"] for row in rows}  # searches of one game share runs
    seconds: Any = sum(distinct.values())
    return [
        f"{len(distinct)} runs of {study.protocol.updates} updates (or as many as the table says), seeds"
        f" {', '.join(map(str, seeds))}, {seconds / 3600:.1f} hours by the clock; commits {', '.join(commits)}.",
        f"Every run: `{' '.join(study.protocol.arm)}` of `scripts/train.py`, with the words of its row.",
    ]


def _failures(failed: Sequence[Row]) -> list[str]:
    """What could not be trained, and why."""
    return [f"Not trained: {row['name']} ({row['verdict_reason']})." for row in failed]
