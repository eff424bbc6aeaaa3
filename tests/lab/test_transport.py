"""Wasserstein-1 distance of samples, against closed forms in the plane and on a line."""

import itertools

import pytest
import torch
from scipy.stats import wasserstein_distance

from gcn.lab.plane.transport import wasserstein

GENERATOR = torch.Generator().manual_seed(0)


def sample(*shape):
    return torch.randn(*shape, 2, dtype=torch.float64, generator=GENERATOR)


def test_a_translated_sample_is_as_far_as_the_translation():
    points = sample(2, 60)
    moved = points[:, torch.randperm(60, generator=GENERATOR)] + torch.tensor(
        [0.3, -0.4], dtype=torch.float64
    )
    assert wasserstein(points, moved).tolist() == pytest.approx([0.5, 0.5], abs=1e-12)
    assert wasserstein(points, points.flip(1)).tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def test_it_is_the_cheapest_of_all_pairings():
    one, other = sample(3, 6), sample(3, 6)
    costs = [(one[:, list(order)] - other).norm(dim=-1).mean(1) for order in itertools.permutations(range(6))]
    assert torch.allclose(wasserstein(one, other), torch.stack(costs).min(0).values, rtol=1e-12)


def test_on_a_line_it_is_the_distance_of_the_quantiles():
    one, other = sample(1, 40), sample(1, 40) * 3
    one[..., 1] = other[..., 1] = 0
    expected = wasserstein_distance(one[0, :, 0].numpy(), other[0, :, 0].numpy())
    assert wasserstein(one, other).item() == pytest.approx(expected, rel=1e-12)


def test_a_point_that_is_not_finite_spoils_its_own_game_alone():
    one, other = sample(3, 5), sample(3, 5)
    one[1, 2, 0], other[2, 0, 1] = torch.nan, torch.inf
    found = wasserstein(one, other)
    assert found.isnan().tolist() == [False, True, True]
    assert found[0] == wasserstein(one[:1], other[:1])[0]
