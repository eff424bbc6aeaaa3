"""Discrete time: the rules' own maps, their critical step sizes, and Adam.

J = [[-a, -b], [b, -d]] at the equilibrium: a = 2μ with the distortion μθ², d = γ with R1, b = p; ω = p where nothing
damps. A map is measured: one update (or one period) from unit perturbations of the equilibrium, in one batch of games.
"""

import cmath
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from ensembles import FORCES, descent, ensemble, mse, points

from gcn.game.protocols import Players
from gcn.game.rules import Extragradient, Optimistic, Simultaneous
from gcn.lab.ensemble import coordinates, play
from gcn.lab.players import Adam, Descent
from gcn.losses.adversarial import NonSaturating
from gcn.losses.penalties import R1

SMALL = 1e-4  # of perturbations; the remainder is of third order

NS = NonSaturating()
P = 0.5


def update_maps(game, steps, updates=1):
    """The matrices by which updates move a small deviation from θ = ψ = 0, one for each step size.

    For the optimistic rule the last move is a part of what is moved.
    """
    rule = game.rule()
    remembers = isinstance(rule, Optimistic)
    size = 4 if remembers else 2
    states = SMALL * torch.cat([torch.eye(size), -torch.eye(size)]).double().repeat(len(steps), 1)
    game = replace(game, **descent(points(steps)[0].repeat_interleave(2 * size)))
    played = game.game(states[:, :2])
    g, d = game.players(played)
    if remembers:
        rule.previous = [[states[:, 2:3].clone()], [states[:, 3:].clone()]]
    for step in range(updates):
        rule(played, [game.batch(len(states))] * game.d_steps, step, Players(g, d))
    after = [coordinates(played)]
    if remembers:
        after += [rule.previous[0][0], rule.previous[1][0]]
    ahead, back = torch.cat(after, dim=1).reshape(len(steps), 2, size, size).unbind(1)
    return (ahead - back).mT / (2 * SMALL)


def moduli(game, steps, updates=1):
    """Absolute eigenvalues of the map with each step size, (len(steps), N)."""
    return torch.linalg.eigvals(update_maps(game, steps, updates)).abs().numpy()


def radius(game, h, updates=1):
    """Spectral radius of the map with step h."""
    return moduli(game, [h], updates).max()


def critical(game, updates=1, largest=8.0):
    """The largest stable step, on finer and finer grids; a circle (radius 1 up to rounding) counts as stable."""
    low, high = 1e-3, largest
    while high / low > 1.0005:
        steps = np.geomspace(low, high, 140)
        stable = moduli(game, steps.tolist(), updates).max(1) < 1 + 1e-6
        assert stable[0]
        assert not stable[-1]
        first = np.argmin(stable)  # that is not stable
        low, high = steps[first - 1], steps[first]
    return low


