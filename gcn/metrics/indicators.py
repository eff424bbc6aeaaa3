"""Indicators of stability: numbers computed from a run's logged curves.

They take logged curves: two arrays, steps (in generator updates) and values, without the rows in which the
quantity was not measured.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUMBER = (int, float)
INFINITE = 1e100  # as good as infinite, and squares of less do not overflow
TAIL = 0.1  # "the end" of a run is its last tenth ...
TAIL_ROWS = 3  # ... but at least so many values, so that no single noisy one decides
PEAK, REPEAT = 0.6, 0.4  # autocorrelation at one and at two periods that noise hardly ever shows together
PERIOD_ROWS = 20  # fewer values than that show periods wherever one looks
FIT_TURNS = 8  # turns of an oscillation over which its damping is fitted


# Curves


class Curve(NamedTuple):
    """A logged quantity: ``steps`` and ``values`` of the rows in which it was measured and finite."""

    steps: Array
    values: Array

    def half(self) -> "Curve":
        """The second half of the measured rows."""
        middle = len(self.steps) // 2
        return Curve(self.steps[middle:], self.values[middle:])

    def end(self) -> float | None:
        """Level at the end: median of the last tenth, of three values at least; None for an empty curve."""
        return float(np.median(self.values[-self._tail() :])) if len(self.values) else None

    def before_end(self) -> Array:
        """The values before those that ``end`` is computed from."""
        return self.values[: -self._tail()]

    def _tail(self) -> int:
        return max(TAIL_ROWS, math.ceil(TAIL * len(self.values)))


def curve(rows: Sequence[Mapping[str, Any]], *keys: str) -> Curve:
    """The Euclidean norm of the named quantities over the rows that have all of them (one key: the value
    itself).
    """
    steps, values = [], []
    for row in rows:
        cells: list[Any] = [row.get(key) for key in keys]
        for cell in cells:
            if not isinstance(cell, NUMBER) or not abs(cell) < INFINITE:
                break
        else:
            steps.append(float(row["step"]))
            values.append(float(cells[0]) if len(keys) == 1 else math.hypot(*cells))
    return Curve(np.array(steps), np.array(values))


# Indicators: curves to numbers


def last_to_best(metric: Curve) -> float | None:
    """Last value over best (least) value of a lower-is-better metric; 1 is a run that ends at its best.

    The last/best FID of large GAN studies (Lucic et al. 2018; 2.8 to 5.0 without a regulariser, 1.0 to 1.1
    with one).
    """
    best = metric.values.min() if len(metric.values) else 0.0
    return float(metric.values[-1] / best) if best > 0 else None


def collapse_step(metric: Curve, factor: float, evaluations: int) -> int | None:
    """First step of the stretch to the end in which a metric stays worse than ``factor`` x its running best.

    None unless the stretch reaches the end of the run and has ``evaluations`` values: a run that recovered,
    or whose last evaluation alone is bad, has not collapsed. The "step of collapse" that Brock et al. 2019
    read off by eye.
    """
    worse = (
        metric.values > factor * np.minimum.accumulate(metric.values) if len(metric.values) else np.array([])
    )
    good = np.flatnonzero(~worse.astype(bool))
    start = int(good[-1]) + 1 if len(good) else 0
    return int(metric.steps[start]) if len(worse) - start >= evaluations else None


def second_half_std(metric: Curve) -> float | None:
    """Standard deviation of the second half about a straight line, so that steady progress does not count."""
    values = _detrended(metric.half().values)
    return float(values.std()) if len(values) > 2 else None


def growth_rate(metric: Curve) -> tuple[float, float] | None:
    """Rate a (per step) of a quantity ~ e^{at} over the second half, and r² of the straight line in log.

    The Lyapunov exponent of the game's dynamics as the norm of its field shows it: > 0 for ever is
    divergence.
    """
    steps, values = metric.half()
    steps, values = steps[values > 0], values[values > 0]
    if len(values) < TAIL_ROWS + 1 or np.ptp(steps) == 0:
        return None
    logs = np.log(values)
    slope = float(np.polyfit(steps, logs, 1)[0])
    return slope, float(np.corrcoef(steps, logs)[0, 1] ** 2) if logs.std() > 0 else 0.0


def period(metric: Curve) -> tuple[float, float] | None:
    """Period in steps of a regular oscillation of the second half, and its logarithmic decrement per period.

    The period is the lag of the first peak of the autocorrelation after its first sign change, where the
    correlation is that of the two overlapping stretches (Pearson), which a growing or shrinking amplitude
    leaves at 1. The peak must be high, so must its repetition at twice the lag, and three periods must fit:
    noise of any memory passes less than 5 times in 1000. The decrement is −log of the ratio of the stretches'
    deviations; < 0 is growth. None if irregular.
    """
    steps, values = metric.half()
    values = _detrended(values)
    n = len(values)
    if n < PERIOD_ROWS or not values.any():
        return None
    lag, correlation = _first_peak(values)
    if n < 3 * lag or correlation < PEAK:
        return None
    if _pearson(values[: -2 * lag], values[2 * lag :]) < REPEAT:
        return None
    decrement = -math.log(values[lag:].std() / values[:-lag].std())
    return lag * float(np.ptp(steps)) / (n - 1), decrement


def _first_peak(values: Array) -> tuple[int, float]:
    """Lag and height of the first peak of the autocorrelation after it was negative; 0 and 0 if there is none."""
    fell, peak, height = False, 0, 0.0
    for lag in range(1, len(values) // 2):
        correlation = _pearson(values[:-lag], values[lag:])
        if correlation < 0:
            if peak:
                break
            fell = True
        elif fell and correlation > height:
            peak, height = lag, correlation
    return peak, height


class Turns(NamedTuple):
    """Full turns of a quantity that swings through 0: the step at which each begins, the last end, and its
    range.
    """

    starts: Array
    end: float
    ranges: Array

    def decrement(self) -> tuple[float, float]:
        """Logarithmic decrement per turn (< 0: each turn is wider than the last) and its standard error.

        Slope of −log(range) over the last eight turns: the textbook logarithmic decrement, by least squares.
        """
        logs = np.log(self.ranges[-FIT_TURNS:])
        index = np.arange(len(logs)) - (len(logs) - 1) / 2
        slope = float(index @ logs / (index @ index))
        residual = logs - logs.mean() - slope * index
        error = math.sqrt(float(residual @ residual) / max(1, len(logs) - 2) / float(index @ index))
        return -slope, error


def turns(metric: Curve) -> Turns:
    """Full turns about 0, from one rise to the next; the logit gap of a rotating game makes two a cycle.

    Needs no constant period (the saturating game slows down as it widens). A swing counts once it exceeds
    four times the noise, estimated by the median of second differences, which a smooth oscillation leaves
    near 0.
    """
    steps, values = metric
    noise = (
        1.4826 * float(np.median(np.abs(np.diff(values, 2)))) / math.sqrt(6) if len(values) > 4 else math.inf
    )
    below, rises = False, []
    for index, value in enumerate(values):
        if value < -4 * noise:
            below = True
        elif below and value > 4 * noise:
            below = False
            rises.append(index)
    ranges = [np.ptp(values[a:b]) for a, b in pairwise(rises)]
    return Turns(steps[rises[:-1]], float(steps[rises[-1]]) if rises else 0.0, np.array(ranges))


def _detrended(values: Array) -> Array:
    if len(values) < 3:
        return values - values.mean() if len(values) else values
    index = np.arange(len(values))
    return values - np.polyval(np.polyfit(index, values, 1), index)


def _pearson(a: Array, b: Array) -> float:
    a, b = a - a.sum() / len(a), b - b.sum() / len(b)  # as by mean(), which takes longer
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else 0.0
