"""Rates of growth and their intervals."""

import math

import pytest
import torch
from scipy.stats import t as student

from gcn.spectrum.growth import estimate, orthonormal, random_frame, weighted_mean


def test_the_interval_is_student_s():
    found = estimate([1.0, 2.0, 4.0])
    assert found.value == pytest.approx(7 / 3)
    spread = math.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2)
    assert found.half == pytest.approx(student.ppf(0.995, 2) * spread / math.sqrt(3))
    assert (found.low, found.high) == (found.value - found.half, found.value + found.half)


def test_correlated_blocks_have_no_narrow_interval():
    """Pairs of equal blocks are half as many independent numbers: the interval is that of their means."""
    values = torch.randn(10, generator=torch.Generator().manual_seed(0)).tolist()
    pairs = [value for value in values for _ in range(2)]
    assert estimate(pairs).half == pytest.approx(estimate(values).half)


@pytest.mark.parametrize(("draw", "least"), [("normal", 0.98), ("in bursts", 0.92)])
def test_intervals_hold_the_truth(draw, least):
    """Of skewed numbers, as rates of growth are, Student's t at 99 % holds nineteen of twenty."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(400, 20, generator=generator)
    if draw == "in bursts":
        draws = torch.empty(400, 20).exponential_(generator=generator) - 1
    share = sum(abs(one.value) <= one.half for one in map(estimate, draws.tolist())) / len(draws)
    assert share > least
    assert share < 1  # an interval that always holds says nothing


def test_what_is_no_number_has_no_interval():
    assert estimate([1.0, math.nan]).record() == {"value": None, "low": None, "high": None}
    assert estimate([1.0]).record() == {"value": 1.0, "low": None, "high": None}
    assert estimate([]).record()["value"] is None


def test_smooth_weights_give_the_mean_of_what_turns():
    """log |x| along a turning ellipse has the mean log((a + b)/2); a plain mean is far from it after 200 points."""
    angle = 0.3 * torch.arange(200, dtype=torch.float64)
    a, b = 2.0, 0.5
    values = torch.stack([(a * angle.cos()).square() + (b * angle.sin()).square()]).log()[0] / 2
    expected = math.log((a + b) / 2)
    assert float(weighted_mean(values)) == pytest.approx(expected, abs=1e-5)
    assert abs(float(values.mean()) - expected) > 1e-4


def test_orthonormal_rows_span_the_same_and_keep_the_volume():
    vectors = torch.randn(3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    frame, lengths = orthonormal(vectors)
    assert torch.allclose(frame @ frame.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(vectors @ frame.T @ frame, vectors, atol=1e-12)
    assert float(lengths[0].exp()) == pytest.approx(float(vectors[0].norm()))
    assert float((2 * lengths.sum()).exp()) == pytest.approx(float(torch.linalg.det(vectors @ vectors.T)))


def test_a_frame_has_no_part_where_the_mask_has_none():
    mask = torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64)
    frame = random_frame(8, mask, seed=0)
    assert frame.shape == (3, 5)
    assert (frame[:, mask == 0] == 0).all()
    assert torch.allclose(frame @ frame.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert not torch.equal(frame, random_frame(8, mask, seed=1))