def zero(f, low, high):
    """Where f, negative at low and positive at high, vanishes."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return low


def roots_with_a_distortion(mu, p=P):
    """-μ ± √(μ² - p²)."""
    return [-mu + cmath.sqrt(mu**2 - p**2), -mu - cmath.sqrt(mu**2 - p**2)]


MUS = [0.1, 0.25, 0.5, 1.0, 2.0]
damped = pytest.mark.parametrize("mu", MUS)


# simultaneous


@pytest.mark.parametrize("name", FORCES)
def test_simultaneous_descent_of_an_undamped_game_is_unstable_at_every_step(name):
    loss, p = FORCES[name]
    steps = [0.01, 0.1, 0.5, 1.0]
    expected = [math.sqrt(1 + h**2 * p**2) for h in steps]
    assert moduli(ensemble(loss, rule=Simultaneous), steps).max(1) == pytest.approx(expected, abs=1e-6)


def simultaneous(mu, p=P):
    return 2 * mu / p**2 if mu <= p else 2 / (mu + math.sqrt(mu**2 - p**2))


@damped
def test_the_critical_step_of_simultaneous_descent_with_a_distortion(mu):
    assert critical(ensemble(NS, mse(mu), rule=Simultaneous)) == pytest.approx(simultaneous(mu), rel=0.01)


@damped
def test_the_critical_step_of_simultaneous_descent_with_a_penalty(mu):
    game = ensemble(NS, {"r1": (2 * mu, R1())}, rule=Simultaneous)
    assert critical(game) == pytest.approx(simultaneous(mu), rel=0.01)


# alternating


@pytest.mark.parametrize("name", FORCES)
def test_alternating_descent_of_an_undamped_game_circles_up_to_two_over_p(name):
    loss, p = FORCES[name]
    game = ensemble(loss)
    assert moduli(game, [share * 2 / p for share in (0.05, 0.5, 0.99)]) == pytest.approx(1, abs=1e-6)
    assert critical(game) == pytest.approx(2 / p, rel=0.01)


def alternating(mu, p=P):
    return 2 / (mu + math.sqrt(mu**2 + p**2))


@damped
def test_the_critical_step_of_alternating_descent_with_a_distortion(mu):
    assert critical(ensemble(NS, mse(mu))) == pytest.approx(alternating(mu), rel=0.01)


@damped
def test_the_critical_step_of_alternating_descent_with_a_penalty(mu):
    assert critical(ensemble(NS, {"r1": (2 * mu, R1())})) == pytest.approx(alternating(mu), rel=0.01)


@pytest.mark.parametrize(
    ("mu", "sim", "alt"),
    [(0.1, 0.80, 3.279), (0.25, 2.00, 2.472), (0.5, 4.00, 1.657), (1.0, 1.072, 0.944), (2.0, 0.508, 0.492)],
)
def test_the_table_of_critical_steps(mu, sim, alt):
    game = ensemble(NS, mse(mu))
    assert critical(replace(game, rule=Simultaneous)) == pytest.approx(sim, rel=0.002)
    assert critical(game) == pytest.approx(alt, rel=0.002)


@pytest.mark.parametrize("d_steps", [1, 2, 3, 5])
def test_inner_steps_of_the_discriminator_shrink_the_critical_step(d_steps):
    """√(n_g·n_d)·h·p ≤ 2 with one step of G."""
    game = ensemble(NS, d_steps=d_steps)
    assert math.sqrt(1 * d_steps) * critical(game) * P == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(("mu", "gamma"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.7), (0.3, 0.7), (1.5, 0.2)])
@pytest.mark.parametrize("h", [0.1, 0.9])
def test_trace_and_determinant_of_alternating_descent(h, mu, gamma):
    a, b, d = 2 * mu, P, gamma
    (change,) = update_maps(ensemble(NS, {**mse(mu), "r1": (gamma, R1())}), [h])
    assert change.trace().item() == pytest.approx(2 - h * (a + d) - h**2 * b**2, abs=1e-7)
    assert change.det().item() == pytest.approx((1 - h * a) * (1 - h * d), abs=1e-7)


@pytest.mark.parametrize("mu", [0.05, 0.2, 0.4])
def test_the_modulus_of_alternating_descent_with_a_light_distortion(mu):
    h = 0.3
    assert moduli(ensemble(NS, mse(mu)), [h]) == pytest.approx(math.sqrt(1 - 2 * h * mu), abs=1e-7)


def test_a_heavy_distortion_leaves_a_slow_mode_above_that_modulus():
    """Only complex eigenvalues have the modulus √det: for μ > p one of two real ones lies above it."""
    h, mu = 0.3, 1.2
    assert radius(ensemble(NS, mse(mu)), h) > 1.3 * math.sqrt(1 - 2 * h * mu)


# extragradient and optimistic


@pytest.mark.parametrize("name", ["ns", "wgan", "lsgan pair"])
def test_the_critical_step_of_extragradient(name):
    """hω < 1 with ω = p."""
    loss, p = FORCES[name]
    assert critical(ensemble(loss, rule=Extragradient)) * p == pytest.approx(1, rel=0.01)


@damped
def test_the_critical_step_of_extragradient_with_a_distortion(mu):
    """Its map is 1 + hλ + h²λ² for each eigenvalue λ of the field."""
    expected = zero(
        lambda h: max(abs(1 + h * l + h**2 * l**2) for l in roots_with_a_distortion(mu)) - 1, 0.01, 8
    )
    assert critical(ensemble(NS, mse(mu), rule=Extragradient)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", ["ns", "wgan", "lsgan pair"])
def test_the_critical_step_of_optimistic_descent(name):
    """hω < 1/√3 with ω = p."""
    loss, p = FORCES[name]
    assert critical(ensemble(loss, rule=Optimistic)) * p == pytest.approx(1 / math.sqrt(3), rel=0.01)


@damped
def test_the_critical_step_of_optimistic_descent_with_a_distortion(mu):
    """w ← w + 2hλw - hλw₋₁: z² = (1 + 2hλ)z - hλ for each eigenvalue λ of the field."""

    def largest(h):
        return max(np.abs(np.roots([1, -1 - 2 * h * l, h * l])).max() for l in roots_with_a_distortion(mu))

    expected = zero(lambda h: largest(h) - 1, 0.01, 8)
    assert critical(ensemble(NS, mse(mu), rule=Optimistic)) == pytest.approx(expected, rel=0.01)


# lazy penalties


def lazy(h, every, gamma, p=P):
    """Alternating descent over a period of R1 at every k-th update, with k times the weight: a product of k maps."""

    def one(d):
        return np.array([[1, h * p], [0, 1]]) @ np.array([[1, 0], [-h * p, 1 - h * d]])

    return np.linalg.matrix_power(one(0), every - 1) @ one(every * gamma)


@pytest.mark.parametrize("every", [1, 2, 4, 8, 16])
def test_the_map_of_a_lazy_penalty_is_the_product_of_its_updates(every):
    (found,) = update_maps(ensemble(NS, {"r1": (1.5, R1(every=every))}), [0.07], updates=every)
    assert np.abs(found.numpy() - lazy(0.07, every, 1.5)).max() < 1e-6


@pytest.mark.parametrize("gamma", [3.0, 10.0])
@pytest.mark.parametrize("every", [1, 2, 4, 8, 16])
def test_a_lazy_penalty_is_stable_if_roughly_its_step_times_period_times_weight_is_below_two(every, gamma):
    """D's own factor over a period is 1 - hkγ; for γ well above 2p the game between the paid updates hardly counts."""
    h = critical(ensemble(NS, {"r1": (gamma, R1(every=every))}), updates=every, largest=3.0 / gamma)
    assert h * every * gamma == pytest.approx(2, rel=0.03)


