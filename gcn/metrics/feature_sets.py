"""Distances between two sets of features, and the patches that the sets are made of.

Which features, is the business of `gcn.metrics.learned`: only those of one published network make an FID or a KID.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gcn.metrics.mmd import squared_mmd

PATCH = 256  # pixels
MOST = 512  # patches of an image; those of an image of 16 megapixels
SUBSETS, SUBSET = 100, 1000  # of the kernel distance


def patches(image: Tensor) -> Iterator[Tensor]:
    """Patches (C, 256, 256) of an image (C, H, W): a grid, and the grid shifted by half a patch both ways.

    All that fit, as NeuralCompression cuts them for the FID/256 of Mentzer et al. 2020 (appendix A.7): an image of
    768x512 gives 6 + 2. Of an image with more than ``MOST``, as many at equal distances.
    """
    height, width = image.shape[-2:]
    places = [
        (top, left)
        for shift in (0, PATCH // 2)
        for top in range(shift, height - PATCH + 1, PATCH)
        for left in range(shift, width - PATCH + 1, PATCH)
    ]
    count = min(MOST, len(places))
    for i in range(count):
        top, left = places[i * len(places) // count]
        yield image[:, top : top + PATCH, left : left + PATCH]


def frechet(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of the Gaussians fitted to features (N, d) and (M, d) (Heusel et al. 2017), in float64.

    |m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½. With centred features A, B such that S1 = AᵀA and S2 = BᵀB, the last
    trace is the sum of the singular values of A Bᵀ: exact where fewer samples than dimensions make S1 and S2 singular,
    and there much faster than a root of d x d.

    Raises:
        ValueError: fewer than two samples, or sets of different d.
    """
    if real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) < 2:
        raise ValueError(f"frechet takes (N, d) and (M, d), N, M > 1; got {real.shape} and {fake.shape}")
    means = [features.double().mean(0) for features in (real, fake)]
    roots = [
        (features.double() - mean) / (len(features) - 1) ** 0.5
        for features, mean in zip((real, fake), means, strict=True)
    ]
    traces = sum(float(root.square().sum()) for root in roots)
    # A rotation of the samples leaves S = RᵀR and the singular values, so at most d rows are enough.
    a, b = (torch.linalg.qr(r, mode="r").R if len(r) > r.shape[1] else r for r in roots)
    shared = float(torch.linalg.svdvals(a @ b.T).sum())
    return float((means[0] - means[1]).square().sum()) + traces - 2 * shared


def kernel(real: Tensor, fake: Tensor) -> float:
    """Unbiased squared MMD of features (N, d), (M, d) with the kernel (x·y/d + 1)³ (Bińkowski et al. 2018).

    As torch-fidelity draws them: the mean over 100 subsets of 1000 features, or one with all min(N, M) where these are
    fewer; it may be slightly negative.
    """
    size = min(SUBSET, len(real), len(fake))
    subsets = 1 if size == len(real) == len(fake) else SUBSETS  # all subsets are the same set
    rng = np.random.RandomState(0)
    found = []
    for _ in range(subsets):
        chosen = [torch.from_numpy(rng.choice(len(one), size, replace=False)) for one in (real, fake)]
        found.append(squared_mmd(real[chosen[0]], fake[chosen[1]]))
    return sum(found) / subsets
