"""Contrasts of a study: paired by seed, with intervals, effect sizes and a correction for looking at many.

The unit is the seed: a seed's effect is the mean of its paired differences over the settings that are averaged, and the
interval is Student's over seeds. Positive responses are compared as logarithms, so their effects are ratios. Shares of
runs have Newcombe's interval (1998) and Fisher's exact test, which do without the pairing. Seeds that all differ by the
same amount leave Student without a variance; then p is that of the exact sign-flip test, 2/2^n.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

SHARES = frozenset({"unstable"})
BEYOND = math.log(100)  # a ratio, or the width of its interval, beyond which there is no number to print
ENOUGH = 5  # paired seeds from which a contrast may count as significant
LEVEL = 0.95
RATIOS = frozenset({"swd_dispersion", "last_to_best", "jitter", "logit_gap", "gradient_ratio", "swd"})

Row = Mapping[str, Any]
Side = Mapping[str, str]  # levels that a side of a contrast fixes


@dataclass(frozen=True)
class Effect:
    """The effect of a contrast on one response, with its interval and p.

    Attributes:
        name: what is compared.
        response: its name.
        seeds: paired ones.
        effect, low, high: mean and interval; logarithms of ratios for the responses in ``RATIOS``.
        size: mean / deviation over seeds (Cohen's d_z); of shares Cohen's h.
        p: two-sided; ``corrected``: by Holm's method within its family.
    """

    name: str
    response: str
    seeds: int
    effect: float
    low: float
    high: float
    size: float
    p: float
    corrected: float = math.nan

    @property
    def significant(self) -> bool:
        """Whether the effect is significant after Holm's correction, with enough seeds."""
        return self.seeds >= ENOUGH and self.corrected < 1 - LEVEL

    @property
    def measured(self) -> bool:
        """Whether the effect is to be printed: it exists, and a ratio is within a factor of 100."""
        if self.response not in RATIOS:
            return math.isfinite(self.effect)
        width = 0.0 if math.isnan(self.low) else self.high - self.low
        return abs(self.effect) <= BEYOND and width <= BEYOND

    @property
    def text(self) -> str:
        """``×0.52 [0.41, 0.66]``, ``-0.60 [-0.81, -0.39]`` or ``beyond measurement``."""
        if math.isnan(self.effect):
            return "no pairs"
        if not self.measured:
            return "beyond measurement"
        ratio = self.response in RATIOS
        middle, *ends = (
            f"{math.exp(v):.2f}" if ratio else f"{v:+.2f}" for v in (self.effect, self.low, self.high)
        )
        interval = "one seed" if math.isnan(self.low) else ", ".join(ends)
        return f"{'×' if ratio else ''}{middle} [{interval}]"


def matching(rows: Iterable[Row], levels: Side) -> list[Row]:
    """The rows that have these levels."""
    left = list(rows)
    for factor, level in levels.items():
        left = [row for row in left if row[factor] == level]
    return left


def value(row: Row, response: str) -> float:
    """A row's response on the scale on which it is compared; NaN if it was not measured."""
    number = row[response]
    if number is None or not math.isfinite(number):
        return math.nan
    if response in RATIOS:
        return math.log(number) if number > 0 else math.nan
    return float(number)


def differences(
    rows: Sequence[Row], response: str, one: Side, other: Side, over: Sequence[Side]
) -> dict[int, float]:
    """For each seed the mean over settings of response(other) - response(one)."""
    found: dict[int, list[float]] = {}
    for setting in over:
        sides = [
            {row["seed"]: value(row, response) for row in matching(rows, {**setting, **s})}
            for s in (one, other)
        ]
        for seed in sides[0].keys() & sides[1].keys():
            difference = sides[1][seed] - sides[0][seed]
            if math.isfinite(difference):
                found.setdefault(seed, []).append(difference)
    return {seed: float(np.mean(values)) for seed, values in sorted(found.items())}


def effect(name: str, response: str, by_seed: Mapping[int, float]) -> Effect:
    """Mean over seeds with Student's interval and p."""
    values = np.array(list(by_seed.values()))
    n = len(values)
    if n < 2:
        middle = float(values[0]) if n else math.nan
        return Effect(name, response, n, middle, math.nan, math.nan, math.nan, math.nan)
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    if deviation == 0:
        size, p = (math.copysign(math.inf, mean), 2.0 ** (1 - n)) if mean else (0.0, 1.0)
        return Effect(name, response, n, mean, mean, mean, size, p)
    error = deviation / math.sqrt(n)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return Effect(name, response, n, mean, mean - reach, mean + reach, mean / deviation, p)


def contrast(
    name: str, response: str, rows: Sequence[Row], one: Side, other: Side, over: Sequence[Side]
) -> Effect:
    """The effect of going from one side to the other, over these settings."""
    if response not in SHARES:
        return effect(name, response, differences(rows, response, one, other, over))
    sides = [
        {
            (place, row["seed"]): float(row[response])
            for place, setting in enumerate(over)
            for row in matching(rows, {**setting, **side})
            if not math.isnan(value(row, response))
        }
        for side in (one, other)
    ]
    paired = sides[0].keys() & sides[1].keys()
    counts = [round(sum(side[key] for key in paired)) for side in sides]
    return share(name, response, len({seed for _, seed in paired}), counts[0], counts[1], len(paired))


def share(name: str, response: str, seeds: int, one: int, other: int, n: int) -> Effect:
    """The difference of two shares, ``other`` of n minus ``one`` of n runs."""
    if not n:
        return effect(name, response, {})
    a, b = one / n, other / n
    ends = [stats.binomtest(k, n).proportion_ci(LEVEL, "wilson") for k in (one, other)]
    low = b - a - math.hypot(b - ends[1].low, ends[0].high - a)
    high = b - a + math.hypot(ends[1].high - b, a - ends[0].low)
    p = float(stats.fisher_exact([[one, n - one], [other, n - other]]).pvalue)
    size = 2 * (math.asin(math.sqrt(b)) - math.asin(math.sqrt(a)))  # Cohen's h
    return Effect(name, response, seeds, b - a, low, high, size, p)


def holm(effects: Sequence[Effect]) -> list[Effect]:
    """Holm's correction over a family; effects without a p keep none."""
    known = sorted((e.p, i) for i, e in enumerate(effects) if math.isfinite(e.p))
    corrected = [math.nan] * len(effects)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[i] = largest
    return [Effect(**{**e.__dict__, "corrected": c}) for e, c in zip(effects, corrected, strict=True)]


def settings(**levels: Sequence[str]) -> list[dict[str, str]]:
    """All combinations of levels."""
    return [dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())]


def interaction(
    rows: Sequence[Row],
    response: str,
    trick: tuple[Side, Side],
    given: tuple[Side, Side],
    over: Sequence[Side],
) -> dict[int, float]:
    """For each seed (effect of a trick given the second) - (effect of it given the first), the mean over settings."""
    found: list[dict[int, float]] = []
    for setting in over:
        first, second = (
            differences(rows, response, {**trick[0], **g}, {**trick[1], **g}, [setting]) for g in given
        )
        found.append({seed: second[seed] - first[seed] for seed in first.keys() & second.keys()})
    seeds = sorted({seed for one in found for seed in one})
    return {seed: float(np.mean([one[seed] for one in found if seed in one])) for seed in seeds}