def test_a_lazy_penalty_that_is_light_has_a_smaller_critical_step():
    """γ = p: the rotation takes its share, hγ = 2 - h²p²/2 at every update (det and trace of the map)."""
    h = critical(ensemble(NS, {"r1": (P, R1())}))
    assert h * P == pytest.approx(2 - (h * P) ** 2 / 2, rel=0.01)
    assert h * P < 1.3


# optimizers with memory

ADAM = {
    # rms radius with betas     (0, .9)  (.5, .999)  (.9, .999)
    "ns": (0.0, 0.0, 0.0099, 0.461, 0.976),
    "ns+mse=.05": (0.05, 0.0, 0.0074, 0.135, 0.719),
    "ns+mse=.5": (0.5, 0.0, 0.0071, 0.0065, 0.032),
    "ns+r1=1": (0.0, 1.0, 0.0071, 0.0, 0.032),
}
BETAS = [(0.0, 0.9), (0.5, 0.999), (0.9, 0.999)]


class Shares(Descent):
    """Equal shares of the games, one after another, each moved by an optimizer of its own."""

    def __init__(self, parameters, makers):
        super().__init__(parameters)
        parts = zip(*(p.detach().chunk(len(makers)) for p in self.parameters), strict=True)
        self.each = [make(part) for make, part in zip(makers, parts, strict=True)]

    def extrapolate(self, gradients):
        parts = zip(*(g.chunk(len(self.each)) for g in gradients), strict=True)
        for player, part in zip(self.each, parts, strict=True):
            player.extrapolate(part)


