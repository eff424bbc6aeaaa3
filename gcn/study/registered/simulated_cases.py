"""The cases that the deciding code is simulated on: what is true in each, and what it is to show."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.simulate import Rates, Truth, heavy, rates, skewed

HALF = 0.5  # octaves, the plan's threshold: the border of what may be called no difference
SPREADS = (0.2, 0.35, 0.5, 0.7, 1.0, 1.5)
SEEDS = (10, 12, 16)


class Case(NamedTuple):
    """A kind of simulated study: in plain words and as numbers."""

    about: str
    truth: Truth


_NULL = Truth()
_TRUE = Truth(fall=2, rise=2, coupling=2, truth=2, weak=(2,), beside=(0,))
_BORDER = replace(_TRUE, beside=(HALF,))

CASES: Mapping[str, Case] = {
    "null": Case("nothing has any effect", _NULL),
    "null, heavy tails": Case("the same; Student's t of 3 degrees of freedom", replace(_NULL, shape=heavy)),
    "null, skewed on one side": Case(
        "the same; exponential noise, but normal in twins and in games at the smallest weight without a trick",
        replace(_NULL, shape=skewed, one_side=True),
    ),
    "null, outlier": Case("the same; margins of one seed are off by 2 octaves", replace(_NULL, outlier=2)),
    "null, seeds alike": Case("the same; seeds are correlated, .1", replace(_NULL, alike=0.1)),
    "null, end of grid": Case("the same; the grid ends where one margin in ten lies", replace(_NULL, top=10.4)),
    "half true": Case(
        "H1 and every other trick's benefit are true, two of these tricks add half an octave beside μ*",
        Truth(fall=2, rise=2, truth=0, weak=(2, 0), beside=(HALF,)),
    ),
    "H1 true": Case("the cost falls by 2 octaves because the game's margin rises", Truth(fall=2, rise=2, coupling=2)),
    "H1 opposite": Case("the cost rises by 1 octave", Truth(fall=-1, rise=-1, coupling=-1)),
    "settings differ": Case(
        "H1 is true in the first setting by 2 octaves; in the second the cost rises, and the margin falls, by as much",
        Truth(fall=2, rise=2, others=Truth(fall=-2, rise=-2)),
    ),
    "twin's margin falls": Case("the cost falls by 2 octaves, the game's margin stays", Truth(fall=2)),
    "no game": Case(
        "margins rise by 2 octaves without a game too, which costs nothing at any weight", Truth(rise=2, cost=0, gap=0)
    ),
    "costs half an octave": Case("the same, but the game costs .5 octave: the border", Truth(rise=2, cost=HALF)),
    "all true": Case("H1, truth, benefits of 2 octaves; no trick adds anything beside μ*", _TRUE),
    "adds half an octave": Case("the same, but every trick adds .5 octave beside μ*: the border", _BORDER),
    "border, skewed on one side": Case(
        "the same; exponential noise in games and tricks alone", replace(_BORDER, shape=skewed, one_side=True)
    ),
    "border, outlier": Case("the same; one seed off by 2 octaves", replace(_BORDER, outlier=2)),
    "border, seeds alike": Case("the same; seeds are correlated, .1", replace(_BORDER, alike=0.1)),
    "adds one octave": Case("every trick adds 1 octave beside μ*", replace(_TRUE, beside=(1.0,))),
    "ceiling": Case("all true, but a game at μ* is half an octave below its twin", replace(_TRUE, gap=0.5)),
    "half an octave everywhere": Case(
        "all effects are .5 octave: to say no effect would be wrong",
        Truth(fall=HALF, rise=HALF, coupling=HALF, truth=HALF, weak=(HALF,), beside=(HALF,)),
    ),
    "grid too short": Case("all true, but most margins lie beyond the end of the grid", replace(_TRUE, top=5.0)),
}  # fmt: skip


def simulated(plan: Plan, studies: int, seed: int) -> Iterator[tuple[str, Rates]]:
    """Name and rates of each case; a case's random numbers depend on its place and the seed alone."""
    for place, (name, case) in enumerate(CASES.items()):
        yield name, rates(case.truth, plan, studies, np.random.default_rng([seed, place]))


def power(plan: Plan, studies: int, seed: int) -> Iterator[tuple[float, int, Rates]]:
    """Spread, number of seeds and rates; effects are 1 octave, and every other trick adds 1 octave beside μ*."""
    truth = Truth(fall=1, rise=1, coupling=1, truth=1, weak=(1,), beside=(0, 1))
    for place, (spread, seeds) in enumerate((a, b) for a in SPREADS for b in SEEDS):
        least = min(plan.least_seeds, seeds)
        own = replace(plan, spread=spread, seeds=seeds, least_seeds=least, seeds_used=frozenset())
        yield spread, seeds, rates(truth, own, studies, np.random.default_rng([seed, 100 + place]))


def interval(count: int, studies: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of simulated studies."""
    found = stats.binomtest(count, studies).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)
