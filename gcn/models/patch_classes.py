"""K-means of the 8×8 patches of images: the classes of :class:`gcn.models.labeller.Patches`."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from gcn.errors import InputError
from gcn.models.labeller import SIDE

ROUNDS = 50


def patches_of(images: Sequence[Tensor], count: int, seed: int) -> Tensor:
    """At most ``count`` patches (N, 192), drawn without repetition from the grids of images (3, H, W) in [0, 1]."""
    grids = []
    for image in images:
        height, width = (length // SIDE * SIDE for length in image.shape[-2:])
        grids.append(pixel_unshuffle(image[:, :height, :width], SIDE).flatten(1).T)
    patches = torch.cat(grids)
    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))
    return patches[order[:count]]


def k_means(points: Tensor, classes: int, seed: int) -> Tensor:
    """Means (classes, C) of Lloyd's algorithm on points (N, C), begun by k-means++ (Arthur and Vassilvitskii 2007).

    Raises:
        InputError: there are fewer distinct points than classes.
    """
    generator = torch.Generator().manual_seed(seed)
    means = points[torch.randint(len(points), (1,), generator=generator)]
    distance = (points - means).square().sum(1)
    while len(means) < classes:
        if not distance.any():
            raise InputError(
                f"classes={classes}: the images have only {len(means)} distinct patches; give fewer classes, or more "
                "images"
            )
        means = torch.cat((means, points[torch.multinomial(distance, 1, generator=generator)]))
        distance = torch.minimum(distance, (points - means[-1]).square().sum(1))
    for _ in range(ROUNDS):
        nearest = assigned(points, means)
        counts = nearest.bincount(minlength=classes)[:, None]
        sums = torch.zeros_like(means).index_add_(0, nearest, points)
        means = torch.where(counts > 0, sums / counts.clamp(min=1), means)
    return means


def assigned(points: Tensor, means: Tensor) -> Tensor:
    """Index (N,) of the mean nearest to each of points (N, C)."""
    return (points @ means.T - 0.5 * means.square().sum(1)).argmax(1)
