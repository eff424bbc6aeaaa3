"""Fréchet and kernel distance against independent implementations, and the patches of FID/256."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gcn.metrics.feature_sets import frechet, kernel, patches

fidelity = pytest.importorskip("torch_fidelity")


def drawn(n, d=6, shift=0.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double() + shift


@pytest.mark.parametrize(("n", "m"), [(50, 60), (400, 30), (7, 300)])
def test_the_frechet_distance_is_that_of_scipy_s_matrix_root_to_a_billionth(n, m):
    a, b = drawn(n), drawn(m, shift=0.5, seed=1) * 1.5
    one, two = a.numpy(), b.numpy()
    s1, s2 = np.cov(one.T), np.cov(two.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet(b, a) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20, 25), (20, 200), (200, 150)])
def test_the_frechet_distance_is_torch_fidelity_s_to_a_millionth(n, m):
    """With fewer samples than dimensions as well, where a root of a singular matrix loses half of the digits."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = drawn(n, d=64), drawn(m, d=64, shift=0.2, seed=1)
    statistics = [fid_features_to_statistics(features) for features in (a, b)]
    (expected,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)


def test_the_frechet_distance_of_gaussians_on_a_line_has_a_closed_form():
    """(m1 - m2)² + (s1 - s2)², to a trillionth."""
    x = torch.tensor([[-1.0], [0.0], [1.0]])  # mean 0, deviation 1
    assert frechet(x, 3 * x + 5) == pytest.approx(25 + 4, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(5, 300), (300, 5)])
def test_equal_sets_are_at_distance_zero_to_a_trillionth_of_their_variance(n, d):
    a = drawn(n, d)
    assert frechet(a, a.flip(0)) == pytest.approx(0, abs=1e-12 * d)
    assert frechet(a.float(), a.float()) == pytest.approx(0, abs=1e-12 * d)  # in float64 all the same


def test_single_precision_is_left_before_anything_is_summed_up():
    a, b = drawn(40, shift=1e4).float(), drawn(40, shift=1e4, seed=1).float()
    assert frechet(a, b) == frechet(a.double(), b.double())
    assert kernel(a, b) == kernel(a.double(), b.double())


def test_a_gaussian_cannot_be_fitted_to_one_sample_or_to_other_dimensions():
    for a, b in ((drawn(1), drawn(9)), (drawn(9), drawn(0)), (drawn(9), drawn(9, d=7))):
        with pytest.raises(ValueError, match="frechet takes"):
            frechet(a, b)


def mmd(one, two):
    """The unbiased estimate, by loops over pairs."""

    def k(x, y):
        return (x @ y / len(x) + 1) ** 3

    def inner(xs):
        return np.mean([k(x, y) for i, x in enumerate(xs) for j, y in enumerate(xs) if i != j])

    return inner(one) + inner(two) - 2 * np.mean([k(x, y) for x in one for y in two])


def test_the_kernel_distance_is_the_u_statistic_to_a_billionth():
    a, b = drawn(30), drawn(30, shift=0.3, seed=1)
    assert kernel(a, b) == pytest.approx(mmd(a.numpy(), b.numpy()), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (20, 60)])
def test_the_kernel_distance_and_its_subsets_are_torch_fidelity_s(n, m):
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    a, b = drawn(n), drawn(m, shift=0.3, seed=1)
    theirs = kid_features_to_metric(
        a.double(), b.double(), kid_subsets=100, kid_subset_size=min(n, m), kid_kernel="poly",
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=0, verbose=False,
    )  # fmt: skip
    assert kernel(a, b) == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_subsets_of_sets_of_different_sizes_estimate_the_same_to_a_tenth():
    a, b = drawn(20), drawn(60, shift=1.0, seed=1)
    assert kernel(a, b) == pytest.approx(mmd(a.numpy(), b.numpy()), rel=0.1)


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ((255, 999), 0), ((256, 256), 1), ((383, 999), 3), ((384, 384), 1 + 1), ((512, 512), 4 + 1),
        ((512, 768), 6 + 2), ((1356, 2040), 35 + 4 * 7),
    ],
)  # fmt: skip
def test_patches_are_a_grid_and_the_grid_shifted(size, count):
    image = torch.arange(size[0] * size[1]).reshape(1, *size).expand(3, -1, -1)
    found = list(patches(image))
    assert len(found) == count
    assert all(patch.shape == (3, 256, 256) for patch in found)
    corners = [divmod(patch[0, 0, 0].item(), size[1]) for patch in found]
    assert len(set(corners)) == count
    assert all(row % 256 == column % 256 and row % 256 in (0, 128) for row, column in corners)
