"""What follows from the spectra, one section for each consequence, on the small games of the lab."""

import math

import numpy as np
import pytest
import torch
from ensembles import (
    FORCES,
    assert_spectrum,
    distance,
    ensemble,
    measured,
    measured_each,
    mse,
    played,
    points,
    radii,
    root,
)
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

from gcn.game.rules import Alternating, Simultaneous
from gcn.lab.games import Bilinear, Concave, LinearND, Lossy, Quantiser, Uniform
from gcn.losses.adversarial import NonSaturating, Vanilla, Wasserstein
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1, R2
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.regularizers import GradNorm

NS, P = NonSaturating(), 0.5


def slowest(game, at=None):
    """The largest real part: the rate at which the game comes to rest, if negative."""
    return np.real(measured(game, at)).max()


def flow(game, start, times):
    """The production field integrated by SciPy, (T, N)."""
    field = game.field(1)

    def velocity(_, w):
        return field(torch.from_numpy(w)[None])[0].numpy()

    return solve_ivp(velocity, (0, times[-1]), start, "LSODA", times, rtol=1e-6, atol=1e-8).y.T


# 1. four ways to the same spectrum


@pytest.mark.parametrize("mu", [0.2, 0.8, 2.0])
def test_distortion_penalty_noise_and_gradient_norm_have_the_same_spectrum(mu):
    expected = [-mu + root(mu**2 - P**2), -mu - root(mu**2 - P**2)]
    for game in (
        ensemble(NS, mse(mu)),
        ensemble(NS, {"r1": (2 * mu, R1())}),
        ensemble(NS, {"r2": (2 * mu, R2())}),
        ensemble(NS, perturbations=[InstanceNoise(math.sqrt(4 * mu))]),
        ensemble(NS, {"grad_norm": (mu / P**2, GradNorm())}),
    ):
        assert_spectrum(game, expected)


def test_a_distortion_damps_the_generator_and_a_penalty_the_discriminator():
    mu = 0.8
    distortion, penalty = (
        ensemble(NS, terms).jacobian(points([0, 0]))[0].diagonal().tolist()
        for terms in (mse(mu), {"r1": (2 * mu, R1())})
    )
    assert distortion == pytest.approx([-2 * mu, 0])
    assert penalty == pytest.approx([0, -2 * mu])


# 2. more distortion is not more stability


@pytest.mark.parametrize("name", ["ns", "wgan", "lsgan pair"])
def test_the_slow_mode_of_a_heavy_distortion(name):
    """-μ + √(μ² - p²) = -p²/(2μ)·(1 + p²/(4μ²) + …)."""
    loss, p = FORCES[name]
    for mu in (5 * p, 10 * p, 40 * p):
        assert slowest(ensemble(loss, mse(mu))) == pytest.approx(-(p**2) / (2 * mu), rel=0.3 * (p / mu) ** 2)


@pytest.mark.parametrize("name", ["ns", "wgan", "lsgan pair"])
def test_the_best_rate_is_where_the_distortion_weighs_as_much_as_the_force(name):
    loss, p = FORCES[name]
    mus = p * np.geomspace(0.1, 10, 41)  # the middle one is p
    rates = np.real(measured_each(ensemble(loss, mse(1.0)), {"mse": mus.tolist()})).max(1)
    assert np.argmin(rates) == 20
    assert min(rates) == pytest.approx(-p, rel=1e-6)
    assert rates[-1] > 0.1 * rates[20]  # ten times the weight is more than ten times slower


# 3. distortion and penalty complement each other


def test_the_numbers_of_the_table_of_distortions():
    table = {
        0.1: (-0.1 + 0.490j, -0.1 - 0.490j),
        0.25: (-0.25 + 0.433j, -0.25 - 0.433j),
        0.5: (-0.5, -0.5),
        1.0: (-0.134, -1.866),
        2.0: (-0.0635, -3.94),
    }
    for mu, expected in table.items():
        shown = 5e-3 if mu == 2 else 5e-4  # half of the last digit
        assert distance(measured(ensemble(NS, mse(mu))), expected) < shown


def test_a_penalty_makes_an_overdamped_distortion_nine_times_faster():
    alone, together = (slowest(ensemble(NS, {**mse(2.0), "r1": (gamma, R1())})) for gamma in (0.0, 0.5))
    assert alone == pytest.approx(-0.0635, abs=5e-5)
    assert together == pytest.approx(-0.573, abs=5e-4)
    assert together / alone == pytest.approx(9, rel=0.01)


# 4. the optimum of the distortion is not the data

LOSSY = [0.1, 0.45, 0.55, 0.6]


def held(mu, m, p=P):
    """Where D must stay to hold G at the data; 2μm/p in the sign of the literature."""
    return [0.0, -2 * mu * m / p]


