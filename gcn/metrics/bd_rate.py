"""Bjøntegaard's difference between two rate-distortion curves, by the ``bjontegaard`` package."""

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

LEAST = 4  # points of a curve that determine a cubic


class Difference(NamedTuple):
    """BD-rate in percent (negative: fewer bits than the reference), or why there is none."""

    percent: float
    reason: str | None


def bd_rate(
    reference: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]], least: int = LEAST
) -> Difference:
    """Mean difference in rate at equal quality over the qualities that both curves reach.

    Piecewise cubic (pchip) in the logarithm of the rate, as ITU-T's HSTP-VID-WPOM recommends.

    Args:
        reference, other: pairs (bits per pixel, quality), quality increasing with the rate.
        least: points that a curve must have; pchip is defined from 2, four are the custom.
    """
    import bjontegaard

    curves = [sorted(set(curve)) for curve in (reference, other)]
    for curve in curves:
        if len(curve) < least:
            return Difference(math.nan, f"needs at least {least} rates of each codec")
        if any(b[1] <= a[1] for a, b in pairwise(curve)):
            return Difference(math.nan, "quality does not grow with the rate")
    if max(c[0][1] for c in curves) >= min(c[-1][1] for c in curves):
        return Difference(math.nan, "the curves share no quality")
    (rates, values), (other_rates, other_values) = (zip(*curve, strict=True) for curve in curves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a small overlap, which the reader sees in the figure
        percent = bjontegaard.bd_rate(
            list(rates), list(values), list(other_rates), list(other_values),
            method="pchip", require_matching_points=False, min_overlap=0,
        )  # fmt: skip
    return Difference(float(percent), None)
