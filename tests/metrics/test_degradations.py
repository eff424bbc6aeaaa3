"""Degradations have the strength that they state, and ladders increase."""

import math

import pytest
import torch
from torch import Tensor

from gcn.data.photos import photograph
from gcn.errors import InputError
from gcn.metrics.degradations import (
    LADDERS,
    Ladder,
    band_pass,
    checkerboard,
    dct_blocks,
    dct_matrix,
    gaussian_blur,
    ladder,
    rungs,
)

GREY = torch.full((1, 3, 64, 64), 0.5)


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.tensor(photograph("chelsea.png")[64:192, 128:256]).permute(2, 0, 1)[None].float() / 255


def rms(x: Tensor) -> float:
    """Root mean square in grey levels."""
    return 255 * math.sqrt(float(x.double().square().mean()))


@pytest.mark.parametrize("one", LADDERS, ids=lambda one: one.name)
def test_each_ladder_increases_in_its_unit(one: Ladder, photo: Tensor) -> None:
    assert len(one.strengths) >= 5
    assert list(one.strengths) == sorted(set(one.strengths))
    errors = [rms(one.at(photo, strength) - photo) for strength in one.strengths]
    assert errors == sorted(errors)
    assert errors[0] > 0.1
    assert errors[-1] > 2 * errors[0]


@pytest.mark.parametrize("one", LADDERS, ids=lambda one: one.name)
def test_the_seed_decides_everything(one: Ladder, photo: Tensor) -> None:
    strength = one.strengths[2]
    first = one.at(photo, strength, seed=1)
    assert first.shape == photo.shape
    assert torch.equal(first, one.at(photo, strength, seed=1))
    assert torch.equal(first, one.at(photo, strength, seed=2)) == ("noise" not in one.name)


def test_strengths_are_what_they_state() -> None:
    noise = ladder("noise").at(GREY.expand(16, 3, 64, 64), 6.0) - 0.5
    assert rms(noise) == pytest.approx(6, rel=0.01)
    for period in (2, 4, 8):
        lattice = ladder(f"lattice_{period}").at(GREY, 4.0) - 0.5
        assert torch.allclose(lattice.abs(), torch.tensor(4 / 255))
        assert torch.allclose(lattice, lattice.roll((period, 0), (2, 3)))
        assert torch.allclose(lattice, -lattice.roll((period // 2, 0), (2, 3)))
    shift = (ladder("colour").at(GREY, 8.0) - 0.5)[0, :, 0, 0] * 255
    assert shift.tolist() == pytest.approx([8, 0, -8], abs=1e-4)


def test_blur_has_the_transfer_function_of_its_gaussian() -> None:
    wave = torch.cos(2 * math.pi * torch.arange(128) / 16)
    x = wave.expand(1, 1, 128, 128)
    middle = gaussian_blur(x, 1.5)[0, 0, 64, 32:96]
    expected = math.exp(-2 * (math.pi * 1.5 / 16) ** 2)
    assert torch.allclose(middle, expected * wave[32:96], atol=1e-4)


def test_blocks_are_rounded_dct_coefficients(photo: Tensor) -> None:
    basis = dct_matrix(8)
    assert torch.allclose(basis @ basis.T, torch.eye(8), atol=1e-6)
    coefficients = basis @ dct_blocks(photo, 20 / 255)[0, 1, 8:16, 16:24] @ basis.T * 255 / 20
    assert torch.allclose(coefficients, coefficients.round(), atol=1e-3)
    odd = photo[..., :61, :43]
    assert dct_blocks(odd, 1e-6).shape == odd.shape
    assert torch.allclose(dct_blocks(odd, 1e-6), odd, atol=1e-5)


def test_ringing_adds_a_band_with_sharp_edges() -> None:
    wave = [torch.cos(2 * math.pi * k * torch.arange(64) / 64).expand(1, 1, 64, 64) for k in (8, 13, 20)]
    below, inside, above = (band_pass(one) for one in wave)
    assert below.abs().max() < 1e-5
    assert above.abs().max() < 1e-5
    assert torch.allclose(inside, wave[1], atol=1e-5)


def test_a_checkerboard_by_hand() -> None:
    assert checkerboard(2, 4, 4).tolist() == [[1, 1, -1, -1]] * 2
    assert checkerboard(3, 2, 2).tolist() == [[1, -1], [-1, 1], [1, -1]]


def test_rungs_go_through_the_named_ladders() -> None:
    assert [strength for _, strength in rungs(["noise"])] == list(ladder("noise").strengths)
    assert len(list(rungs())) == sum(len(one.strengths) for one in LADDERS)


def test_an_unknown_ladder_is_one_line() -> None:
    with pytest.raises(InputError, match=r"ladders=blurr: no such ladder.*blur, noise"):
        ladder("blurr")
