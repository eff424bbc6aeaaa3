"""Every row of the table of spectra: the production objects, the closed form of the lab, and the formula typed here.

Formulas hold in continuous time at the equilibrium θ = ψ = 0. p is the force of the loss, ½ for the logistic ones.
"""

import math

import numpy as np
import pytest
import torch
from ensembles import (
    FORCES,
    assert_spectra,
    assert_spectrum,
    descent,
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

from gcn.game.rules import SGA, Alternating, Simultaneous
from gcn.game.streams import Streams
from gcn.lab.ensemble import play
from gcn.lab.games import Concave, Dirac, LinearND, Quantiser, Uniform
from gcn.losses.adversarial import (
    FGAN,
    LSGAN,
    Hinge,
    NonSaturating,
    Relativistic,
    Vanilla,
    Wasserstein,
)
from gcn.losses.label_smoothing import LabelSmoothing
from gcn.losses.penalties import DRAGAN, GP, R1, R2, ApproximateR1, Roth
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.regularizers import JARE, Consensus, GradNorm

every_loss = pytest.mark.parametrize("name", FORCES)
WEIGHTS = (0.3, 1.5, 5.0)


def both(mean, square):
    """mean ± √square."""
    return [mean + root(square), mean - root(square)]


# undamped


@every_loss
def test_without_a_damping_term_the_game_rotates(name):
    loss, p = FORCES[name]
    assert_spectrum(ensemble(loss), [1j * p, -1j * p])


def test_lsgan_with_labels_0_and_1_is_degenerate_without_a_bias():
    assert_spectrum(ensemble(LSGAN("01")), [0, 0])


def test_lsgan_with_labels_0_and_1_rotates_once_the_discriminator_has_a_bias():
    assert_spectrum(ensemble(LSGAN("01"), small=Dirac(bias=True)), [0.5j, -0.5j, -2], at=[0, 0, 0.5])


F_DIVERGENCES = {  # force at p = q, second derivative of D's loss for its bias
    "kl": (1, 1),
    "reverse_kl": (1, 1),
    "pearson": (1, 1 / 2),
    "hellinger": (1, 2),
    "js": (1 / 2, 1 / 2),
    "tv": (1 / 2, 0),
}


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_f_divergences_rotate_and_a_distortion_damps_them(name):
    """λ = -μ ± √(μ² - p²); without a bias KL's logit stays at 0, where its force is 1/e."""
    (p, of_bias), mu = F_DIVERGENCES[name], 0.3
    level = float(name == "kl")
    spectrum = [-mu + root(mu**2 - p**2), -mu - root(mu**2 - p**2), -of_bias]
    assert_spectrum(ensemble(FGAN(name), mse(mu), small=Dirac(bias=True)), spectrum, at=[0, 0, level])
    if name == "kl":
        p = math.exp(-1)
    assert_spectrum(ensemble(FGAN(name), mse(mu)), [-mu + root(mu**2 - p**2), -mu - root(mu**2 - p**2)])


def test_the_pair_of_ns_is_ns_in_this_game():
    """Data at 0 has the logit 0, so that D(x) - D(x_hat) is -D(x_hat): the same fields, not only the same spectra."""
    pair, plain = ensemble(Relativistic("pair").wrap(NonSaturating())), ensemble(NonSaturating())
    at = points([0.7, -0.4], [1.5, 2.0], [-0.3, 0.9])
    assert torch.allclose(pair.velocity(at), plain.velocity(at), atol=1e-14)


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_label_smoothing_does_not_end_the_rotation(epsilon):
    """D rests where σ = (1-ε)/2, if its bias lets it; there bc = σ(1-σ), and the bias has twice this curvature."""
    loss = LabelSmoothing(epsilon).wrap(NonSaturating())
    assert distance(measured(ensemble(loss)), [0.5j, -0.5j]) < 1e-6
    c = (1 - epsilon**2) / 4
    at = [0, 0, math.log((1 - epsilon) / (1 + epsilon))]
    found = measured(ensemble(loss, small=Dirac(bias=True)), at)
    assert distance(found, [*both(0, -c), -2 * c]) < 1e-6


# a damping term


@pytest.mark.parametrize("penalty", [R1, R2])
@every_loss
def test_a_zero_centred_penalty_damps_the_discriminator(name, penalty):
    (loss, p), term = FORCES[name], penalty.__name__.lower()
    expected = [both(-gamma / 2, gamma**2 / 4 - p**2) for gamma in WEIGHTS]
    found = assert_spectra(ensemble(loss, {term: (1.0, penalty())}), {term: WEIGHTS}, expected)
    assert rotate(found) == [gamma < 2 * p for gamma in WEIGHTS]


@every_loss
def test_both_zero_centred_penalties_are_one_of_twice_the_weight(name):
    loss, p = FORCES[name]
    game = ensemble(loss, {"r1": (1.0, R1()), "r2": (1.0, R2())})
    expected = [both(-(2 * gamma) / 2, (2 * gamma) ** 2 / 4 - p**2) for gamma in WEIGHTS]
    assert_spectra(game, {"r1": WEIGHTS, "r2": WEIGHTS}, expected)


def rotate(spectra):
    """Whether each spectrum has an imaginary part."""
    return (np.abs(np.imag(spectra)).max(1) > 1e-4).tolist()


@every_loss
def test_the_zero_centred_penalty_damps_as_twice_the_weight_of_r1(name):
    """λψ² is R1 of γ = 2λ; the eigenvalues are those of the production field, without a closed form in the lab."""
    (loss, p), weights = FORCES[name], (0.3, 2.0)
    spectra = measured_each(ensemble(loss, {"gp": (1.0, GP(target=0.0))}), {"gp": weights})
    for weight, found in zip(weights, spectra, strict=True):
        assert distance(found, both(-weight, weight**2 - p**2)) < 1e-6


@pytest.mark.parametrize("small", [Dirac(), Uniform(), LinearND((0.5, 2.0), extra=2)])
def test_approximated_r1_of_a_linear_discriminator_is_r1_by_quadrature(small):
    """The mean over directions is the sum over squares; where D is ψx² a small step comes close."""
    exact, approximate = (
        ensemble(NonSaturating(), {"penalty": (1.5, term)}, small=small)
        for term in (R1(), ApproximateR1(step=1e-4))
    )
    at = exact.small.rest(exact.strengths)
    assert distance(measured(approximate, at), measured(exact, at)) < 1e-6


@pytest.mark.parametrize("sigma", [0.6, 1.2, 2.5])
@pytest.mark.parametrize("loss", [NonSaturating(), Vanilla()], ids=["ns", "vanilla"])
def test_the_penalty_of_roth_is_the_analytic_twin_of_instance_noise(loss, sigma):
    """γ = σ²: both have -σ²/4 ± √(σ⁴/16 - ¼)."""
    roth = measured(ensemble(loss, {"roth": (sigma**2, Roth())}))
    noise = measured(ensemble(loss, perturbations=[InstanceNoise(sigma)]))
    assert distance(roth, noise) < 1e-6
    assert distance(roth, both(-(sigma**2) / 4, sigma**4 / 16 - 0.25)) < 1e-6


@pytest.mark.parametrize("sigma", [0.6, 1.2, 2.5])
@pytest.mark.parametrize(
    ("name", "f2"), [("ns", -1 / 4), ("vanilla", -1 / 4), ("lsgan", -1), ("ns pair", -1 / 4), ("lsgan pair", -2),
                     ("ns average", -1 / 8), ("lsgan average", -1)],
)  # fmt: skip
def test_instance_noise_damps_the_discriminator_where_its_loss_curves(name, f2, sigma):
    """f'' is half of what D's loss curves by for a unit of noise; a pair has the noise of both of its images."""
    loss, p = FORCES[name]
    game = ensemble(loss, perturbations=[InstanceNoise(sigma)])
    assert_spectrum(game, both(f2 * sigma**2, f2**2 * sigma**4 - p**2))


@pytest.mark.parametrize("loss", [Wasserstein(), Hinge()], ids=["wgan", "hinge"])
def test_instance_noise_does_nothing_where_the_loss_does_not_curve(loss):
    assert_spectrum(ensemble(loss, perturbations=[InstanceNoise(1.2)]), [1j, -1j])


def test_random_instance_noise_has_the_spectrum_of_the_quadrature_on_average():
    """50 000 games of four samples each, with the noise of the training runs."""
    game = ensemble(NonSaturating(), perturbations=[InstanceNoise(1.2)], streams=Streams(0))
    mean = game.jacobian(torch.zeros(50_000, 2, dtype=torch.float64)).mean(0)
    expected = both(-(1.2**2) / 4, 1.2**4 / 16 - 0.25)
    assert distance(torch.linalg.eigvals(mean).tolist(), expected) < 0.01


def test_noise_with_a_level_for_each_sample_damps_as_a_third_of_its_variance():
    """E u² = ⅓ for u uniform in [0, 1]: f''σ²/3 instead of f''σ², on average over 50 000 games."""
    noise = InstanceNoise(1.2, per_image=True)
    game = ensemble(NonSaturating(), perturbations=[noise], streams=Streams(0))
    mean = game.jacobian(torch.zeros(50_000, 2, dtype=torch.float64)).mean(0)
    expected = both(-(1.2**2) / 12, (1.2**2 / 12) ** 2 - 0.25)
    assert distance(torch.linalg.eigvals(mean).tolist(), expected) < 0.01
    assert distance(game.small.closed_form(game.strengths), expected) < 1e-9


@pytest.mark.parametrize("kind", [Consensus, JARE])
@every_loss
def test_consensus_and_jare_damp_but_never_end_the_rotation(name, kind):
    (loss, p), term = FORCES[name], kind.__name__.lower()
    expected = [(-gamma * p**2 + 1j * p, -gamma * p**2 - 1j * p) for gamma in WEIGHTS]
    assert_spectra(ensemble(loss, {term: (1.0, kind())}), {term: WEIGHTS}, expected)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@every_loss
def test_sga_damps_but_never_ends_the_rotation(name, gamma):
    """SGA is a rule: its map I + hM, taken from two unit starts close to the equilibrium, has M's spectrum."""
    loss, p = FORCES[name]
    h, small = 0.1, 1e-6
    game = ensemble(loss, rule=lambda: SGA(gamma), **descent(h))
    after = play(game, points([small, 0], [0, small]), 1)[-1].T / small
    found = torch.linalg.eigvals((after - torch.eye(2)) / h).tolist()
    assert distance(found, [-gamma * p**2 + 1j * p, -gamma * p**2 - 1j * p]) < 1e-6


@every_loss
def test_the_norm_of_the_discriminators_gradient_damps_the_generator(name):
    (loss, p), weights = FORCES[name], (0.3, 1.5, 6.0)
    expected = [both(-eta * p**2, p**2 * (eta**2 * p**2 - 1)) for eta in weights]
    assert_spectra(ensemble(loss, {"grad_norm": (1.0, GradNorm())}), {"grad_norm": weights}, expected)


def test_the_norm_of_the_discriminators_gradient_is_a_distortion_in_this_game():
    """‖∇_ψ V‖² = f'(u)²θ² everywhere; f' is the sigmoid σ, and G feels what its dependence on θ adds, too."""
    eta, at = 1.7, points([0.8, 0.0], [-1.3, 0.7], [0.4, -2.0])
    norm, plain = (ensemble(NonSaturating(), terms) for terms in ({"grad_norm": (eta, GradNorm())}, {}))
    theta, psi = at.T
    sigma = torch.sigmoid(psi * theta)
    slope = 2 * sigma**2 * theta + 2 * sigma * (sigma * (1 - sigma) * psi) * theta**2
    change = norm.velocity(at) - plain.velocity(at)
    assert torch.allclose(change, torch.stack([-eta * slope, 0 * slope], dim=1), atol=1e-14)


@every_loss
def test_a_distortion_damps_every_game_and_ends_the_rotation_at_p(name):
    (loss, p), weights = FORCES[name], (0.1, 0.3, 3.0)
    expected = [both(-mu, mu**2 - p**2) for mu in weights]
    found = assert_spectra(ensemble(loss, mse(1.0)), {"mse": weights}, expected)
    assert rotate(found) == [mu < p for mu in weights]


@every_loss
def test_a_distortion_of_weight_p_makes_a_double_root(name):
    """A double root is only as sharp as the square root of rounding."""
    loss, p = FORCES[name]
    assert distance(measured(ensemble(loss, mse(p))), [-p, -p]) < 1e-6


# a distortion and something else


@pytest.mark.parametrize("ratio", [1.0, 4.0])
@pytest.mark.parametrize("beta", [0.3, 2.0])
@pytest.mark.parametrize("mu", [0.2, 1.7])
def test_adversarial_weight_and_step_ratio_scale_the_square_of_the_force(mu, beta, ratio):
    game, k = ensemble(NonSaturating(), mse(mu), adv=beta), ratio
    expected = both(-mu, mu**2 - beta * k * 0.5**2)
    scaled = torch.diag(points([1, k])[0]) @ game.jacobian(points([0, 0]))[0]
    found = torch.linalg.eigvals(scaled)
    assert distance(found.tolist(), expected) < 1e-6
    assert bool((found.imag.abs() > 1e-4).any()) == (mu < 0.5 * math.sqrt(beta * k))


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_the_closed_form_knows_the_adversarial_weight(beta):
    assert_spectrum(ensemble(NonSaturating(), mse(0.2), adv=beta), both(-0.2, 0.2**2 - beta * 0.5**2))


@every_loss
def test_distortion_and_penalty_together(name):
    loss, p = FORCES[name]
    mus, gammas = (2.0, 0.2, 0.5, 0.3), (0.5, 1.0, 1.0, 2.5)
    each = list(zip(mus, gammas, strict=True))
    expected = [both(-(mu + gamma / 2), ((gamma - 2 * mu) ** 2 - 4 * p**2) / 4) for mu, gamma in each]
    found = assert_spectra(
        ensemble(loss, {**mse(1.0), "r1": (1.0, R1())}), {"mse": mus, "r1": gammas}, expected
    )
    assert rotate(found) == [abs(gamma - 2 * mu) < 2 * p for mu, gamma in each]


# relativistic losses with other weights


def weighted(loss, weight, pairing="average"):
    """A relativistic loss with another factor before its two halves; the closed form reads it."""
    loss.pairing_weight = weight
    return ensemble(Relativistic(pairing).wrap(loss))


@pytest.mark.parametrize(("weight", "force"), [(1, 2 * 0.5), (0.5, 0.5)], ids=["sum", "half"])
def test_relativistic_average_of_ns(weight, force):
    """The paper's sum, and with the ½ that is ours."""
    assert_spectrum(weighted(NonSaturating(), weight), [1j * force, -1j * force])


@pytest.mark.parametrize(("weight", "force"), [(2, 4), (1, 2), (0.5, 1)], ids=["sum", "ours", "half"])
def test_relativistic_average_of_lsgan(weight, force):
    """The paper's sum of (·)², ½ of it, which is ours, and ½ of squares with a ½ of their own."""
    assert_spectrum(weighted(LSGAN(), weight), [1j * force, -1j * force])


class Detached(Relativistic):
    """The relativistic average as some implement it: the mean over G's images is a constant in G's turn."""

    def _difference(self, turn, real, fake):
        mean = turn.reduce.keep_mean(fake)
        return real - (mean.detach() if turn.payer == "g" else mean), fake - turn.reduce.keep_mean(real)


@pytest.mark.parametrize("loss", [NonSaturating(), Vanilla()], ids=["ns", "vanilla"])
def test_without_the_gradient_of_its_mean_the_generator_feels_half_the_force(loss):
    p = 0.5
    found = measured(ensemble(Detached("average").wrap(loss)))
    assert distance(found, [1j * p / math.sqrt(2), -1j * p / math.sqrt(2)]) < 1e-6


# rows without a spectrum: the flow of ns


def test_the_flow_of_ns_comes_to_rest_as_one_over_the_square_root_of_time():
    """dr²/dt = -2u·tanh(u/2) ≈ -u², u = ½r²·sin 2φ; over a turn u² is r⁴/8 on average, hence r² = 8/t."""
    field = ensemble(NonSaturating()).field(1)
    times = np.linspace(40, 80, 17)

    def velocity(_, w):
        return field(torch.from_numpy(w)[None])[0].numpy()

    path = solve_ivp(velocity, (0, times[-1]), [2.0, 2.0], "DOP853", times, rtol=1e-4, atol=1e-6).y
    assert np.abs((path**2).sum(0) * times / 8 - 1).max() < 0.05


def test_the_flow_of_vanilla_keeps_its_radius():
    """The field is perpendicular to (θ, ψ) everywhere; that of ns is not."""
    at = points([0.7, -0.4], [1.5, 2.0], [-0.3, 0.9])
    outward = {name: (ensemble(FORCES[name][0]).velocity(at) * at).sum(1) for name in ("vanilla", "ns")}
    assert outward["vanilla"].abs().max() < 1e-15
    assert outward["ns"].max() < -0.01


def test_simultaneous_descent_of_ns_ends_in_a_limit_cycle():
    """r² gains h²r²/4 a step and loses hr⁴/8: r² = 2h, from inside and from outside."""
    h = torch.tensor([0.25, 0.25, 0.3, 0.3], dtype=torch.float64)
    cycle = (2 * h).sqrt()
    starts = [(r, 0.0) for r in (cycle * torch.tensor([0.6, 2.0, 0.6, 2.0])).tolist()]
    path = played(ensemble(NonSaturating()), starts, round(28 / 0.25**2), Simultaneous, h)
    assert (radii(path)[-100:] / cycle).numpy() == pytest.approx(1, rel=0.03)


# rows without a spectrum: one-centred penalties

PENALTIES = {"gp": GP, "dragan": DRAGAN}
STARTS = [(0.05, 0.0), (0.5, -1.0), (2.0, 1.0)]
H, TURN = 0.06, 4 * math.pi  # step, and the longest turn, that of ns


def one_centred(loss, weight, name="gp", target=1.0):
    return ensemble(loss, {name: (weight, PENALTIES[name](target=target))})


def cycle_of(game, turns, turn=TURN / 2, rule=Alternating, starts=STARTS, h=H):
    """Amplitudes |θ| and |ψ| of each game, in the last turn; a turn of wgan takes half the time of one of ns."""
    path = played(game, starts, round(turns * turn / h), rule, h)
    return path[-round(turn / h) :].abs().amax(0).numpy()


def amplitudes(weight, target=1.0):
    """Of WGAN-GP's limit cycle on the Dirac-GAN, for weights λ < 1.

    While ψ > 0 the flow is θ' = ψ, ψ' = -(θ - 2λg₀) - 2λψ: an oscillator with its centre at 2λg₀ and the damping λ,
    whose half turn multiplies the distance from the centre by q = exp(-πλ/√(1-λ²)). For ψ < 0 the centre is -2λg₀. From
    -r the half turn leads to 2λg₀ + q(r + 2λg₀), which is r again if

        r = 2λg₀(1 + q)/(1 - q) = 2λg₀·coth(πλ/(2√(1-λ²)))      (4g₀/π for small λ)

    and ψ is greatest after the time arccos(λ)/√(1-λ²): (r + 2λg₀)·exp(-λ·arccos(λ)/√(1-λ²)).
    """
    omega = math.sqrt(1 - weight**2)
    r = 2 * weight * target / math.tanh(math.pi * weight / (2 * omega))
    return r, (r + 2 * weight * target) * math.exp(-weight * math.acos(weight) / omega)


def integrated(slope, weight, target=1.0, start=(0.5, 0.5), duration=50.0):
    """The same field by NumPy and SciPy alone; ``slope`` f'(t) of what G gains, and D loses at -t."""

    def velocity(_, w):
        theta, psi = w
        u = theta * psi
        return [slope(u) * psi, -slope(-u) * theta - 2 * weight * (abs(psi) - target) * np.sign(psi)]

    times = np.linspace(duration - 15, duration, 3000)
    path = solve_ivp(velocity, (0, duration), start, "RK45", times, rtol=1e-6, atol=1e-6, max_step=0.1).y
    return np.abs(path).max(1)


def test_wgan_gp_ends_in_a_limit_cycle_of_known_radius():
    cases = [(weight, target) for target in (1.0, 0.5) for weight in (0.4, 0.8)]
    weights, targets = torch.tensor(cases, dtype=torch.float64).repeat_interleave(len(STARTS), dim=0).T
    game = one_centred(
        Wasserstein(), weights, target=targets[:, None]
    )  # a target for each game, over the batch
    expected = [amplitudes(*case) for case in cases]
    assert cycle_of(game, 3, starts=STARTS * len(cases)) == pytest.approx(
        np.repeat(expected, len(STARTS), axis=0), rel=0.02
    )


def test_simultaneous_descent_of_wgan_gp_ends_in_a_wider_limit_cycle():
    """Its growth √(1 + h²) a step is h/2 per unit of time, which takes from the damping: a factor 1/(1 - h/2λ)."""
    weight, h = 0.45, 0.05
    found = cycle_of(one_centred(Wasserstein(), weight), 3, rule=Simultaneous, h=h)
    expected = np.array(amplitudes(weight)) / (1 - h / (2 * weight))
    assert found == pytest.approx(np.broadcast_to(expected, found.shape), rel=0.03)


@pytest.mark.parametrize(("weight", "target"), [(0.1, 1.0), (0.3, 1.0), (0.3, 0.5), (0.8, 1.0)])
def test_the_radius_of_the_limit_cycle_is_that_of_an_independent_integration(weight, target):
    found = integrated(lambda t: 1.0, weight, target)
    assert found == pytest.approx(amplitudes(weight, target), rel=0.01)


def test_ns_with_a_gradient_penalty_ends_in_the_limit_cycle_that_an_independent_integration_finds():
    found = cycle_of(one_centred(NonSaturating(), 0.3), 2.5, TURN)
    expected = integrated(lambda t: 1 / (1 + math.exp(t)), 0.3)
    assert found == pytest.approx(np.broadcast_to(expected, found.shape), rel=0.02)


@pytest.mark.parametrize("loss", [Wasserstein(), NonSaturating()], ids=["wgan", "ns"])
def test_dragan_is_the_gradient_penalty_where_all_data_are_one_point(loss):
    """D is linear, so its gradient is the same everywhere: equal fields, and the limit cycles above are DRAGAN's."""
    at = points([0.7, -0.4], [1.5, 2.0], [-0.3, 0.9])
    gp, dragan = (one_centred(loss, 0.4, name) for name in PENALTIES)
    assert torch.equal(gp.velocity(at), dragan.velocity(at))


def test_a_one_centred_penalty_has_no_closed_form():
    """The field jumps by 4λg₀ across ψ = 0."""
    game = one_centred(Wasserstein(), 0.3)
    above, below = game.velocity(points([0, 1e-4], [0, -1e-4]))[:, 1]
    assert (above - below).item() == pytest.approx(4 * 0.3, rel=1e-3)
    assert game.small.closed_form(game.strengths) is None


# the closed forms of the other games with every term they know

SMALL = {
    "dirac, scaled": Dirac(scale=2.0),
    "dirac, with a bias": Dirac(bias=True),
    "uniform": Uniform(),
    "concave": Concave(),
    "many dimensions": LinearND((0.5, 2.0), extra=2),
}
KNOWN = {"r1": (0.17, R1()), "r2": (0.23, R2()), "grad_norm": (0.37, GradNorm()), **mse(0.31)}


@pytest.mark.parametrize("names", [("r1",), ("r2", "mse"), ("r1", "r2", "mse")], ids="+".join)
@pytest.mark.parametrize("loss", ["ns", "wgan", "lsgan"])
@pytest.mark.parametrize("small", SMALL)
def test_a_closed_form_is_the_spectrum_in_the_other_games(small, loss, names):
    assert_closed_form(ensemble(FORCES[loss][0], {n: KNOWN[n] for n in names}, adv=0.6, small=SMALL[small]))


@pytest.mark.parametrize("names", [("grad_norm",), ("grad_norm", "mse", "r1")], ids="+".join)
@pytest.mark.parametrize("small", SMALL)
def test_a_closed_form_is_the_spectrum_where_the_generator_pays_for_a_gradient(small, names):
    assert_closed_form(ensemble(Wasserstein(), {n: KNOWN[n] for n in names}, small=SMALL[small]))


# h = ∂_ψV = cθ + κMψ near the equilibrium: G pays ηh², whose derivative by θ is 2ηc(cθ + κMψ). The second part
# takes 2ηcκM from the force b that G feels (M what D's logits vary by: σ² of noise, or the width of the data).


@pytest.mark.parametrize("small", ["uniform", "concave"])
def test_a_closed_form_knows_that_the_norm_of_a_gradient_changes_a_force(small):
    assert_closed_form(ensemble(NonSaturating(), {"grad_norm": (0.37, GradNorm())}, small=SMALL[small]))


@pytest.mark.parametrize("small", ["dirac, scaled", "dirac, with a bias", "many dimensions", "concave"])
def test_a_closed_form_knows_that_noise_changes_what_the_norm_of_a_gradient_does(small):
    noise = [InstanceNoise(0.7)]
    assert_closed_form(
        ensemble(NonSaturating(), {"grad_norm": (0.37, GradNorm())}, noise, small=SMALL[small])
    )


@pytest.mark.parametrize("loss", ["wgan", "wgan pair", "hinge", "hinge average"])
@pytest.mark.parametrize("levels", [2, 4])
def test_the_closed_form_of_the_quantiser(levels, loss):
    game = ensemble(FORCES[loss][0], mse(0.5), small=Quantiser(levels))
    assert_closed_form(game)
    theta, energy = game.small.energy**-0.5, game.small.energy
    mean, square = -energy * 0.5 / theta, (energy * 0.5 / theta) ** 2 - 4 * theta**2 * energy**2
    assert distance(game.small.closed_form(game.strengths), both(mean, square)) < 1e-9


def test_the_closed_form_of_the_quantiser_knows_hinges_margin():
    """With a heavy distortion ψ*x² > 1 at some samples, and the formula would speak of another loss."""
    game = ensemble(Hinge(), mse(2.0), small=Quantiser())
    assert game.small.closed_form(game.strengths) is None


def assert_closed_form(game):
    """Where the game says it rests, the production field is 0 and has the spectrum that the game says."""
    formula = game.small.closed_form(game.strengths)
    found = measured(game, list(game.small.rest(game.strengths)))
    assert formula is not None
    assert distance(formula, found) < 1e-6
