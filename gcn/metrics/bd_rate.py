"""Bjøntegaard's differences between two rate-distortion curves, by the ``bjontegaard`` package."""

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

LEAST = 4  # points of a curve that determine a cubic

Curve = Sequence[tuple[float, float]]


class Difference(NamedTuple):
    """BD-rate in percent (negative: fewer bits than the reference), or the reason why there is none."""

    percent: float
    reason: str | None


class Gain(NamedTuple):
    """BD-PSNR in the unit of the quality (positive: better than the reference), or the reason why there is none."""

    decibels: float
    reason: str | None


def bd_rate(reference: Curve, other: Curve, least: int = LEAST) -> Difference:
    """Mean difference in rate at equal quality over the qualities that both curves reach.

    Piecewise cubic (pchip) in the logarithm of the rate, as ITU-T's HSTP-VID-WPOM recommends.

    Args:
        reference, other: pairs (bits per pixel, quality), quality increasing with the rate.
        least: points that a curve must have; pchip is defined from 2, four are the custom.
    """
    return Difference(*_difference("bd_rate", reference, other, least, shared=1))


def bd_psnr(reference: Curve, other: Curve, least: int = LEAST) -> Gain:
    """Mean difference in quality at equal rate over the (logarithms of) rates that both curves reach.

    Interpolation and arguments as in :func:`bd_rate`.
    """
    return Gain(*_difference("bd_psnr", reference, other, least, shared=0))


def _difference(
    function: str, reference: Curve, other: Curve, least: int, shared: int
) -> tuple[float, str | None]:
    curves = [sorted(set(curve)) for curve in (reference, other)]
    reason = next((why for curve in curves if (why := _unusable(curve, least))), None)
    if reason is None and max(c[0][shared] for c in curves) >= min(c[-1][shared] for c in curves):
        reason = f"the curves share no {('rate', 'quality')[shared]}"
    if reason is not None:
        return math.nan, reason
    import bjontegaard  # and all of matplotlib

    compute: Callable[..., float] = getattr(bjontegaard, function)
    columns = [list(column) for curve in curves for column in zip(*curve, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a small overlap, which the reader sees in the figure
        value = compute(*columns, method="pchip", require_matching_points=False, min_overlap=0)
    return float(value), None


def _unusable(curve: Curve, least: int) -> str | None:
    if len(curve) < least:
        return f"needs at least {least} rates of each codec"
    if not all(rate > 0 and math.isfinite(rate) and math.isfinite(quality) for rate, quality in curve):
        return "a rate or a quality is not a finite number"
    if any(b[0] <= a[0] or b[1] <= a[1] for a, b in pairwise(curve)):
        return "quality does not grow with the rate"
    return None
