import numpy as np
import pytest
import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.ops import LowerBound

from gcn.models.entropy import (
    FLOOR,
    LARGEST_SCALE,
    SMALLEST_SCALE,
    BoundedGaussian,
    FactorizedDensity,
    Gaussian,
)


def density(channels, init_scale=10.0, speed=1.0):
    return FactorizedDensity(channels, init_scale, speed)


def test_factorised_likelihoods_are_compressai_s():
    torch.manual_seed(0)
    ours, theirs = density(5), EntropyBottleneck(5)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    y = torch.randn(2, 5, 3, 4) * 10
    noise = torch.rand_like(y) - 0.5
    values = (y + noise).transpose(0, 1).reshape(5, 1, -1)
    expected = theirs._likelihood(values)[0].reshape(5, 2, 3, 4).transpose(0, 1)
    assert torch.allclose(ours.likelihood(y + noise), expected + FLOOR, atol=2e-7)


def test_weights_have_compressai_s_names_shapes_and_first_values():
    torch.manual_seed(0)
    ours = density(5, init_scale=7.0)
    torch.manual_seed(0)
    theirs = EntropyBottleneck(5, init_scale=7.0)
    pairs = [(ours, theirs), (Gaussian(), GaussianConditional(None))]
    for one, other in pairs:
        expected = other.state_dict()
        expected.pop("likelihood_lower_bound.bound")  # the floor has its place
        torch.testing.assert_close(one.state_dict(), expected)


def test_speed_changes_the_steps_and_not_the_density():
    y = torch.randn(2, 5, 3, 4) * 10
    likelihoods, moved = [], []
    for speed in (1.0, 10.0):
        torch.manual_seed(0)
        bottleneck = density(5, speed=speed)
        optimizer = torch.optim.Adam(bottleneck.biases, 1e-3)
        before = bottleneck.likelihood(y)
        likelihoods.append(before.detach())
        before.log().sum().neg().backward()
        optimizer.step()
        moved.append((bottleneck.likelihood(y) - before).detach())
    assert torch.allclose(*likelihoods, atol=1e-6)
    assert 8 < (moved[1].norm() / moved[0].norm()).item() < 12


def test_gaussian_likelihoods_are_compressai_s():
    torch.manual_seed(0)
    y, mean, scale = torch.randn(2, 4, 3, 3) * 5, torch.randn(2, 4, 3, 3), torch.rand(2, 4, 3, 3) * 5 + 0.11
    expected = GaussianConditional(None)._likelihood(y, scale, mean)
    assert torch.allclose(Gaussian().likelihood(y, mean, scale), expected + FLOOR, atol=1e-7)


def test_likelihoods_sum_to_one():
    torch.manual_seed(0)
    grid = torch.arange(-400.0, 401.0).reshape(1, 1, 1, -1).expand(1, 3, 1, -1)
    assert torch.allclose(density(3).likelihood(grid).sum(-1), torch.ones(1, 3, 1), atol=1e-4)
    scale = torch.tensor([0.11, 1.0, 30.0]).reshape(1, 3, 1, 1)
    assert torch.allclose(
        Gaussian().likelihood(grid, scale * 0.3, scale).sum(-1), torch.ones(1, 3, 1), atol=1e-4
    )


def test_tails_keep_their_gradient():
    """No cancellation on the upper side, and never more than 30 bits."""
    bottleneck = density(1)
    with torch.no_grad():
        bottleneck.bisect(integer_medians=False)
    low, _, high = bottleneck.quantiles[0, 0].tolist()
    y = torch.tensor([low, high]).reshape(1, 1, 1, 2).requires_grad_()
    p = bottleneck.likelihood(y)
    p.log().sum().backward()
    assert y.grad[0, 0, 0, 0] > 0 > y.grad[0, 0, 0, 1]
    far = bottleneck.likelihood(torch.tensor([-1e6, 1e6]).reshape(1, 1, 1, 2))
    assert torch.allclose(far, torch.full_like(far, FLOOR))