@pytest.mark.parametrize("m", [0.5, 1.0])
@pytest.mark.parametrize("name", ["ns", "vanilla", "wgan", "hinge", "lsgan"])
def test_where_the_distortion_pulls_away_the_discriminator_stays_at_work(name, m):
    loss, p = FORCES[name]
    game = ensemble(loss, mse(0.3), small=Lossy(m))
    rest = points(held(0.3, m, p))
    assert game.velocity(rest).norm() < 1e-12
    assert game.small.rest(game.strengths) == pytest.approx(rest[0].tolist())
    assert game.velocity(points([0.0, 0.0])).norm() > 0.1


@pytest.mark.parametrize("mu", LOSSY)
@pytest.mark.parametrize("m", [0.5, 1.0])
@pytest.mark.parametrize(("loss", "curvature"), [(NS, 1 / 4), (Vanilla(), -1 / 4)], ids=["ns", "vanilla"])
def test_the_spectrum_under_a_distortion_that_pulls_away(loss, curvature, m, mu):
    """What G pays curves by g'' = ±¼ at the logit 0: a = -μ - ½g''ψ*² ± √(a² - p²)."""
    a = -mu - curvature / 2 * (2 * mu * m / P) ** 2
    game = ensemble(loss, mse(mu), small=Lossy(m))
    assert_spectrum(game, [a + root(a**2 - P**2), a - root(a**2 - P**2)], at=held(mu, m))


@pytest.mark.parametrize("m", [0.5, 1.0, 2.0])
def test_vanilla_loses_its_stability_at_half_and_ns_never_does(m):
    for share in (0.5, 0.98, 1.02, 2.0):
        mu = share * 0.5 / m**2
        ns, vanilla = (slowest(ensemble(l, mse(mu), small=Lossy(m)), held(mu, m)) for l in (NS, Vanilla()))
        assert ns < 0
        assert (vanilla > 0) == (share > 1)


@pytest.mark.parametrize(("mu", "stable"), [(0.45, True), (0.6, False)])
def test_the_flow_of_vanilla_on_both_sides_of_half(mu, stable):
    path = flow(ensemble(Vanilla(), mse(mu), small=Lossy()), [0.01, held(mu, 1)[1]], np.linspace(0, 40, 41))
    apart = np.linalg.norm(path - held(mu, 1), axis=1)
    assert (apart[-10:].max() < 0.4 * apart[0]) == stable
    assert (apart[-10:].max() > 5 * apart[0]) == (not stable)


def test_the_flow_of_ns_comes_to_rest_beyond_half():
    path = flow(ensemble(NS, mse(0.6), small=Lossy()), [0.3, 0.0], np.linspace(0, 90, 46))
    assert np.linalg.norm(path[-1] - held(0.6, 1)) < 1e-3


@pytest.mark.parametrize("levels", [2, 4])
def test_a_quantised_gaussian_has_no_common_optimum_and_rests_at_the_right_variance(levels):
    """Distortion is least at θ = 1; the equilibrium has E x_hat² = E x², and D stays at work: ψ* = μ(θ* - 1)/(pθ*)."""
    mu, game = 0.5, ensemble(Wasserstein(), mse(0.5), small=Quantiser(levels))
    theta = game.small.energy**-0.5
    assert theta > 1.05
    rest = [theta, mu * (theta - 1) / theta]
    assert game.velocity(points(rest)).norm() < 1e-12
    x_hat = game.small.decode(points([theta]), game.batch(1))
    assert x_hat.square().mean().item() == pytest.approx(1)
    found = measured(game, rest)
    assert found == pytest.approx(game.small.closed_form(game.strengths))
    assert np.real(found).max() < 0


# 5. a one-centred penalty and a distortion

DIRAC_GP = np.array([(0.5, 0.5, 1.0), (0.2, 1.0, 1.0), (0.5, 2.0, 0.5), (1.0, 0.3, 2.0)])  # μ, λ, g₀


def one_centred(loss, mu, weight, target):
    return ensemble(loss, {**mse(mu), "gp": (weight, GP(target=target))})


def ends(loss, starts):
    """Where the games of DIRAC_GP, from each start, end; all are played at once. (games, starts, 2)"""
    mu, weight, target = torch.from_numpy(DIRAC_GP.repeat(len(starts), axis=0)).T
    game = one_centred(loss, mu, weight, target[:, None])  # a target for each game, over the batch
    end = played(game, starts * len(DIRAC_GP), 300, Simultaneous, h=0.1)[-1]
    return end.reshape(len(DIRAC_GP), len(starts), 2).numpy()