def adam_of_the_lab(choices, starts, steps, lr=0.01):
    """The games of the table with each pair of betas from each start, all at once.

    Returns radii (update, betas, start, game), the start first.
    """
    rows = len(choices) * len(starts)
    mu, gamma = points(*ADAM.values())[:, :2].repeat(rows, 1).T
    makers = [partial(Adam, lr=lr, betas=betas) for betas in choices]
    game = ensemble(NS, {**mse(mu), "r1": (gamma, R1())}, optimizer=partial(Shares, makers=makers))
    at = points(*[start for start in starts for _ in ADAM]).repeat(len(choices), 1)
    path = play(game, at, steps).square().sum(-1).sqrt()
    return path.reshape(steps + 1, len(choices), len(starts), len(ADAM)).numpy()


def adam_by_hand(choices, starts, steps, lr=0.01, eps=1e-8):
    """The same radii by formulas: D's gradient is σ(ψθ)θ + γψ, then G's is -σ(-ψθ)ψ + 2μθ, and Adam moves both."""
    mu, gamma = np.array(list(ADAM.values()))[:, :2].T
    b1, b2 = np.array(choices).T[:, :, None, None]
    (theta, psi), shape = np.array(starts).T, (len(choices), len(starts), len(ADAM))
    theta, psi = (np.broadcast_to(value[:, None], shape) for value in (theta, psi))
    m_theta, v_theta, m_psi, v_psi = np.zeros((4, *shape))
    path = np.empty((steps + 1, 2, *shape))
    path[0] = theta, psi
    t = np.arange(1, steps + 1).reshape(-1, 1, 1, 1)
    for now, share, scale in zip(path[1:], lr / (1 - b1**t), 1 - b2**t, strict=True):
        g = theta / (1 + np.exp(-psi * theta)) + gamma * psi
        m_psi, v_psi = b1 * m_psi + (1 - b1) * g, b2 * v_psi + (1 - b2) * g**2
        psi = psi - share * m_psi / (np.sqrt(v_psi / scale) + eps)
        g = -psi / (1 + np.exp(psi * theta)) + 2 * mu * theta
        m_theta, v_theta = b1 * m_theta + (1 - b1) * g, b2 * v_theta + (1 - b2) * g**2
        theta = theta - share * m_theta / (np.sqrt(v_theta / scale) + eps)
        now[:] = theta, psi
    return np.hypot(*np.moveaxis(path, 1, 0))


def late(radii):
    """Root mean square of radii over the last twentieth of the updates, (betas, start, game)."""
    return np.sqrt((radii[-(len(radii) // 20) :] ** 2).mean(0))


STARTS = [(1, -1), (1, 1), (0.3, -0.3)]


def test_adam_in_the_lab_follows_the_formulas():
    """The longer trainings below are computed by these formulas alone, which takes a fiftieth of the time.

    Without momentum some games come so near to rest after 80 updates that rounding decides what follows.
    """
    lab, hand = (path(BETAS, STARTS, 150) for path in (adam_of_the_lab, adam_by_hand))
    assert lab[:80] == pytest.approx(hand[:80], rel=1e-9)
    assert lab[:, 1:] == pytest.approx(hand[:, 1:], rel=1e-9)


@pytest.mark.slow
def test_adams_betas_decide_where_it_ends():
    """lr .01, 20 000 alternating updates, D first, rms over the last thousand.

    The table's start (1, 1) is in the sign of the literature, where D(x) = -ψx: here it is (1, -1). From (1, 1) of the
    code's sign the rows +mse=.5 and +r1=1 change places: (θ, ψ) → (ψ, -θ) takes one game to the other (and (1, 1) to
    (1, -1)), so that which of the two comes to rest exactly under betas (.5, .999) is an accident of the start.
    """
    ends = late(adam_by_hand(BETAS, STARTS[:2], 20_000))
    for column, (found, mirrored) in enumerate(ends, start=2):
        table = [row[column] for row in ADAM.values()]
        assert found == pytest.approx(table, rel=0.02, abs=5e-5), BETAS[column - 2]
        assert mirrored[[0, 1, 3, 2]] == pytest.approx(table, rel=0.02, abs=5e-5), BETAS[column - 2]


def test_momentum_turns_a_game_that_adam_settles_into_one_that_it_does_not():
    """The same loss, step size and number of updates: β₁ alone is the difference, a hundredfold one."""
    loose, tight = late(adam_by_hand([BETAS[2], BETAS[0]], STARTS[2:], 1000))[:, 0, 1]
    assert tight < 0.01
    assert loose > 0.5
