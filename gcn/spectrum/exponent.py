"""Lyapunov exponents of training: how fast nearly equal states of a training separate or approach, on the same data.

Copies of the whole state of a training (see :mod:`gcn.spectrum.training_state`) are displaced a little and updated
with the same batches and the same random numbers as the original. The exponent Λ is the mean logarithm by which their
distance grows an update: a displacement becomes exp(Λ) times as large. Λ < 0: training forgets where it was, Λ > 0: it
amplifies differences.

* **Leading exponents.** ``directions`` copies are displaced at right angles, and every few updates brought back to a
  small distance and to right angles (Benettin et al. 1980). The first updates align them and do not count.
* **Conditional exponents, on the same orbit.** Λ_G: G's state alone is displaced, and D visits the points of the
  original trajectory whatever the displaced G does. Λ_D: the same with exchanged roles. What the players' coupling adds
  is Λ - max(Λ_G, Λ_D).
* **Finite distances.** All of this also by single copies at distances from 1e-2 to 1e-6 of the parameters' norm. Where
  the update is nearly linear the rates agree; else they are those of differences of that size (Aurell et al. 1997).
  Adam's step hardly depends on the length of a gradient, so that its update bends within the length of a step; a
  distance of 1e-3 is about that long for a network at a learning rate of 2e-4.
* **Function space.** The same growth measured in x_hat on fixed crops and in D's logits of these.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gcn.spectrum.displaced_copies import Copies, Family, Training
from gcn.spectrum.growth import Estimate, estimate

DISTANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
AGREE = 0.25  # share of the larger rate by which rates that agree may differ, where errors are smaller
ERRORS = 2.0  # standard errors of their difference by which they may differ
SMALL = 2e-3  # rates per update whose difference is always ignored
PLATEAU = 99.0  # its largest distance over its smallest


@dataclass(frozen=True)
class Settings:
    """How exponents are measured.

    Args:
        updates: of the original that count.
        align: updates before them, in which the displacements turn into the leading directions.
        every: updates between two renormalisations.
        directions: leading exponents.
        conditional: leading exponents of each player alone; 0: none.
        epsilon: length of the displacements, relative to the norm of all parameters.
        distances: further lengths, relative to the same norm.
        seed: of the first displacements.
        memory_scale: see :class:`gcn.spectrum.training_state.TrainingState`.
    """

    updates: int = 60
    align: int = 30
    every: int = 5
    directions: int = 8
    conditional: int = 1
    epsilon: float = 1e-3
    distances: Sequence[float] = DISTANCES
    seed: int = 0
    memory_scale: float = 1.0


@dataclass(frozen=True)
class Rates:
    """Exponents per update at one distance.

    Attributes:
        epsilon: the distance, relative to the norm of all parameters.
        whole: Λ.
        g, d: Λ_G and Λ_D; None where there is one player.
        share: Λ - max(Λ_G, Λ_D), the part of the players' coupling; None where there is one player.
    """

    epsilon: float
    whole: Estimate
    g: Estimate | None
    d: Estimate | None
    share: Estimate | None

    def record(self) -> dict[str, Any]:
        """The numbers for a JSON file."""
        named = {
            "exponent": self.whole,
            "exponent_g": self.g,
            "exponent_d": self.d,
            "share_of_the_game": self.share,
        }
        return {"epsilon": self.epsilon} | {k: None if e is None else e.record() for k, e in named.items()}


@dataclass(frozen=True)
class ExponentResult:
    """Exponents per update, with their intervals.

    Attributes:
        rates: at ``Settings.epsilon``.
        leading, leading_g, leading_d: the largest exponents there, of both players and of each alone.
        functions: growth there in function space, by what is displaced (``all``, ``g``, ``d``) and by function
            (``x_hat``, ``logits``).
        distances: rates at each distance, from the largest to the smallest.
        step: updates before the measurement.
        updates: of the original that count.
        cost: updates made for it, the copies' included.
        warnings: what restricts the numbers, a sentence each.
    """

    rates: Rates
    leading: list[Estimate]
    leading_g: list[Estimate]
    leading_d: list[Estimate]
    functions: dict[str, dict[str, Estimate]]
    distances: list[Rates]
    step: int
    updates: int
    cost: int
    warnings: list[str]

    @property
    def value(self) -> float:
        """Λ per update."""
        return self.rates.whole.value

    def record(self) -> dict[str, Any]:
        """Content of ``exponent.json``; each rate has ``value``, ``low`` and ``high``, null where there is none."""
        functions = {
            name: {function: one.record() for function, one in named.items()}
            for name, named in self.functions.items()
        }
        return self.rates.record() | {
            "leading": [one.record() for one in self.leading],
            "leading_g": [one.record() for one in self.leading_g],
            "leading_d": [one.record() for one in self.leading_d],
            "function_space": functions,
            "distances": [one.record() for one in self.distances],
            "step": self.step,
            "updates": self.updates,
            "updates_made": self.cost,
            "warnings": list(self.warnings),
        }


def measure(
    training: Training, settings: Settings | None = None, progress: Callable[[int, int], Any] | None = None
) -> ExponentResult:
    """Exponents of a training from its present state on; afterwards it stands where it stood.

    Args:
        training: in float64.
        settings: by default :class:`Settings`.
        progress: called with the updates of the original made so far, and with their number.

    Raises:
        InputError: the training diverges.
        ValueError: it is not in float64.
    """
    s = settings or Settings()
    align, counted = (max(1, round(n / s.every)) for n in (s.align, s.updates))
    copies = Copies(training, s.every, s.memory_scale)
    try:
        for epsilon in sorted({*s.distances, s.epsilon}, reverse=True):
            main = epsilon == s.epsilon
            copies.add("all", epsilon, s.directions if main else 1, s.seed)
            if s.conditional and not copies.alone:
                for name in ("g", "d"):
                    copies.add(name, epsilon, s.conditional if main else 1, s.seed)
        for block in range(align + counted):
            if block == align:
                for family in copies.families:
                    family.begin()
            copies.advance()
            if progress is not None:
                progress((block + 1) * s.every, (align + counted) * s.every)
    finally:
        copies.restore()
    return _result(copies, s, counted * s.every)


def _result(copies: Copies, s: Settings, updates: int) -> ExponentResult:
    families = {(family.displaced, family.epsilon): family for family in copies.families}
    at = sorted({epsilon for _, epsilon in families}, reverse=True)
    distances = [_rates(families, epsilon, s.every) for epsilon in at]
    (rates,) = (one for one in distances if one.epsilon == s.epsilon)
    named = {name: families[name, s.epsilon] for name in ("all", "g", "d") if (name, s.epsilon) in families}
    leading = {name: family.rates(s.every) for name, family in named.items()}
    return ExponentResult(
        rates, leading["all"], leading.get("g", []), leading.get("d", []),
        {name: family.in_functions(s.every) for name, family in named.items()},
        distances, copies.training.step, updates, copies.cost, warnings(rates, distances),
    )  # fmt: skip


def _rates(families: dict[tuple[str, float], Family], epsilon: float, every: int) -> Rates:
    whole, g, d = (
        families[name, epsilon].rates(every)[0] if (name, epsilon) in families else None
        for name in ("all", "g", "d")
    )
    assert whole is not None
    if g is None or d is None:
        return Rates(epsilon, whole, None, None, None)
    larger = g if g.value >= d.value else d
    share = estimate([a - b for a, b in zip(whole.rates, larger.rates, strict=True)])
    return Rates(epsilon, whole, g, d, share)


def warnings(rates: Rates, distances: Sequence[Rates]) -> list[str]:
    """Sentences on what restricts the exponents: no plateau over the distances, or two halves that differ."""
    found, whole = [], rates.whole
    agreeing = [one.epsilon for one in distances if _agree(one.whole, whole)]
    if len(distances) > 1 and (not agreeing or max(agreeing) / min(agreeing) < PLATEAU):
        found.append(
            "no plateau: the rate depends on the distance of the copies; read the rates at all distances, no single one"
        )
    half = len(whole.rates) // 2
    first, second = estimate(whole.rates[:half]), estimate(whole.rates[half:])
    if half >= 4 and not _agree(first, second):
        found.append(
            "not settled: the first and the second half differ; use more updates or a longer alignment"
        )
    return found


def _agree(one: Estimate, other: Estimate) -> bool:
    """Whether two rates differ by less than twice the error of their difference, or by little."""
    apart, larger = abs(one.value - other.value), max(abs(one.value), abs(other.value))
    return apart <= max(ERRORS * math.hypot(one.error, other.error), AGREE * larger, SMALL)