def test_wgan_gp_with_a_distortion_converges_to_the_wrong_point():
    """G rests at ψ = 2μθ, D at θ = -2λ(ψ - g₀): θ* = 2λg₀/(1 + 4μλ) or the same with the other sign, not 0."""
    for end, (mu, weight, target) in zip(
        ends(Wasserstein(), [(0.1, 0.1), (1, 1), (-1, 0.5), (2, -2)]), DIRAC_GP.tolist(), strict=True
    ):
        theta = 2 * weight * target / (1 + 4 * mu * weight)
        assert abs(end[:, 0]) == pytest.approx(theta, rel=1e-6)
        assert end[:, 1] == pytest.approx(2 * mu * end[:, 0], rel=1e-6)
        assert theta > 0.1
        expected = [-(mu + weight) + s * root((weight - mu) ** 2 - 1) for s in (1, -1)]
        game = one_centred(Wasserstein(), mu, weight, target)
        assert distance(measured(game, [theta, 2 * mu * theta]), expected) < 1e-6


def test_ns_with_a_one_centred_penalty_and_a_distortion_converges_to_a_wrong_point():
    """No formula: σ(-u)ψ = 2μθ and σ(u)θ = -2λ(ψ - g₀), solved by SciPy."""

    def field(w, mu, weight, target):
        theta, psi = w
        sigma = 1 / (1 + math.exp(-theta * psi))
        return [(1 - sigma) * psi - 2 * mu * theta, sigma * theta + 2 * weight * (psi - target)]

    for end, of in zip(
        ends(NonSaturating(), [(0.1, 0.1), (1, 1), (-1, 0.5)]), DIRAC_GP.tolist(), strict=True
    ):
        expected = np.abs(fsolve(field, [0.3, 0.7 * of[2]], tuple(of), xtol=1e-12))
        assert expected[0] > 0.1
        assert abs(end) == pytest.approx(np.broadcast_to(expected, (3, 2)), rel=1e-5)


def test_under_a_light_distortion_a_limit_cycle_surrounds_the_wrong_points():
    """They are stable for every μ > 0, but attract everything only where the damping is strong enough."""
    mu, weight = 0.1, 0.3
    theta = 2 * weight / (1 + 4 * mu * weight)
    game = one_centred(Wasserstein(), mu, weight, 1.0)
    near, far = played(game, [(theta + 0.05, 2 * mu * theta), (1, 1)], 420, Alternating, h=0.08)[
        -110:
    ].unbind(1)
    assert (near - points([theta, 2 * mu * theta])).norm(dim=1).max() < 0.01
    assert 0.9 < far[:, 0].max() < 0.97
    assert far[:, 0].min() == pytest.approx(-far[:, 0].max().item(), rel=0.02)


@pytest.mark.parametrize("penalty", [R1, R2])
def test_a_zero_centred_penalty_and_a_distortion_converge_to_the_data(penalty):
    game = ensemble(Wasserstein(), {**mse(0.5), penalty.__name__.lower(): (1.0, penalty())})
    assert radii(played(game, [(1, 1), (-1, 0.5)], 70, Simultaneous, h=0.25))[-1].max() < 1e-6


# 6. many dimensions

SINGULAR = [0.25, 0.5, 1.0, 2.0]


def many(mu=0.0, loss=None, terms=None, extra=2):
    small = LinearND(SINGULAR, extra)
    return ensemble(loss or Wasserstein(), {**mse(mu, len(SINGULAR) + extra), **(terms or {})}, small=small)


def modes(mu, p=1.0):
    """-μ ± √(μ² - (ps)²) for each singular value s."""
    return [-mu + sign * root(mu**2 - (p * s) ** 2) for s in SINGULAR for sign in (1, -1)]


@pytest.mark.parametrize("mu", [0.3, 0.7, 3.0])
@pytest.mark.parametrize("name", ["wgan", "ns", "lsgan pair"])
def test_every_singular_value_of_the_cross_block_is_a_game_of_its_own(name, mu):
    loss, p = FORCES[name]
    found = measured(many(mu, loss))
    assert_spectrum(many(mu, loss), [*modes(mu, p), 0, 0])
    fast = [v for v in found if abs(v.imag) > 1e-6]
    assert np.real(fast) == pytest.approx(-mu)
    assert len(fast) == 2 * sum(p * s > mu for s in SINGULAR)


def test_the_singular_values_are_those_of_the_production_jacobian():
    jacobian = many(0.7).jacobian(torch.zeros(1, 10, dtype=torch.float64))[0]
    cross = jacobian[4:, :4]
    assert torch.linalg.svdvals(cross).tolist() == pytest.approx(sorted(SINGULAR, reverse=True))
    assert 6 - torch.linalg.matrix_rank(cross).item() == 2  # D's kernel, out of G's reach


def test_a_distortion_is_a_mean_over_coordinates_unless_its_unit_makes_up_for_it():
    plain = ensemble(Wasserstein(), {"mse": (3.0, MSE(unit=255))}, small=LinearND(SINGULAR, extra=2))
    assert_spectrum(plain, [*modes(3.0 / 6), 0, 0])


