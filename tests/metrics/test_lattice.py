"""Lattice index against closed forms: pure patterns, blur, noise."""

import math

import pytest
import torch
from torch import Tensor

from gcn.data.photos import photograph
from gcn.metrics.degradations import checkerboard, gaussian_blur
from gcn.metrics.lattice import PERIODS, ROUNDING, _frequencies, lattice_index, lattice_power


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.tensor(photograph("chelsea.png")).permute(2, 0, 1).float() / 255


def pattern(period: int, amplitude: float = 4 / 255) -> Tensor:
    return 0.5 + amplitude * checkerboard(128, 192, period).expand(3, -1, -1)


@pytest.mark.parametrize(("at", "period"), list(enumerate(PERIODS)))
def test_a_pure_checkerboard_has_its_variance_at_its_period(at: int, period: int) -> None:
    power = lattice_power(pattern(period))
    spread = (1.5 / 64) ** 2  # of a Hann window: Σw² / (Σw)² = 3/8 / (1/2)² / 64 in each direction
    rounding = ROUNDING * spread * _frequencies().sum((1, 2))
    expected = torch.zeros(4, dtype=torch.double)
    expected[at] = (4 / 255) ** 2
    assert torch.allclose(power[0] - rounding, expected, atol=2e-9, rtol=1e-5)
    assert torch.allclose(power[1], rounding, atol=2e-9)


def test_the_number_of_frequencies_of_a_period() -> None:
    assert _frequencies().sum((1, 2)).tolist() == [3, 12, 48, 192]


def test_a_cosine_belongs_to_its_period_alone() -> None:
    wave = 0.1 * torch.cos(2 * math.pi * 3 / 16 * torch.arange(64.0))  # 3/16 cycles per pixel: period 16
    power = lattice_power(wave.expand(1, 64, 64))[0]
    assert power[3].item() == pytest.approx(0.1**2 / 2, rel=1e-4)
    assert power[:3].max() < 1e-6


def test_photographs_against_themselves_have_index_one(photo: Tensor) -> None:
    power = lattice_power(photo)
    found = lattice_index([power, power], [power, power])
    assert torch.equal(found.ratio, torch.ones(4, dtype=torch.double))
    assert torch.equal(found.factor, torch.ones(4, dtype=torch.double))


def test_a_lattice_raises_the_index_of_its_period_and_blur_and_noise_do_not(photo: Tensor) -> None:
    real = [lattice_power(photo)]

    def index(x: Tensor) -> Tensor:
        return lattice_index(real, [lattice_power(x)]).ratio

    noise = torch.randn(photo.shape, generator=torch.Generator().manual_seed(0)) * 6 / 255
    for other in (gaussian_blur(photo[None], 1.0)[0], photo + noise):
        assert index(other).max() < 1.5
    for at, period in enumerate(PERIODS[:3]):
        found = index(photo + 4 / 255 * checkerboard(*photo.shape[1:], period))
        assert found[at] > 2
        assert found.argmax() == at


def test_the_index_is_a_geometric_mean_over_images() -> None:
    one, ratio = torch.ones(2, 4, dtype=torch.double), torch.ones(2, 4, dtype=torch.double)
    ratio[0] = 4.0
    found = lattice_index([one, one], [one, ratio])
    assert found.ratio.tolist() == pytest.approx([2.0] * 4)
    assert found.factor.tolist() == pytest.approx([2.0] * 4)  # the deviation of (0, log 4) over √2 is log 2


def test_small_images_are_left_out() -> None:
    small = lattice_power(torch.rand(3, 63, 100))
    assert small.isnan().all()
    one = torch.ones(2, 4, dtype=torch.double)
    assert lattice_index([one, small], [one, small]).ratio.tolist() == [1.0] * 4
    assert lattice_index([small], [small]).ratio.isnan().all()
