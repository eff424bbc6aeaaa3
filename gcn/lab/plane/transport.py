"""Wasserstein-1 distance between two samples of points, exact: the cheapest pairing of the points."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def wasserstein(points: Tensor, others: Tensor) -> Tensor:
    """Wasserstein-1 distance, in units of the plane, of two equally large samples in each game (E,), in float64.

    Two samples of equal size and equal weights have an optimal coupling that is a permutation, so that the distance is
    the least mean distance of paired points. Of two finite samples of one distribution it is not 0; compare it with
    that of two samples of the data. The time grows with the cube of the number of points.

    Args:
        points, others: samples (E, N, 2).

    Returns:
        The distances (E,); NaN in a game that has a point which is not finite.
    """
    found = torch.full((len(points),), torch.nan, dtype=torch.float64)
    for game, (one, other) in enumerate(zip(points.double(), others.double(), strict=True)):
        if bool(one.isfinite().all() and other.isfinite().all()):
            costs = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
            rows, columns = linear_sum_assignment(costs.numpy())
            found[game] = costs[torch.from_numpy(rows), torch.from_numpy(columns)].mean()
    return found
