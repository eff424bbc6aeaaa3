"""Minibatch discrimination against the paper's formula."""

import math

import pytest
import torch

from gcn.models.discriminator import Patch
from gcn.models.minibatch_discrimination import MinibatchDiscrimination


def layer(channels=3, kernels=2):
    torch.manual_seed(0)
    return MinibatchDiscrimination(channels, kernels).double()


def patch(kernels=None, depth=3):
    torch.manual_seed(0)
    return Patch(4, depth, False, False, 5, "none", minibatch_discrimination=kernels)


def features(batch=4, seed=0):
    return torch.randn(batch, 3, 2, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_closeness_is_the_sum_over_the_batch_of_the_exponentials_of_learned_distances():
    """o(x_i)_b = Σ_j exp(-Σ_c |Σ_a (f(x_i)_a - f(x_j)_a) T_abc|), by loops over all indices."""
    given, x = layer(), features()
    seen = given(x)
    assert torch.equal(seen[:, :3], x)
    assert seen.shape == (4, 5, 2, 5)
    f, t = x.mean((2, 3)).tolist(), given.tensor.weight.view(2, 5, 3).tolist()
    for i in range(4):
        for b in range(2):
            total = 0.0
            for j in range(4):
                rows = [sum((f[i][a] - f[j][a]) * t[b][c][a] for a in range(3)) for c in range(5)]
                total += math.exp(-sum(abs(row) for row in rows))
            assert seen[i, 3 + b].unique().tolist() == pytest.approx([total], rel=1e-12)
            assert 1 < total < 4


def test_equal_images_are_as_close_as_can_be_and_one_image_is_alone():
    assert torch.equal(
        layer()(features(1).expand(3, -1, -1, -1))[:, 3:], torch.full((3, 2, 2, 5), 3.0).double()
    )
    assert torch.equal(layer()(features(1))[:, 3:], torch.ones(1, 2, 2, 5).double())


def test_first_and_second_derivatives():
    given, x = layer(), features(3).requires_grad_()
    assert torch.autograd.gradcheck(given, x)
    assert torch.autograd.gradgradcheck(lambda x: given(x).square(), x)


def test_in_a_discriminator_logits_depend_on_the_other_images_and_earlier_layers_begin_as_without():
    plain, given = patch(), patch(kernels=6)
    a, b, c = torch.rand(3, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for discriminator, depends in ((plain, False), (given, True)):
        beside = [discriminator(torch.cat((a, other))).logits[0][0] for other in (b, c)]
        assert torch.equal(*beside) is not depends
    assert [name for name in given.state_dict() if "tensor" in name] == ["hidden.2.0.tensor.weight"]
    for i in range(2):
        assert torch.equal(plain.hidden[i][0].weight, given.hidden[i][0].weight)
    assert given.hidden[2][1].weight.shape[1] == plain.hidden[2][0].weight.shape[1] + 6


def test_both_layers_of_the_batch_fit_together():
    discriminator = Patch(4, 1, False, False, 5, "none", True, 3)
    assert discriminator.hidden[0][2].weight.shape[1] == 3 + 3 + 1
    assert discriminator(torch.rand(2, 3, 8, 8)).logits[0].shape == (2, 1, 4, 4)


def test_closeness_is_computed_in_full_precision_under_autocast():
    given = layer().float()
    x = 100 + features().float()  # bfloat16 resolves 0.5 here
    with torch.autocast("cpu", torch.bfloat16):
        seen = given(x.bfloat16())
    expected = given(x.bfloat16().float())
    assert seen.dtype == torch.bfloat16
    assert torch.allclose(seen[:, 3:].float(), expected[:, 3:], rtol=2**-8)
