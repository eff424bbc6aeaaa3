"""Three rows of docs/methods.md, drawn at random, are derived a second time, by other means than in their own tests.

The draw was ``random.Random(2026).sample(names, 3)`` of the names of the 67 rows of 2026-11-29 in alphabetical order:
``feature_matching``, ``ml``, ``wgan_gp``.
"""

import numpy as np
import pytest
import torch
from ensembles import ensemble, points
from torch import nn
from turns import open_turn

from gcn.game.protocols import DiscriminatorOutput
from gcn.losses.adversarial import MaximumLikelihood, Wasserstein
from gcn.losses.penalties import GP
from gcn.losses.perceptual import FeatureMatching


class TwoLayers(nn.Module):
    """A discriminator with the hidden layers x² and sin of the differences of neighbours."""

    def forward(self, images, cond):
        first = images.square()
        second = (first[..., 1:] - first[..., :-1]).sin()
        return DiscriminatorOutput((second.mean((1, 2, 3), keepdim=True),), (first, second))


def features(images):
    """The layers of ``TwoLayers`` in NumPy."""
    first = images**2
    return first, np.sin(np.diff(first, axis=-1))


def test_feature_matching_and_its_gradient_are_those_of_differences_of_its_definition():
    """Mean over layers of the mean absolute difference, and its central differences by each pixel of x_hat alone."""
    rng = np.random.default_rng(0)
    x, x_hat = rng.random((2, 1, 2, 3)), rng.random((2, 1, 2, 3))

    def defined(fake):
        pairs = zip(features(x), features(fake), strict=True)
        return np.mean([np.abs(b - a).mean() for a, b in pairs])

    turn = open_turn(torch.from_numpy(x), torch.from_numpy(x_hat), TwoLayers())
    value = FeatureMatching()(turn)
    assert value.item() == pytest.approx(defined(x_hat), abs=1e-12)
    (gradient,) = torch.autograd.grad(value, turn.x_hat)
    for place in np.ndindex(*x_hat.shape):
        step = np.zeros_like(x_hat)
        step[place] = 1e-6
        slope = (defined(x_hat + step) - defined(x_hat - step)) / 2e-6
        assert float(gradient[place]) == pytest.approx(slope, abs=1e-8)


def test_ml_with_an_optimal_discriminator_follows_the_gradient_of_the_likelihood():
    """Data p on five points, generator q = softmax(θ). With D = log p/q held fixed, the gradient of E_q g(D) for θ is
    that of the negative log-likelihood -E_p log q, taken here by central differences."""
    rng = np.random.default_rng(1)
    p, theta = rng.dirichlet(np.ones(5)), rng.normal(size=5)

    def negative_log_likelihood(at):
        return -(p * (at - np.log(np.exp(at).sum()))).sum()

    free = torch.from_numpy(theta).requires_grad_()
    q = free.softmax(0)
    optimal = (torch.from_numpy(p) / q).log().detach()
    (gradient,) = torch.autograd.grad((q * MaximumLikelihood().generator(optimal)).sum(), free)
    for k, step in enumerate(1e-6 * np.eye(5)):
        slope = (negative_log_likelihood(theta + step) - negative_log_likelihood(theta - step)) / 2e-6
        assert float(gradient[k]) == pytest.approx(slope, abs=1e-8)


def test_ml_has_the_optimal_discriminator_that_its_generator_assumes():
    """p f1(t) + q f2(t) is least at t = log p/q, found on a grid."""
    loss, t = MaximumLikelihood(), torch.linspace(-4, 4, 80001, dtype=torch.float64)
    for p, q in ((0.7, 0.2), (0.1, 0.6)):
        best = t[(p * loss.real(t) + q * loss.fake(t)).argmin()]
        assert float(best) == pytest.approx(np.log(p / q), abs=1e-3)


@pytest.mark.parametrize("weight", [0.5, 3.0])
@pytest.mark.parametrize("theta", [0.4, -1.5])
def test_wgan_gp_rests_where_the_slope_exceeds_one_by_the_distance_over_twice_the_weight(weight, theta):
    """Data at 0, reconstructions at θ, D = ψx: D pays ψθ + λ(|ψ| - 1)², least at ψ = -sign(θ)(1 + |θ|/2λ)."""
    game = ensemble(Wasserstein(), {"gp": (weight, GP())})
    best = -np.sign(theta) * (1 + abs(theta) / (2 * weight))
    around = points(*([theta, best + offset] for offset in (-1e-3, 0.0, 1e-3)))
    below, at, above = game.velocity(around)[:, 1].tolist()
    assert at == pytest.approx(0, abs=1e-9)
    assert below > 0 > above  # D returns from both sides: a minimum of its loss
    g = game.velocity(points([theta, best]))[0, 0]
    assert float(g) == pytest.approx(
        best
    )  # G climbs D with the slope of D, which the penalty does not change
