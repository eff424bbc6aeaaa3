"""The sign-flip test against all choices of signs written out, and its limits against the test."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gcn.errors import InputError
from gcn.study.registered.signflip import SignFlip

VALUES = st.lists(
    st.integers(-40, 40).map(lambda k: k / 16), min_size=1, max_size=8
)  # means of quarter octaves


def by_signs(values, threshold):
    """p from all signs: how many of them give a mean of at least the one that was seen."""
    shifted = np.array(values) - threshold
    means = [np.dot(signs, shifted) for signs in itertools.product((1, -1), repeat=len(values))]
    return np.mean([m >= shifted.sum() - 1e-9 for m in means])


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from([-0.5, 0.0, 0.25, 0.5]))
def test_p_counts_signs(values, threshold):
    test = SignFlip(values)
    assert test.p_above(threshold) == pytest.approx(by_signs(values, threshold))
    assert test.p_below(threshold) == pytest.approx(by_signs([-v for v in values], -threshold))


def test_scipy_agrees():
    values = np.random.default_rng(0).normal(0.4, 1, 9)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert SignFlip(list(values)).p_above() == pytest.approx(expected.pvalue)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from([0.01, 0.025, 0.1, 0.3]))
def test_limits_are_where_the_test_begins_to_reject(values, error):
    test = SignFlip(values)
    low, high = test.limits(error)
    assert test.p_above(low - 1e-6) <= error if math.isfinite(low) else 2.0 ** -len(values) > error
    assert test.p_above(low) > error
    assert test.p_below(high + 1e-6) <= error if math.isfinite(high) else 2.0 ** -len(values) > error
    assert test.p_below(high) > error


def test_the_smallest_p_and_no_difference_at_all():
    assert SignFlip([1.0] * 10).p_above() == 2.0**-10
    assert SignFlip([0.0] * 10).p_above() == 1.0
    assert SignFlip([2.0]).limits(0.025) == (-math.inf, math.inf)
    assert math.isnan(SignFlip([2.0]).deviation)


def test_power_in_closed_form():
    """At an error rate of 2^-n the test rejects exactly if all values are positive."""
    n, shift, draws = 5, 1.2, 4000
    data = np.random.default_rng(1).normal(shift, 1, (draws, n))
    rejected = sum(SignFlip(list(row)).p_above() <= 2.0**-n for row in data)
    power = stats.norm.cdf(shift) ** n
    assert rejected / draws == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / draws))


@pytest.mark.parametrize(
    ("values", "said"), [([], "0 values"), ([0.0] * 21, "21 values"), ([1.0, math.nan], "not finite")]
)
def test_what_cannot_be_tested_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        SignFlip(values)
