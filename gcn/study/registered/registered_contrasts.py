"""The registered contrasts of the margin study, one by one: which margins each is computed from, in which order."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gcn.study.registered.margin_plan import Assay, Plan
from gcn.study.registered.margin_samples import (
    GAME,
    TWIN,
    Cell,
    Margins,
    Place,
    Reading,
    Sample,
    a_star,
    coupling,
    h_star,
)

READINGS: Mapping[str, Reading] = {"h": h_star, "a": a_star}
OCTAVES, PER_UPDATE = "octaves", "per update"
ADDS, HARMS = "adds", "harms"
COSTS, HELPS = "costs", "helps"


class Step(NamedTuple):
    """A registered contrast.

    Attributes:
        chain: contrasts that are tested one after the other, sharing a part of the error rate.
        name: within the chain.
        claim: ``rise``, the number is positive, or ``equal``, it is smaller than the plan's threshold.
        contrary: words where a number that should be ``equal`` lies above the threshold, and below minus it.
        samples: endpoint to its numbers; two where either endpoint may show the effect.
        unit: of the numbers.
        room: octaves between the reference and its twin; infinite where no twin bounds it, NaN where it is not
            measured.
    """

    chain: str
    name: str
    claim: str
    samples: Mapping[str, Sample]
    unit: str = OCTAVES
    room: float = math.inf
    contrary: tuple[str, str] = (ADDS, HARMS)


def contrasts(margins: Margins, plan: Plan) -> Iterator[Step]:
    """The registered contrasts in the plan's order."""
    yield from _distortion(margins, plan)
    yield from _confinement(margins, plan)
    if plan.exponent_predicts:
        sample = margins.trend(coupling, {GAME: -1.0}, plan.weights, plan.settings)
        yield Step("exponent", "coupling falls", "rise", {"coupling": sample}, PER_UPDATE)
    yield from _truth(margins, plan)
    for trick, assay in plan.assay.items():
        yield from _trick(margins, plan, trick, assay)


def _distortion(margins: Margins, plan: Plan) -> Iterator[Step]:
    """H1: the game's cost falls with the weight of the distortion, and the game's own margin rises."""
    lightest = Cell(plan.weights[0])
    room = margins.most_room(h_star, lambda _: lightest, plan.settings)
    cost = margins.trend(h_star, {TWIN: -1.0, GAME: 1.0}, plan.weights, plan.settings)
    yield Step("H1", "cost falls", "rise", {"h": cost}, room=room)
    margin = margins.trend(h_star, {GAME: 1.0}, plan.weights, plan.settings)
    yield Step("H1", "margin rises", "rise", {"h": margin})


def _confinement(margins: Margins, plan: Plan) -> Iterator[Step]:
    """The rival of H1: margins rise without a game as well, and the game costs nothing at any weight."""
    twin = margins.trend(h_star, {TWIN: 1.0}, plan.weights, plan.settings)
    yield Step("confinement", "twin's margin rises", "rise", {"h": twin})
    cost = margins.average(h_star, {TWIN: 1.0, GAME: -1.0}, plan.weights, plan.settings)
    yield Step("confinement", "game costs nothing", "equal", {"h": cost}, contrary=(COSTS, HELPS))


def _star(plan: Plan, trick: str = "none") -> Place:
    return lambda setting: Cell(plan.mse_star[setting], trick)


def _truth(margins: Margins, plan: Plan) -> Iterator[Step]:
    """The distortion against penalties of the same kind whose target is not the image."""
    room = margins.room(a_star, _star(plan), plan.settings)
    for name, levels in plan.controls.items():
        cells = {setting: Cell(0.0, control=level) for setting, level in levels.items()}
        sample = margins.difference(a_star, _star(plan), cells.__getitem__, plan.settings)
        yield Step(f"truth, {name}", f"mse above {name}", "rise", {"a": sample}, room=room)


def _trick(margins: Margins, plan: Plan, trick: str, assay: Assay) -> Iterator[Step]:
    """H2 for a trick: a benefit beside the smallest weight, and no difference beside μ*."""
    weak, nothing = Cell(plan.weights[0], assay.level), Cell(plan.weights[0])
    endpoints = ("h", "a") if assay.endpoint == "either" else (assay.endpoint,)
    samples = {
        e: margins.difference(READINGS[e], lambda _: weak, lambda _: nothing, assay.settings)
        for e in endpoints
    }
    yield Step(f"H2, {trick}", "assay", "rise", samples)
    beside = margins.difference(a_star, _star(plan, assay.level), _star(plan), assay.settings)
    room = margins.room(a_star, _star(plan), assay.settings)
    yield Step(f"H2, {trick}", "superfluous", "equal", {"a": beside}, room=room)