def test_gaussian_curvature_where_rounding_leads():
    """At y = mean exactly, where abs() would lose the second derivative."""
    y = torch.zeros(1, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    scale = torch.ones_like(y)

    def p(v):
        return Gaussian().likelihood(v, torch.zeros_like(v), scale).sum()

    (first,) = torch.autograd.grad(p(y), y, create_graph=True)
    (second,) = torch.autograd.grad(first, y)
    h = 1e-4
    numeric = (p(y + h) - 2 * p(y) + p(y - h)) / h**2
    assert first.item() == pytest.approx(0, abs=1e-12)
    assert second.item() == pytest.approx(numeric.item(), rel=1e-4)


@pytest.mark.parametrize("integer", [False, True])
def test_bisection_finds_the_quantiles(integer):
    torch.manual_seed(0)
    bottleneck = density(6)
    with torch.no_grad():
        for bias in bottleneck.biases:
            bias.add_(torch.randn_like(bias))
    bottleneck.bisect(integer)
    medians = bottleneck.quantiles[:, 0, 1]
    logits = bottleneck._logits_cumulative(bottleneck.quantiles)
    if integer:
        assert torch.equal(medians, medians.round())
    else:
        assert logits[:, 0, 1].abs().max() < 1e-3
    assert torch.allclose(logits[:, 0, 0], bottleneck.target[0].expand(6), rtol=1e-3)
    assert torch.allclose(logits[:, 0, 2], bottleneck.target[2].expand(6), rtol=1e-3)


def test_a_very_wide_density_has_a_bounded_table():
    bottleneck = density(2, init_scale=1e5)
    bottleneck.bisect(integer_medians=False)
    assert bottleneck.make_tables().lengths.max() < 5000


def test_bisection_ends_on_weights_that_are_not_numbers():
    bottleneck = density(2)
    with torch.no_grad():
        bottleneck.matrices[0].fill_(float("nan"))
    bottleneck.bisect(integer_medians=False)


def test_tables_cost_what_the_density_says():
    torch.manual_seed(0)
    bottleneck = density(4)
    bottleneck.bisect(integer_medians=True)
    tables = bottleneck.make_tables()
    tables.check()
    for k in range(4):
        symbols = tables.offsets[k] + torch.arange(int(tables.lengths[k]) - 1)
        y = (symbols + bottleneck.medians[k, 0, 0]).reshape(1, 1, 1, -1).expand(1, 4, 1, -1)
        p = bottleneck.likelihood(y)[0, k, 0].detach()
        mean_cost = (p * tables.costs[tables.starts[k] : tables.starts[k + 1] - 1]).sum()
        assert mean_cost.item() == pytest.approx(-(p * p.log2()).sum().item(), rel=0.005, abs=0.002)


def test_the_table_of_a_scale_is_the_cheapest_for_it():
    tables, scales, borders = Gaussian().make_tables(), Gaussian.scales(), Gaussian.borders()
    assert scales[0].item() == pytest.approx(SMALLEST_SCALE)
    assert scales[-1].item() == pytest.approx(LARGEST_SCALE)
    entropies = []
    for k, scale in enumerate(scales.tolist()):
        p = tables.table(k) / 65536
        entropies.append(-(p * np.log2(p)).sum())
        if scale > 1:  # a Gaussian in steps of 1
            assert entropies[-1] == pytest.approx(
                0.5 * np.log2(2 * np.pi * np.e * (scale**2 + 1 / 12)), abs=0.05
            )
    assert entropies == sorted(entropies)
    assert ((scales[:-1] < borders) & (borders < scales[1:])).all()


def test_a_bounded_scale_has_the_gradient_of_compressai_s_bound():
    torch.manual_seed(0)
    y, mean = (torch.randn(2, 4, 3, 3).double() for _ in range(2))
    raw = (torch.randn(2, 4, 3, 3).double() + 0.11).requires_grad_()
    y[0, 0, 0] = mean[0, 0, 0]  # where a larger scale costs bits, nothing may pass
    bound = LowerBound(SMALLEST_SCALE).double()
    bound.bound.fill_(SMALLEST_SCALE)
    theirs = Gaussian().likelihood(y, mean, bound(raw))
    ours = BoundedGaussian().likelihood_of_raw(y, mean, raw)
    assert torch.equal(ours, theirs)
    (wanted,) = torch.autograd.grad(-theirs.log2().sum(), raw)
    (found,) = torch.autograd.grad(-ours.log2().sum(), raw)
    torch.testing.assert_close(found, wanted)
    below = raw < SMALLEST_SCALE
    assert (found[below] < 0).sum() > 5
    assert (found[below] == 0).sum() > 5
    assert (found[~below] > 0).sum() > 5


def test_second_derivatives_of_a_bounded_scale_are_those_of_the_maximum():
    torch.manual_seed(0)
    y, gaussian = torch.randn(8).double(), BoundedGaussian()

    def bits(mean, raw):
        return -gaussian.likelihood_of_raw(y, mean, raw).log2().sum()

    def plain(mean, raw):
        return -gaussian.likelihood(y, mean, raw.clamp(min=SMALLEST_SCALE)).log2().sum()

    at = (
        torch.randn(8).double() * 0.3,
        torch.tensor([-2.0, -0.1, 0.05, 0.109, 0.12, 0.3, 1.0, 4.0]).double(),
    )
    wanted, found = (torch.autograd.functional.hessian(f, at) for f in (plain, bits))
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        torch.testing.assert_close(found[i][j], wanted[i][j])
    assert wanted[1][1].diagonal()[4:].abs().min() > 1e-3


def test_a_scale_below_the_bound_can_rise():
    raw = torch.full((1,), -1.0, dtype=torch.float64, requires_grad=True)
    y, optimizer = torch.tensor([0.9], dtype=torch.float64), torch.optim.Adam([raw], 0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (-BoundedGaussian().likelihood_of_raw(y, torch.zeros_like(y), raw).log2()).sum().backward()
        optimizer.step()
    assert 0.5 < raw.item() < 1.5


def test_present_medians_are_those_of_the_bisection():
    torch.manual_seed(0)
    bottleneck = density(40)
    with torch.no_grad():
        for p in (*bottleneck.biases, *bottleneck.matrices):
            p.add_(torch.randn(p.shape))
        bottleneck.biases[0].mul_(30)
    found = bottleneck.present_medians()
    assert torch.equal(bottleneck.medians, torch.zeros(40, 1, 1))
    bottleneck.bisect(integer_medians=False)
    assert bottleneck.medians.abs().max() > 10
    assert torch.allclose(found, bottleneck.medians, rtol=1e-5, atol=1e-5)
