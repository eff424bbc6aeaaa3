import pytest
import torch

from gcn.errors import InputError
from gcn.models.patch_classes import assigned, k_means, patches_of


def test_separate_clusters_are_found():
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = (centres[:, None] + torch.randn(4, 50, 2, generator=generator) / 10).flatten(0, 1)
    means = k_means(points, 4, seed=0)
    order = assigned(centres, means)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(means[order], points.view(4, 50, 2).mean(1))


def test_more_classes_than_distinct_patches_are_refused():
    with pytest.raises(InputError, match="only 2 distinct patches"):
        k_means(torch.tensor([[0.0], [1.0], [0.0]]), 3, seed=0)


def test_patches_are_those_of_the_grids():
    image = torch.arange(3 * 16 * 20.0).reshape(3, 16, 20)
    found = patches_of([image], 100, seed=0)
    corners = [(i, j) for i in (0, 8) for j in (0, 8)]
    expected = torch.stack([image[:, i : i + 8, j : j + 8].flatten() for i, j in corners])
    assert found.shape == (4, 192)
    assert {tuple(p.tolist()) for p in found} == {tuple(p.tolist()) for p in expected}
    assert len(patches_of([image], 3, seed=0)) == 3
