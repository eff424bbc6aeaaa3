"""Kernel distance (KID) between two sets of features: the squared maximum mean discrepancy of a cubic kernel."""

from typing import NamedTuple

import torch
from torch import Tensor

ROWS = 256  # of a kernel matrix that are held at once


class KernelDistance(NamedTuple):
    """Estimate of the squared distance, 0 for equal distributions, and its standard error over images."""

    value: float
    error: float


def cubic(a: Tensor, b: Tensor) -> Tensor:
    """The kernel (x·y/d + 1)³ between features (N, d) and (M, d): (N, M) (Bińkowski et al. 2018)."""
    return (a @ b.T / a.shape[1] + 1).pow(3)


def squared_mmd(real: Tensor, fake: Tensor) -> float:
    """Unbiased squared MMD of independent features (N, d) and (M, d) under the kernel `cubic`; N, M > 1."""
    real, fake = real.double(), fake.double()
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (cubic(real, real), cubic(fake, fake))]
    return float(within[0] + within[1] - 2 * cubic(real, fake).mean())


def paired_mmd(real: Tensor, fake: Tensor, image: Tensor) -> KernelDistance:
    """Unbiased squared MMD of features that come in pairs, of crops of photographs and of their reconstructions.

    The mean of k(x, x') + k(y, y') - k(x, y') - k(y, x') over pairs of crops of *different* images (Gretton et al.
    2012, *A kernel two-sample test*, equation 3, which asks for independent pairs). What both sets have in common
    cancels in each summand, so few images are enough; crops of one image, which resemble one another, never meet. The
    standard error is a jackknife over images.

    Args:
        real, fake: features (N, d) in the same order.
        image: (N,) index of the image that a crop is from, 0 to G - 1, G > 2.

    Raises:
        ValueError: other shapes, or fewer than three images.
    """
    if real.shape != fake.shape or image.shape != real.shape[:1] or len(image.unique()) < 3:
        raise ValueError(
            f"paired_mmd takes features (N, d) of three images or more, twice, and image (N,); got {real.shape},"
            f" {fake.shape} and {image.shape}"
        )
    real, fake = real.double(), fake.double()
    groups = int(image.max()) + 1
    sums = real.new_zeros(groups, groups)
    for x, y, at in zip(real.split(ROWS), fake.split(ROWS), image.split(ROWS), strict=True):
        terms = cubic(x, real) + cubic(y, fake) - cubic(x, fake) - cubic(y, real)  # (rows, N)
        columns = terms.new_zeros(len(terms), groups).index_add_(1, image, terms)
        sums.index_add_(0, at, columns)
    sizes = torch.bincount(image, minlength=groups).double()
    sums.fill_diagonal_(0)
    total, pairs = sums.sum(), sizes.sum() ** 2 - sizes.square().sum()
    # without an image its row and its column are left out
    without = total - sums.sum(0) - sums.sum(1)
    left = pairs - 2 * sizes * (sizes.sum() - sizes)
    kept = sizes > 0
    estimates, count = (without / left)[kept], int(kept.sum())
    error = ((estimates - estimates.mean()).square().sum() * (count - 1) / count).sqrt()
    return KernelDistance(float(total / pairs), float(error))
