"""Kernel distance against loops over pairs, and its standard error against a jackknife by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gcn.metrics.mmd import cubic, paired_mmd, squared_mmd


def drawn(count: int, shift: float = 0.0, seed: int = 0) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)) + shift


def by_loops(real: Tensor, fake: Tensor, image: Tensor) -> float:
    def k(x: Tensor, y: Tensor) -> float:
        return (float(x.double() @ y.double()) / len(x) + 1) ** 3

    terms = [
        k(real[i], real[j]) + k(fake[i], fake[j]) - k(real[i], fake[j]) - k(fake[i], real[j])
        for i in range(len(real))
        for j in range(len(real))
        if image[i] != image[j]
    ]
    return float(np.mean(terms))


IMAGE = torch.tensor([0, 0, 0, 1, 1, 3, 3, 3, 4])  # image 2 has no crop


def test_the_kernel_by_hand() -> None:
    assert cubic(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])).item() == (11 / 2 + 1) ** 3


def test_the_paired_distance_is_the_mean_over_pairs_of_different_images() -> None:
    real, fake = drawn(9), drawn(9, 0.5, seed=1)
    assert paired_mmd(real, fake, IMAGE).value == pytest.approx(by_loops(real, fake, IMAGE), rel=1e-12)


def test_rows_at_once_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = drawn(9), drawn(9, 0.5, seed=1)
    whole = paired_mmd(real, fake, IMAGE)
    monkeypatch.setattr("gcn.metrics.mmd.ROWS", 2)
    assert paired_mmd(real, fake, IMAGE) == pytest.approx(whole, rel=1e-12)


def test_the_error_is_a_jackknife_over_images() -> None:
    real, fake = drawn(9), drawn(9, 0.5, seed=1)
    without = []
    for one in (0, 1, 3, 4):
        kept = one != IMAGE
        without.append(by_loops(real[kept], fake[kept], IMAGE[kept]))
    expected = np.sqrt(np.var(without) * 3)
    assert paired_mmd(real, fake, IMAGE).error == pytest.approx(expected, rel=1e-9)


def test_equal_sets_have_distance_zero() -> None:
    found = paired_mmd(drawn(9), drawn(9), IMAGE)
    assert found == pytest.approx((0, 0), abs=1e-12)


def test_two_draws_of_one_distribution_are_zero_within_the_error() -> None:
    real, fake, image = drawn(400), drawn(400, seed=1), torch.arange(400) // 4
    found = paired_mmd(real, fake, image)
    assert abs(found.value) < 3 * found.error
    shifted = paired_mmd(real, fake + 1, image)
    assert shifted.value > 5 * shifted.error


def test_independent_sets_of_unequal_sizes() -> None:
    a, b = drawn(4).double(), drawn(6, 1.0, seed=1).double()
    kaa, kbb, kab = cubic(a, a), cubic(b, b), cubic(a, b)
    off = [float((k.sum() - k.diagonal().sum()) / (len(k) ** 2 - len(k))) for k in (kaa, kbb)]
    assert squared_mmd(a, b) == pytest.approx(sum(off) - 2 * float(kab.mean()), rel=1e-12)


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="three images or more"):
        paired_mmd(drawn(4), drawn(4), torch.tensor([0, 0, 1, 1]))
