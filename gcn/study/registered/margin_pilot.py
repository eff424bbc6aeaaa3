"""Values of stage 1 for the plan of the margin study, computed from the margins of stages 0 and 1.

The rules are those of ``docs/study/margin/plan.md``. What the margins do not show stays null.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Any

import numpy as np

from gcn.study.arms import partner
from gcn.study.margin.rank_correlation import FEWEST, RankCorrelation, rank_correlation
from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import GAME, TWIN, Cell, Margin, Margins, Reading, a_star, h_star

NEAR = 0.25  # octaves: of weights whose margins are this close, the smallest is taken
CLEAR = 0.5  # octaves by which one margin must show a trick's gain better than the other
ROOM = 1.5  # octaves between a* of the twin and of the game at mu*
MOST = 4  # settings of stage 2
ENOUGH = 3  # seeds of stage 1
WRONG = "wrong"  # the control that holds G at a wrong place, as stiffly as μ* holds it at the image

NEEDS = {
    "spread": "games at the smallest weight of mse and others, two seeds or more",
    "common": "the same, in two settings or more",
    "exponent_predicts": f"exponents.parquet and h* of {FEWEST} games or more",
    "mse_star": "h* of games with a distortion in every setting",
}
Deviations = dict[tuple[str, int], float]  # of a difference from its mean over seeds, by setting and seed


def stage_1(rows: Sequence[Margin], plan: Plan, others: Sequence[Margin] = ()) -> dict[str, Any]:
    """The block ``stage_1`` of ``plan.yaml``.

    Args:
        rows: margins of the plan's settings.
        plan: the registered plan.
        others: margins of other settings, whose seeds were used as well, and those of the games that twins repeat.
    """
    table, read = Margins(rows), _Means(rows)
    star = {setting: read.star(setting, plan.weights[0]) for setting in plan.settings}
    known = all(weight is not None for weight in star.values())
    spread, common = _spread(rows, table, plan)
    relation = exponent_relation(rows)
    return {
        "seeds_used": sorted({seed for m in (*rows, *others) for seed in (m.seed, partner(m.seed))}),
        "spread": spread,
        "common": common,
        "exponent_predicts": None if relation is None else relation.predicts,
        "mse_star": star if known else None,
        "controls": {name: read.controls(name, star) for name in plan.controls},
        "assay": {trick: _assay(trick, read, star, plan) for trick in plan.assay},
    }


def exponent_relation(rows: Sequence[Margin]) -> RankCorrelation | None:
    """Rank correlation over games of the exponent and h*, means over seeds; None with too few games.

    Nothing is fitted to the margins, so all games count as held out.
    """
    cells: dict[tuple[str, float, str, str], list[tuple[float, float]]] = {}
    for m in rows:
        if m.twin == GAME and not math.isnan(m.h_star) and not math.isnan(m.exponent):
            cells.setdefault((m.setting, m.mse, m.trick, m.control), []).append((m.exponent, m.h_star))
    return rank_correlation(*([fmean(pair[i] for pair in own) for own in cells.values()] for i in (0, 1)))


def missing(block: Mapping[str, Any], relation: RankCorrelation | None) -> list[str]:
    """A line for each value of the block that the margins do not show, with what it needs, and one for the exponent."""
    found = [
        f"{name}: not measured; it needs {needs}" for name, needs in NEEDS.items() if block[name] is None
    ]
    found += [
        f"controls.{name}: not measured; it needs a* of a game with it in every setting"
        for name, value in block["controls"].items()
        if value is None
    ]
    for trick, said in block["assay"].items():
        lacks = [name for name, value in said.items() if value is None]
        if "level" in lacks:
            found.append(
                f"assay.{trick}: not measured; it needs margins with and without it beside the smallest weight of mse"
            )
        elif lacks:
            found.append(f"assay.{trick}.settings: none has room at mu*, or it is not measured")
    if relation is not None:
        found.append(
            f"exponent_predicts: rank correlation {relation.value:.2f}, 95 % interval "
            f"[{relation.low:.2f}, {relation.high:.2f}], {relation.cells} games"
        )
    return found


def rooms_of_tricks(rows: Sequence[Margin], star: Mapping[str, float] | None) -> list[str]:
    """A line for each setting with a known μ*: octaves of a* from the game to its twin, which tricks need."""
    read = _Means(rows)
    return [
        f"room in {setting} at mse={weight:g}: {room:+.2f} octaves of a*, mean over seeds; {ROOM:g} is needed"
        " for tricks"
        for setting, weight in (star or {}).items()
        if not math.isnan(room := read.room(setting, weight))
    ]


def rooms(rows: Sequence[Margin], plan: Plan) -> list[str]:
    """What is known of the candidates' room, which H1 needs, and the settings that follow by the rule of plan.md.

    Args:
        rows: margins of the candidates.
        plan: the registered plan.

    Returns:
        A line for each candidate: octaves from the game to its twin at the smallest weight; and one for the settings.
    """
    table, smallest, said, chosen = Margins(rows), Cell(plan.weights[0]), list[str](), list[str]()
    known = True
    for setting in plan.candidates:
        gap = table.difference(h_star, smallest._replace(twin=TWIN), smallest, setting)
        number = "not measured"
        if seeds := gap.seeds:
            octaves = median(seeds.values())
            number = f"{octaves:+.2f} octaves, median of {len(seeds)} seeds"
            if octaves >= plan.ceiling and len(seeds) >= ENOUGH:
                chosen.append(setting)
        known &= len(seeds) >= ENOUGH or len(chosen) >= MOST
        said.append(f"room in {setting} at mse={smallest.mse:g}: {number}; {plan.ceiling:g} is needed")
    if not known:
        said.append("settings: open, because not all candidates are measured with three seeds")
    elif chosen:
        said.append(f"settings: {', '.join(chosen[:MOST])}")
    else:
        said.append("settings: as they are, for no candidate has room")
    return said


class _Means:
    """Means over seeds of the games' and twins' margins."""

    def __init__(self, rows: Sequence[Margin]) -> None:
        found: dict[tuple[str, Cell], list[Margin]] = {}
        for m in rows:
            found.setdefault((m.setting, Cell(m.mse, m.trick, m.control, m.twin)), []).append(m)
        self.cells: Mapping[tuple[str, Cell], list[Margin]] = found

    def mean(self, read: Reading, setting: str, cell: Cell) -> float:
        """Mean margin, octaves; NaN without any."""
        values = [v for m in self.cells.get((setting, cell), []) if not math.isnan(v := read(m))]
        return fmean(values) if values else math.nan

    def star(self, setting: str, above: float) -> float | None:
        """The smallest weight above this one whose mean h* is near the largest; None without any weight."""
        weights = sorted(
            {c.mse for s, c in self.cells if s == setting and c == Cell(c.mse) and c.mse > above}
        )
        means = {w: h for w in weights if not math.isnan(h := self.mean(h_star, setting, Cell(w)))}
        return next((w for w, h in means.items() if h >= max(means.values()) - NEAR), None)

    def controls(self, name: str, star: Mapping[str, float | None]) -> dict[str, str] | None:
        """A control's level in each setting: of ``wrong`` that of μ*, of others the one with the largest mean a*."""
        found = {}
        for setting, weight in star.items():
            means = {
                cell.control: a
                for s, cell in self.cells
                if (s, cell.control.partition("=")[0], cell.twin) == (setting, name, GAME)
                and not math.isnan(a := self.mean(a_star, setting, cell))
            }
            if name == WRONG:
                level = None if weight is None else f"{WRONG}={weight:g}"
                means = {level: means[level]} if level in means else {}
            if not means:
                return None
            found[setting] = max(means, key=means.__getitem__)
        return found

    def gain(self, read: Reading, level: str, plan: Plan) -> float:
        """Mean over settings of what a trick adds beside the smallest weight; NaN if it was not measured anywhere."""
        nothing, weak = Cell(plan.weights[0]), Cell(plan.weights[0], level)
        gains = [self.mean(read, s, weak) - self.mean(read, s, nothing) for s in plan.settings]
        known = [g for g in gains if not math.isnan(g)]
        return fmean(known) if known else math.nan

    def room(self, setting: str, star: float | None) -> float:
        """Octaves between a* of the twin and of the game at mu*; NaN if it was not measured."""
        if star is None:
            return math.nan
        return self.mean(a_star, setting, Cell(star, twin=TWIN)) - self.mean(a_star, setting, Cell(star))


