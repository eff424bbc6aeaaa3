"""Bjøntegaard's differences."""

import math

import pytest

from gcn.metrics.bd_rate import bd_psnr, bd_rate

CURVE = [(0.1, 30.0), (0.2, 33.0), (0.4, 35.5), (0.8, 37.0), (1.6, 38.0)]


def cheaper(factor):
    return [(bpp * factor, quality) for bpp, quality in CURVE]


def better(shift):
    return [(bpp, quality + shift) for bpp, quality in CURVE]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.1, 2.5])
def test_bd_rate_of_a_curve_at_other_rates_is_the_factor_to_a_billionth(factor):
    assert bd_rate(CURVE, cheaper(factor)).percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert bd_rate(CURVE, list(reversed(cheaper(factor)))).percent == pytest.approx(
        100 * (factor - 1), abs=1e-9
    )


@pytest.mark.parametrize("shift", [-2.0, 0.0, 0.3, 50.0])
def test_bd_psnr_of_a_better_curve_is_the_shift_to_a_billionth(shift):
    assert bd_psnr(CURVE, better(shift)).decibels == pytest.approx(shift, abs=1e-9)


def test_the_reference_comes_first():
    assert bd_rate(CURVE, cheaper(0.8)).percent < 0 < bd_rate(cheaper(0.8), CURVE).percent
    assert bd_psnr(CURVE, cheaper(0.8)).decibels > 0 > bd_psnr(cheaper(0.8), CURVE).decibels


def test_curves_need_not_have_the_same_rates_or_number_of_points():
    line = [(10**x, 30 + 10 * x) for x in (-1, -0.7, -0.2, 0, 0.3)]
    other = [(0.9 * 10**x, 30 + 10 * x) for x in (-0.9, -0.5, -0.1, 0.1)]
    assert bd_rate(line, other).percent == pytest.approx(-10, abs=1e-6)
    assert bd_psnr(line, other).decibels == pytest.approx(-10 * math.log10(0.9), abs=1e-6)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (CURVE[:3], "at least 4"),
        ([*CURVE[:3], CURVE[0]], "at least 4"),
        ([(bpp, 30 - bpp) for bpp, _ in CURVE], "does not grow"),
        ([*CURVE, (1.6, 39.0)], "does not grow"),
        ([*CURVE, (3.2, math.inf)], "finite"),
        ([*CURVE, (0.0, 20.0)], "finite"),
    ],
)
@pytest.mark.parametrize("difference", [bd_rate, bd_psnr])
def test_there_is_a_reason_where_there_is_no_number(difference, other, said):
    for found in (difference(CURVE, other), difference(other, CURVE)):
        assert math.isnan(found[0])
        assert said in found.reason


def test_curves_that_do_not_overlap():
    assert bd_rate(CURVE, better(20)).reason == "the curves share no quality"
    assert bd_psnr(CURVE, better(20)).reason is None
    assert bd_psnr(CURVE, cheaper(100)).reason == "the curves share no rate"
    assert bd_rate(CURVE, cheaper(100)).reason is None


def test_fewer_points_are_an_explicit_wish():
    assert bd_rate(CURVE[:3], cheaper(0.5)[:3], least=3).percent == pytest.approx(-50, abs=1e-9)
