"""The tests that the margin study could use, on the same simulated differences: their error rates and power.

Differences are as in :mod:`gcn.study.registered.simulate`: margins of one setting, cut off to quarter octaves and
paired by seed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import slopes
from gcn.study.registered.signflip import SignFlip
from gcn.study.registered.simulate import GRID, Numbers, Shape, heavy, normal, skewed

BORDER = "border"  # of the hypothesis: a rejection is wrong
Question = Callable[[np.random.Generator], dict[str, float]]  # p of each test on new data


def skewed_down(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Exponential numbers with a long tail of small values, of mean 0 and variance 1."""
    return -skewed(rng, shape)


SHAPES: Mapping[str, Shape] = {
    "normal": normal,
    "heavy tails": heavy,
    "one arm skewed up": skewed,
    "one arm skewed down": skewed_down,
}


class Rival(NamedTuple):
    """How often a test rejects.

    Attributes:
        test, question, shape: which one, what it is asked, distribution of the noise.
        error: whether the rejection is wrong.
        rejected, studies: number of simulated data in which the test rejects, and of all.
    """

    test: str
    question: str
    shape: str
    error: bool
    rejected: int
    studies: int


def compare(plan: Plan, error: float, studies: int, seed: int) -> Iterator[Rival]:
    """How often each test rejects at this error rate, for each question and shape of the noise."""
    for place, (name, shape) in enumerate(SHAPES.items()):
        rng = np.random.default_rng([seed, place])
        for question, test in _questions(shape, plan).items():
            counts: dict[str, int] = {}
            for _ in range(studies):
                for rival, p in test(rng).items():
                    counts[rival] = counts.get(rival, 0) + (p <= error)
            for rival, count in counts.items():
                yield Rival(rival, question, name, BORDER in question, count, studies)


def _questions(shape: Shape, plan: Plan) -> dict[str, Question]:
    """Data of each question, tested by each test."""

    def difference(effect: float, tests: Callable[[Numbers], dict[str, float]]) -> Question:
        return lambda rng: tests(_differences(shape, plan, effect, rng))

    def trend(fall: float) -> Question:
        return lambda rng: _trends(_curves(shape, plan, fall, rng), plan.weights)

    return {
        f"benefit: none ({BORDER})": difference(0.0, _above),
        "benefit: .5 octave": difference(0.5, _above),
        f"equivalence: .5 octave apart ({BORDER})": difference(0.5, _within),
        "equivalence: no difference": difference(0.0, _within),
        f"trend: none ({BORDER})": trend(0.0),
        "trend: fall of .5 octave": trend(0.5),
    }


def _cut(margins: Numbers) -> Numbers:
    return np.asarray(np.floor(margins / GRID) * GRID)


def _noise(shape: Shape, plan: Plan, rng: np.random.Generator, *more: int) -> Numbers:
    """Noise of margins. (…, seeds)"""
    return plan.spread / math.sqrt(2) * shape(rng, (*more, plan.seeds))


def _differences(shape: Shape, plan: Plan, effect: float, rng: np.random.Generator) -> Numbers:
    """Paired differences of two arms; skewed noise is of the first alone. (seeds,)"""
    start = rng.uniform(0, 2)
    one = _noise(shape, plan, rng)
    other = _noise(normal if shape in (skewed, skewed_down) else shape, plan, rng)
    return _cut(start + effect + one) - _cut(start + other)


def _curves(shape: Shape, plan: Plan, fall: float, rng: np.random.Generator) -> Numbers:
    """The game's cost at each weight. (seeds, weights)"""
    start, weights = rng.uniform(0, 2), len(plan.weights)
    places = np.linspace(0.5, -0.5, weights)[:, None]
    twin, game = _noise(normal, plan, rng, weights), _noise(shape, plan, rng, weights)
    return (_cut(start + 3 + fall * places + twin) - _cut(start + game)).T


def _student(values: Numbers) -> float:
    """One-sided p of Student's test that the mean is at most 0."""
    if not values.std():
        return 1.0 if values[0] <= 0 else 0.0
    return float(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


def _above(values: Numbers) -> dict[str, float]:
    return {"sign flips": SignFlip(list(values)).p_above(), "Student": _student(values)}


def _within(values: Numbers) -> dict[str, float]:
    flips = SignFlip(list(values))
    student = max(_student(values + 0.5), _student(0.5 - values))
    return {"sign flips": max(flips.p_above(-0.5), flips.p_below(0.5)), "Student": student}


def _trends(curves: Numbers, weights: tuple[float, ...]) -> dict[str, float]:
    """p of three tests that the cost does not fall with the weight."""
    falls = -curves @ np.asarray(slopes(weights))
    page = stats.page_trend_test(-curves, method="asymptotic")
    return {**_above(falls), "Page": float(page.pvalue)}
