"""Rank correlation: scipy's value, its ends, and intervals that shrink with the number of cells."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from gcn.study.margin.rank_correlation import FEWEST, rank_correlation


def test_the_value_is_scipys_with_ties_too():
    draws = np.random.default_rng(1)
    for _ in range(5):
        x, y = draws.integers(0, 5, 20), draws.integers(0, 5, 20)
        assert rank_correlation(x, y).value == pytest.approx(spearmanr(x, y).statistic)


def test_a_falling_relation_predicts_and_noise_does_not():
    x = np.arange(24.0)
    falling = rank_correlation(x, -np.exp(x))
    assert (falling.value, falling.low, falling.high) == pytest.approx((-1, -1, -1))
    assert falling.predicts
    assert not rank_correlation(x, x).predicts
    noise = rank_correlation(x, np.random.default_rng(0).standard_normal(24))
    assert noise.low < 0 < noise.high
    assert not noise.predicts


def test_too_few_cells_have_none():
    few = range(FEWEST - 1)
    assert rank_correlation(few, few) is None
    assert rank_correlation(range(FEWEST), range(FEWEST)).cells == FEWEST
