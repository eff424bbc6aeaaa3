"""From a table of margins to a word for each registered contrast of the margin study.

The registered claims (a cost falls, a margin rises, a trick helps, a trick is superfluous) are tested by Holm's
method over chains at the plan's error rate. The contrary words (``opposite``, ``no effect``, ``adds``,
``harms``, ``costs``, ``helps``) are given only where the same exact test rejects at the plan's error rate
divided by the number of contrasts. Each of the two kinds is therefore wrong anywhere in the study with at most
the plan's error rate; ``docs/study/margin/plan.md`` says why. ``adds``, ``harms``, ``costs`` and ``helps`` deny
an equality, so they are given whether or not the step before was supported.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gcn.errors import InputError
from gcn.study.arms import partner
from gcn.study.registered.chains import adjusted
from gcn.study.registered.margin_plan import Plan
from gcn.study.registered.margin_samples import Margin, Margins, Sample
from gcn.study.registered.registered_contrasts import ADDS, COSTS, HARMS, HELPS, OCTAVES, Step, contrasts
from gcn.study.registered.signflip import SignFlip

SUPPORTED, OPPOSITE, NO_EFFECT = "supported", "opposite", "no effect"
EQUIVALENT = "equivalent"
UNDECIDED, NOT_MEASURED, DESCRIPTIVE = "undecided", "not measured", "descriptive"
NOT_TESTABLE, CEILING = "not testable here", "ceiling: not tested"
CLAIMS = frozenset({SUPPORTED, EQUIVALENT})
UNEQUAL = frozenset({ADDS, HARMS, COSTS, HELPS})
CONTRARY = frozenset({OPPOSITE, NO_EFFECT, *UNEQUAL})
EACH = "each"  # setting: what is said of all of them
INTERVAL = 0.95  # of the limits that are printed, without a correction


class Interval(NamedTuple):
    """Mean over seeds with its 95 % limits."""

    estimate: float
    low: float
    high: float


_NONE = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Decision:
    """What a registered contrast shows.

    Attributes:
        setting, chain, name: of the contrast.
        endpoint: ``h``, ``a`` or ``coupling``; of two, the one with the smaller p.
        unit: of estimate and limits.
        seeds: complete ones.
        interval: mean over seeds and its limits, not corrected.
        spread: deviation over seeds.
        p: one-sided, exact; NaN where nothing was tested.
        adjusted: p after Holm's method over chains; the claim holds if it is at most the plan's error rate.
        word: one of the words of this module.
        note: why there is no test, how many margins are not monotone; empty if nothing is to say.
    """

    setting: str
    chain: str
    name: str
    endpoint: str
    unit: str
    seeds: int
    interval: Interval
    spread: float
    p: float
    adjusted: float
    word: str
    note: str


def decide(rows: Iterable[Margin], plan: Plan, limits: bool = True) -> list[Decision]:
    """A decision for each registered contrast.

    Args:
        rows: margins of stage 2.
        limits: whether intervals are computed; otherwise they are NaN.

    Raises:
        InputError: a configuration occurs twice, or seeds are more than planned, of an earlier stage, or partners.
    """
    rows = list(rows)
    _check_seeds({m.seed for m in rows}, plan)
    tests = [_Tested(step, plan) for step in contrasts(Margins(rows), plan)]
    chains: dict[tuple[str, str], list[float]] = {}
    for test in tests:
        chains.setdefault(test.chain, []).append(test.p)
    corrected, share = adjusted(chains), plan.alpha / len(tests)
    reached: dict[tuple[str, str], bool] = {}
    found = []
    for test in tests:
        p = corrected[test.chain].pop(0)
        word = test.word(p, share)
        if not reached.get(test.chain, True) and word not in UNEQUAL:
            word = NOT_TESTABLE
        reached[test.chain] = word in CLAIMS
        found.append(test.decision(p, word, limits))
    if not plan.exponent_predicts:
        note = "stage 1 did not show that the exponent predicts the margin"
        found.append(
            Decision(EACH, "exponent", "coupling falls", "coupling", "per update", 0, _NONE, math.nan, math.nan,
                     math.nan, DESCRIPTIVE, note)
        )  # fmt: skip
    return found


def _check_seeds(seeds: set[int], plan: Plan) -> None:
    again = sorted(seeds & plan.seeds_used)
    if again:
        raise InputError(f"seed {again[0]} was used in an earlier stage; stage 2 needs new seeds")
    paired = sorted(seed for seed in seeds if partner(seed) in seeds)
    if paired:
        raise InputError(
            f"seeds {paired[0]} and {partner(paired[0])}: the twin of each repeats the other's game, so they are not "
            "independent; take one of them"
        )
    if len(seeds) > plan.seeds:
        raise InputError(
            f"the margins are of {len(seeds)} seeds, the plan has {plan.seeds}; no seed may be added"
        )


class _Tested:
    """A registered contrast with its test, or with the reason why there is none."""

    def __init__(self, step: Step, plan: Plan) -> None:
        self.step, self.plan = step, plan
        self.chain = (step.setting, step.chain)
        missing = {e: _missing(sample, plan) for e, sample in step.samples.items()}
        self.tests = {
            e: SignFlip(list(step.samples[e].seeds.values())) for e, reason in missing.items() if not reason
        }
        self.reasons = [reason for reason in missing.values() if reason]
        if step.claim == "equal" and math.isnan(step.room):
            self.tests, self.reasons = {}, ["the twin was not measured"]
        self.ceiling = step.room < plan.ceiling
        each = {e: self._p(test) for e, test in self.tests.items()}
        self.endpoint = min(each, key=lambda e: each[e]) if each else next(iter(step.samples))
        self.p = min(1.0, len(step.samples) * min(each.values())) if each else 1.0

    def _p(self, test: SignFlip) -> float:
        """p of the claim; 1 where the reference has no room and a lack of difference would be trivial."""
        if self.step.claim == "rise":
            return test.p_above()
        return 1.0 if self.ceiling else self._equal(test)

    def _equal(self, test: SignFlip) -> float:
        return max(test.p_above(-self.plan.equivalence), test.p_below(self.plan.equivalence))

    def word(self, p: float, share: float) -> str:
        """The word for a claim with this adjusted p; ``share`` is the error rate of a contrary word."""
        if not self.tests:
            return NOT_MEASURED
        equal = self.step.claim == "equal"
        if p <= self.plan.alpha:
            return EQUIVALENT if equal else SUPPORTED
        contrary = self._difference(share) if equal else self._against(share)
        if contrary and not (contrary == NO_EFFECT and self.ceiling):
            return contrary
        return CEILING if self.ceiling else UNDECIDED

    def _difference(self, share: float) -> str:
        """The word for a number that is certainly not equal to zero; empty if there is none."""
        (test,) = self.tests.values()
        if test.p_above(self.plan.equivalence) <= share:
            return self.step.contrary[0]
        return self.step.contrary[1] if test.p_below(-self.plan.equivalence) <= share else ""

    def _against(self, share: float) -> str:
        tests = list(self.tests.values())
        if len(self.step.samples) * min(test.p_below() for test in tests) <= share:
            return OPPOSITE
        known = self.step.unit == OCTAVES and not self.reasons and not math.isnan(self.step.room)
        return NO_EFFECT if known and all(self._equal(test) <= share for test in tests) else ""

    def decision(self, corrected: float, word: str, limits: bool) -> Decision:
        sample = self.step.samples[self.endpoint]
        measured = bool(self.tests)
        test = self.tests.get(self.endpoint)
        remarks = []
        if sample.holes:
            remarks.append(f"holding is not monotone at {sample.holes} of {len(sample.margins)} margins")
        return Decision(
            self.step.setting, self.step.chain, self.step.name, self.endpoint, self.step.unit, len(sample.seeds),
            _interval(test or list(sample.seeds.values())) if limits else _NONE,
            test.deviation if test and limits else math.nan,
            self.p if measured else math.nan, corrected if measured else math.nan,
            word, "; ".join([*self.reasons, *remarks]),
        )  # fmt: skip


def _missing(sample: Sample, plan: Plan) -> str:
    """Why a sample cannot be tested; empty if it can."""
    if len(sample.seeds) < plan.least_seeds:
        return f"{len(sample.seeds)} complete seeds, {plan.least_seeds} are needed"
    if sample.censored > plan.censored * len(sample.margins):
        return f"{sample.censored} of {len(sample.margins)} margins lie at an end of their grid"
    return ""


def _interval(of: SignFlip | Sequence[float]) -> Interval:
    """Mean and limits, from a test or from values; NaN without any."""
    if not of:
        return _NONE
    test = of if isinstance(of, SignFlip) else SignFlip(of)
    return Interval(test.mean, *test.limits((1 - INTERVAL) / 2))
