"""What a margin's report says of twins: how far each training without a game holds, beside the game."""

import math
from collections.abc import Mapping, Sequence

from gcn.study.margin.margins import CEILING
from gcn.study.reports.margin_cells import CELL, Found, Key, Row, cells, missing, name_of, shown
from gcn.study.reports.pages import Table

Margins = Mapping[Key, Found]
KINDS = ("rescaled", "recorded", "yoked", "frozen_d", "random_gradient")  # the registered one first
ABOUT = (
    "Without a game: *rescaled*, D repeats another seed's game, recorded an octave below the margins of both seeds, and"
    " moves as many times farther as this G's learning rate is higher; *recorded*, the same at its recorded speed;"
    " *yoked*, D repeats a game at the same learning rate, which may have failed; *frozen_d*, D keeps its"
    " first weights; *random_gradient*, a random direction at x_hat in place of the adversary's. In brackets octaves"
    " from the game to the twin, over the seeds that both have; above 0, the twin holds at larger learning rates."
)


def of_rows(rows: Sequence[Row]) -> dict[str, Margins]:
    """The margins of each kind of twin, by cell; kinds without any are left out."""
    found = {kind: cells(rows, kind) for kind in KINDS}
    return {kind: own for kind, own in found.items() if own}


def sentences(games: Margins, twins: Mapping[str, Margins]) -> list[str]:
    """A sentence for each kind of twin and weight of the distortion: how far its margins lie from the game's."""
    at, said = CELL.index("mse"), []
    for kind, own in twins.items():
        gaps: dict[str, list[float]] = {}
        for key, found in own.items():
            if key in games and math.isfinite(gap := games[key].less(found)):
                gaps.setdefault(key[at], []).append(gap)
        each = by_weight(gaps, CEILING, "", f" by {CEILING:g} or more")
        if each:
            said.append(f"Octaves from the game's h* to that of the twin `{kind}`: {'; '.join(each)}.")
    return said or [missing("Twins", "stage0_held_twins")]


def by_weight(gains: Mapping[str, Sequence[float]], least: float, unit: str, remark: str) -> list[str]:
    """For each weight of the distortion the span of its gains, and how many are ``least`` octaves or more."""
    return [
        f"{span(own)}{unit} at mse={mse} ({sum(gain >= least for gain in own)} of {len(own)}{remark})"
        for mse, own in sorted(gains.items(), key=lambda item: float(item[0]))
    ]


def table(games: Margins, twins: Mapping[str, Margins]) -> Table | None:
    """A row for each game that has a twin, a column for each kind."""
    kinds, body = list(twins), []
    for key in sorted({key for own in twins.values() for key in own}):
        game = games.get(key)
        row = [name_of(key), "" if game is None else shown(game)]
        for kind in kinds:
            found = twins[kind].get(key)
            gap = math.nan if found is None or game is None else game.less(found)
            text = "" if found is None else shown(found)
            row.append(f"{text} ({gap:+z.1f})" if math.isfinite(gap) else text)
        body.append(row)
    return (["game", "h*", *kinds], body) if body else None


def span(values: Sequence[float]) -> str:
    """``+0.5``, or ``-1.0 to +2.0``."""
    low, high = f"{min(values):+z.1f}", f"{max(values):+z.1f}"
    return low if low == high else f"{low} to {high}"
