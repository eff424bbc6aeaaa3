"""Rows of docs/methods.md that were drawn by a seed are derived a second time, by other means than in their own tests.

Drawn are the three rows whose names have the smallest SHA-256 of ``"2026 NAME"``. A further row changes the draw only
if it is drawn itself; ``tests/study/methods/test_catalogue.py`` makes the draw. ``feature_matching``, ``ml`` and
``wgan_gp`` were drawn from an earlier list.
"""

import numpy as np
import pytest
import torch
from ensembles import ensemble, points
from scipy.special import rel_entr
from torch import nn
from turns import logits_turn, open_turn

from gcn.commands.method_spectra import leading
from gcn.game.protocols import DiscriminatorOutput
from gcn.losses.adversarial import FGAN, MaximumLikelihood, NonSaturating, Relativistic, Wasserstein
from gcn.losses.penalties import GP
from gcn.losses.perceptual import FeatureMatching
from gcn.study.methods.catalogue import Method


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_d_steps_is_a_geometric_sum_of_d_s_moves(gamma):
    """Dirac-GAN, D(x) = ψx, R1 of weight γ, five moves of D at a fixed θ: ψ ← aψ - bθ with a = (1 - hγ)⁵ and
    b = hp(1 + (1 - hγ) + … + (1 - hγ)⁴), then θ ← θ + hpψ, p = ½. Trace 1 + a - hpb, determinant a."""
    h, p, q = 0.1, 0.5, 1 - 0.1 * gamma
    a, b = q**5, h * p * (5 if q == 1 else (1 - q**5) / (1 - q))
    words = ("d_steps=5", "r1=0.5") if gamma else ("d_steps=5",)
    found = leading(Method("d_steps", "discriminator", words, "", "", "", "", "", True))
    assert found.modulus == pytest.approx(max(abs(np.roots([1, -(1 + a - h * p * b), a]))), abs=1e-6)


def test_fgan_js_at_its_best_discriminator_is_the_divergence_to_the_mixture():
    """The most that D can reach, found on a grid for each of five points, is KL(p|m) + KL(q|m) with m = (p + q)/2, and
    G's gradient there is that of this number, by central differences of its logits."""
    rng = np.random.default_rng(2)
    p, theta, loss = rng.dirichlet(np.ones(5)), rng.normal(size=5), FGAN("js")
    t = torch.linspace(-6, 6, 120001, dtype=torch.float64)

    def divergence(at):
        q = np.exp(at) / np.exp(at).sum()
        m = (p + q) / 2
        return rel_entr(p, m).sum() + rel_entr(q, m).sum()

    free = torch.from_numpy(theta).requires_grad_()
    q = free.softmax(0)
    pays = [p[k] * loss.real(t) + float(q[k].detach()) * loss.fake(t) for k in range(5)]
    best = torch.stack([t[paid.argmin()] for paid in pays])
    assert -sum(float(paid.min()) for paid in pays) == pytest.approx(divergence(theta), abs=1e-8)
    (gradient,) = torch.autograd.grad((q * loss.generator(best)).sum(), free)
    for k, step in enumerate(1e-5 * np.eye(5)):
        slope = (divergence(theta + step) - divergence(theta - step)) / 2e-5
        assert float(gradient[k]) == pytest.approx(slope, abs=1e-4)


def test_relativistic_pair_learns_the_odds_of_a_pair_as_bradley_and_terry_do():
    """Three images, shares p among the real ones and q among the fake ones. D's loss over all pairs is least where
    σ(t_i - t_j) is the probability that i is the real one of the pair {i, j}: t = log p/q, up to a constant."""
    p, q = torch.tensor([2, 1, 1]), torch.tensor([1, 1, 2])  # in quarters: 16 pairs
    real, fake = (torch.repeat_interleave(torch.arange(3), share) for share in (p, q))
    pairs = torch.cartesian_prod(real, fake)
    loss = Relativistic("pair").wrap(NonSaturating())

    def paid(t):
        return loss.d_loss(logits_turn(t[pairs[:, 0]], t[pairs[:, 1]])).detach()

    best = (p.double() / q).log()
    odds = (p[:, None] * q) / (p[:, None] * q + p * q[:, None]).double()
    assert torch.allclose((best[:, None] - best).sigmoid(), odds)
    for step in 1e-3 * torch.eye(3, dtype=torch.float64):
        above, at, below = (float(paid(best + sign * step)) for sign in (1, 0, -1))
        assert above > at < below
        assert above - below == pytest.approx(0, abs=1e-9)
    assert float(paid(best)) == pytest.approx(-float((odds.log() * (p[:, None] * q)).sum()) / 16)
    assert float(paid(best + 3)) == pytest.approx(float(paid(best)))  # only differences count


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
