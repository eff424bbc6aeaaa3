"""The registered contrasts of the margin study, one by one: which margins each is computed from, in which order."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import (
    GAME,
    TWIN,
    Cell,
    Margins,
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
        setting: a loss with an optimizer; nothing is averaged over settings.
        chain: contrasts of a setting that are tested one after the other, sharing a part of the error rate.
        name: within the chain.
        claim: ``rise``, the number is positive, or ``equal``, it is smaller than the plan's threshold.
        samples: endpoint to its numbers; two where either endpoint may show the effect.
        unit: of the numbers.
        room: octaves between the reference and its twin; infinite where no twin bounds it, NaN where it is not
            measured.
        contrary: words where a number that should be ``equal`` lies above the threshold, and below minus it.
    """

    setting: str
    chain: str
    name: str
    claim: str
    samples: Mapping[str, Sample]
    unit: str = OCTAVES
    room: float = math.inf
    contrary: tuple[str, str] = (ADDS, HARMS)


def contrasts(margins: Margins, plan: Plan) -> Iterator[Step]:
    """The registered contrasts in the plan's order: setting by setting."""
    for setting in plan.settings:
        yield from _distortion(margins, plan, setting)
        yield from _confinement(margins, plan, setting)
        if plan.exponent_predicts:
            sample = margins.trend(coupling, {GAME: -1.0}, plan.weights, setting)
            yield Step(setting, "exponent", "coupling falls", "rise", {"coupling": sample}, PER_UPDATE)
        yield from _truth(margins, plan, setting)
        for trick, assay in plan.assay.items():
            if setting in assay.settings:
                yield from _trick(margins, plan, setting, trick)


def _distortion(margins: Margins, plan: Plan, setting: str) -> Iterator[Step]:
    """H1: the game's cost falls with the weight of the distortion, and the game's own margin rises."""
    room = margins.room(h_star, Cell(plan.weights[0]), setting)
    cost = margins.trend(h_star, {TWIN: -1.0, GAME: 1.0}, plan.weights, setting)
    yield Step(setting, "H1", "cost falls", "rise", {"h": cost}, room=room)
    margin = margins.trend(h_star, {GAME: 1.0}, plan.weights, setting)
    yield Step(setting, "H1", "margin rises", "rise", {"h": margin})


def _confinement(margins: Margins, plan: Plan, setting: str) -> Iterator[Step]:
    """The rival of H1: margins rise without a game as well, and the game costs nothing at any weight."""
    twin = margins.trend(h_star, {TWIN: 1.0}, plan.weights, setting)
    yield Step(setting, "confinement", "twin's margin rises", "rise", {"h": twin})
    cost = margins.average(h_star, {TWIN: 1.0, GAME: -1.0}, plan.weights, setting)
    yield Step(setting, "confinement", "game costs nothing", "equal", {"h": cost}, contrary=(COSTS, HELPS))


def _truth(margins: Margins, plan: Plan, setting: str) -> Iterator[Step]:
    """The distortion against penalties of the same kind whose target is not the image."""
    star = Cell(plan.mse_star[setting])
    room = margins.room(a_star, star, setting)
    for name, levels in plan.controls.items():
        sample = margins.difference(a_star, star, Cell(0.0, control=levels[setting]), setting)
        yield Step(setting, f"truth, {name}", f"mse above {name}", "rise", {"a": sample}, room=room)


def _trick(margins: Margins, plan: Plan, setting: str, trick: str) -> Iterator[Step]:
    """H2 for a trick: a benefit beside the smallest weight, and no difference beside μ*."""
    assay, star = plan.assay[trick], Cell(plan.mse_star[setting])
    weak, nothing = Cell(plan.weights[0], assay.level), Cell(plan.weights[0])
    endpoints = ("h", "a") if assay.endpoint == "either" else (assay.endpoint,)
    samples = {e: margins.difference(READINGS[e], weak, nothing, setting) for e in endpoints}
    yield Step(setting, f"H2, {trick}", "assay", "rise", samples)
    beside = margins.difference(a_star, star._replace(trick=assay.level), star, setting)
    room = margins.room(a_star, star, setting)
    yield Step(setting, f"H2, {trick}", "superfluous", "equal", {"a": beside}, room=room)