def _assay(trick: str, read: _Means, star: Mapping[str, float | None], plan: Plan) -> dict[str, Any]:
    """Level with the largest gain, the margin on which it shows, and the settings with room."""
    levels = dict.fromkeys(c.trick for _, c in read.cells if c.trick.split("=")[0] == trick)
    gains = {}
    for level in levels:
        h, a = (read.gain(r, level, plan) for r in (h_star, a_star))
        known = [g for g in (h, a) if not math.isnan(g)]
        if known:
            gains[level] = (fmean(known), h, a)
    if not gains:
        return {"level": None, "endpoint": None, "settings": None}
    level = max(gains, key=lambda one: gains[one][0])
    _, h, a = gains[level]
    endpoint = "h" if h >= a + CLEAR else "a" if a >= h + CLEAR else "either"
    settings = [s for s in plan.settings if read.room(s, star[s]) >= ROOM]
    return {"level": level, "endpoint": endpoint, "settings": settings or None}


def _spread(rows: Sequence[Margin], table: Margins, plan: Plan) -> tuple[float | None, float | None]:
    """Deviation over seeds of paired differences, pooled; their correlation between settings of a seed."""
    found = list(_deviations(rows, table, plan))
    squares = sum(d * d for own, _ in found for d in own.values())
    freedom = sum(n for _, n in found)
    if not freedom:
        return None, None
    products, variances = [], []
    for own, _ in found:
        for (s, seed), (t, other) in combinations(own, 2):
            if seed == other and s != t:
                products.append(own[s, seed] * own[t, other])
                variances.append((own[s, seed] ** 2 + own[t, other] ** 2) / 2)
    common = float(np.clip(sum(products) / sum(variances), 0, 1)) if sum(variances) else None
    return round(math.sqrt(squares / freedom), 3), None if common is None else round(common, 2)


def _deviations(rows: Sequence[Margin], table: Margins, plan: Plan) -> Iterator[tuple[Deviations, int]]:
    """For each game and margin: differences to the game at the smallest weight, minus their means over seeds."""
    nothing = Cell(plan.weights[0])
    cells = dict.fromkeys(Cell(m.mse, m.trick, m.control) for m in rows if m.twin == "none")
    for cell in cells:
        for read in (h_star, a_star):
            if cell == nothing:
                continue
            own: Deviations = {}
            freedom = 0
            for setting in plan.settings:
                by_seed = table.difference(read, cell, nothing, setting).seeds
                if len(by_seed) > 1:
                    middle = fmean(by_seed.values())
                    own |= {(setting, seed): v - middle for seed, v in by_seed.items()}
                    freedom += len(by_seed) - 1
            yield own, freedom