def test_only_a_penalty_on_the_discriminator_damps_its_kernel():
    gamma, kernel = 0.6, slice(8, None)  # ψ5 and ψ6
    for terms, expected in (
        ({}, 0),
        ({"grad_norm": (1.0, GradNorm())}, 0),
        ({"r1": (gamma, R1())}, -gamma),
        ({"r2": (gamma, R2())}, -gamma),
    ):
        block = many(0.7, terms=terms).jacobian(torch.zeros(1, 10, dtype=torch.float64))[0, kernel]
        assert block[:, :8].abs().max() < 1e-12
        assert torch.allclose(block[:, 8:], expected * torch.eye(2, dtype=torch.float64))


def test_what_the_discriminator_says_out_of_the_generators_reach_stays():
    start = (*[0.5] * 4, *[0.5] * 6)
    end = played(many(0.3), [start], 120, Alternating, h=0.6)[-1, 0]
    assert end[:8].abs().max() < 1e-4
    assert end[8:].tolist() == pytest.approx([0.5, 0.5])


# 7. the uniform example of Nagarajan and Kolter

UNIFORM = {
    "bare": ({}, [2j / 3, -2j / 3]),
    "gradient norm, light": (
        {"grad_norm": (0.8, GradNorm())},
        [-4 * 0.8 / 9 + s * 2 / 9 * root(4 * 0.8**2 - 9) for s in (1, -1)],
    ),
    "gradient norm, heavy": (
        {"grad_norm": (2.5, GradNorm())},
        [-4 * 2.5 / 9 + s * 2 / 9 * root(4 * 2.5**2 - 9) for s in (1, -1)],
    ),
    "distortion, light": (mse(0.7), [-0.7 / 3 + s * root(0.7**2 - 4) / 3 for s in (1, -1)]),
    "distortion, heavy": (mse(3.0), [-3.0 / 3 + s * root(3.0**2 - 4) / 3 for s in (1, -1)]),
    "penalty, light": ({"r1": (0.4, R1())}, [-2 * 0.4 / 3 + s * 2 / 3 * root(0.4**2 - 1) for s in (1, -1)]),
    "penalty, heavy": ({"r1": (2.0, R1())}, [-2 * 2.0 / 3 + s * 2 / 3 * root(2.0**2 - 1) for s in (1, -1)]),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_the_uniform_example(name):
    terms, expected = UNIFORM[name]
    assert_spectrum(ensemble(Wasserstein(), terms, small=Uniform()), expected, at=[1, 0])


@pytest.mark.parametrize("samples", [2, 8, 64])
def test_the_uniform_example_is_exact_whatever_the_number_of_samples(samples):
    assert_spectrum(ensemble(Wasserstein(), small=Uniform(samples)), [2j / 3, -2j / 3], at=[1, 0])


# 8. the bilinear game


def test_the_flow_of_the_bilinear_game_circles():
    times = np.linspace(0, 20, 201)
    path = flow(ensemble(Wasserstein(), small=Bilinear()), [1.0, 0.5], times)
    assert np.linalg.norm(path, axis=1) == pytest.approx(math.hypot(1, 0.5), rel=1e-4)
    turned = np.stack([np.cos(times) + 0.5 * np.sin(times), 0.5 * np.cos(times) - np.sin(times)], axis=1)
    assert np.abs(path - turned).max() < 1e-4


@pytest.mark.parametrize("h", [1e-3, 0.1, 1.0])
def test_simultaneous_descent_of_the_bilinear_game_spirals_out_at_every_step_size(h):
    radius = radii(
        played(ensemble(Wasserstein(), small=Bilinear()), [(1, 0.5), (-3, 2)], 20, Simultaneous, h)
    )
    assert (radius[1:] / radius[:-1]).numpy() == pytest.approx(math.sqrt(1 + h**2), rel=1e-13)


# besides: the claim that a generator may minimise a concave function


def test_a_concave_game_is_stable_without_any_term():
    """The width of the data damps D: a = 0, d = ½(m² + s²), b = c = ½m."""
    mean, std = 1.0, 0.5
    game = ensemble(NS, small=Concave(mean, std))
    d = 0.5 * (mean**2 + std**2)
    expected = [-d / 2 + s * root(d**2 / 4 - (mean / 2) ** 2) for s in (1, -1)]
    assert_spectrum(game, expected, at=[1, 0])


def test_the_cost_of_the_concave_game_is_concave_in_the_generator():
    """V(θ, ψ) = E f(ψx) + E f(-ψθx), which vanilla's G minimises: G's force rises with θ, -∂²V/∂θ² > 0."""
    at = points([1.0, 0.7], [0.5, -1.0], [1.5, 2.0])
    assert ensemble(Vanilla(), small=Concave()).jacobian(at)[:, 0, 0].min() > 0
