"""EBGAN's pulling-away term against its formula."""

import itertools

import pytest
import torch
from turns import Linear, open_turn

from gcn.losses.pulling_away import PullingAway


def value(codes):
    """The term, where D's last feature of an image is the image itself."""
    codes = torch.as_tensor(codes, dtype=torch.float64).reshape(len(codes), -1, 1, 1)
    return PullingAway()(open_turn(torch.zeros_like(codes), codes, Linear(torch.ones_like(codes[0]))))


def test_value_is_the_mean_squared_cosine_of_all_pairs():
    codes = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cosines = [
        float(a @ b / (a.norm() * b.norm())) ** 2 for a, b in itertools.permutations(codes, 2)
    ]  # 12 pairs: each both ways
    assert value(codes).item() == pytest.approx(sum(cosines) / 12, rel=1e-9)


@pytest.mark.parametrize(
    ("codes", "expected"), [([[1, 0], [0, 3]], 0), ([[1, 2], [-2, -4]], 1), ([[1, 0], [2, 2]], 0.5)]
)
def test_right_angles_cost_nothing_and_parallel_codes_cost_one(codes, expected):
    assert value(codes).item() == pytest.approx(expected, abs=1e-9)


def test_a_code_of_zeros_has_a_gradient():
    codes = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64).reshape(2, 2, 1, 1)
    turn = open_turn(torch.zeros_like(codes), codes, Linear(torch.ones(2, 1, 1, dtype=torch.float64)))
    (gradient,) = torch.autograd.grad(PullingAway()(turn), turn.game.generator.x_hat)
    assert gradient.isfinite().all()
