"""The Dirac-GAN played by the production losses, terms and rules: spectra, radii and thresholds in closed form.

With the code's convention (a high logit means real) D(x) = ψx. The equilibrium is θ = ψ = 0. p is the force f'(0).
"""

import itertools
import math

import pytest
import torch
from dirac import GradientDescent, Slope, dirac, jacobian, play

from gcn.dynamics import SGA, Alternating, Extragradient, Optimistic, Players, Simultaneous
from gcn.errors import InputError
from gcn.losses.adversarial import LSGAN, Hinge, NonSaturating, Relativised, Vanilla, Wasserstein
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1, R2
from gcn.losses.perturb import InstanceNoise
from gcn.losses.regularizers import JARE, Consensus, GradNorm
from gcn.losses.term import Term
from gcn.training.player import OptimizerPlayer

HALF = 0.5


def mse(mu):
    """μθ² as a weight of the production term: in this lab the unit of error is 1."""
    return (mu, MSE(unit=255.0))


def pair(loss, pairing="pair"):
    return Relativised(loss, pairing)


def roots(mean, square):
    """mean ± √square, complex where it must be."""
    root = complex(square) ** 0.5
    return [mean + root, mean - root]


def spectrum(loss, terms=None, adv=1.0, theta=0.0, psi=0.0):
    return torch.linalg.eigvals(jacobian(*dirac(loss, theta, psi, terms, adv=adv)))


def assert_same_spectrum(found, expected, tolerance=1e-6):
    """As sets; a double root is only as sharp as the square root of rounding."""
    for order in itertools.permutations(expected):
        if all(abs(f - e) < tolerance for f, e in zip(found.tolist(), order, strict=True)):
            return
    raise AssertionError(f"{found.tolist()} is not {expected}")


# loss, terms, eigenvalues
BARE = {
    "ns": (NonSaturating(), HALF),
    "vanilla": (Vanilla(), HALF),
    "wgan": (Wasserstein(), 1.0),
    "hinge": (Hinge(), 1.0),
    "lsgan": (LSGAN(), 1.0),
    "ns pair": (pair(NonSaturating()), HALF),
    "vanilla pair": (pair(Vanilla()), HALF),
    "ns average": (pair(NonSaturating(), "average"), HALF),
    "wgan pair": (pair(Wasserstein()), 1.0),
    "wgan average": (pair(Wasserstein(), "average"), 1.0),
    "hinge pair": (pair(Hinge()), 1.0),
    "hinge average": (pair(Hinge(), "average"), 1.0),
    "lsgan pair": (pair(LSGAN()), 2.0),
    "lsgan average": (pair(LSGAN(), "average"), 2.0),
}


@pytest.mark.parametrize("name", BARE)
def test_without_a_damping_term_the_game_rotates(name):
    loss, p = BARE[name]
    assert_same_spectrum(spectrum(loss), roots(0, -(p**2)))


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("mu", [0.1, 0.25, 1.0, 3.0])
def test_a_distortion_damps_every_game_and_ends_the_rotation_at_p(name, mu):
    loss, p = BARE[name]
    expected = roots(-mu, mu**2 - p**2)
    found = spectrum(loss, {"mse": mse(mu)})
    assert_same_spectrum(found, expected, 1e-6 if mu != p else 1e-4)
    assert bool((found.imag.abs() > 1e-4).any()) == (mu < p)


def test_the_numbers_of_the_table_of_distortions():
    for mu, expected in ((0.1, -0.1 + 0.490j), (0.25, -0.25 + 0.433j), (1.0, -0.134), (2.0, -0.0635)):
        found = spectrum(NonSaturating(), {"mse": mse(mu)})
        assert min(abs(found - expected)) < 5e-4


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_the_adversarial_weight_scales_the_square_of_the_force(beta):
    found = spectrum(NonSaturating(), {"mse": mse(0.3)}, adv=beta)
    assert_same_spectrum(found, roots(-0.3, 0.09 - beta / 4))


GAMMA = (0.3, 1.5)


@pytest.mark.parametrize("gamma", GAMMA)
@pytest.mark.parametrize("penalties", [{"r1": R1}, {"r2": R2}, {"r1": R1, "r2": R2}], ids="+".join)
def test_zero_centred_penalties(gamma, penalties):
    total = gamma * len(penalties)
    terms = {name: (gamma, term()) for name, term in penalties.items()}
    assert_same_spectrum(spectrum(NonSaturating(), terms), roots(-total / 2, total**2 / 4 - 0.25))


@pytest.mark.parametrize("gamma", GAMMA)
def test_consensus_and_jare_damp_but_never_end_the_rotation(gamma):
    for terms in ({"c": (gamma, Consensus())}, {"j": (gamma, JARE())}):
        found = spectrum(NonSaturating(), terms)
        assert_same_spectrum(found, [-gamma / 4 + 0.5j, -gamma / 4 - 0.5j])


@pytest.mark.parametrize("eta", [0.5, 1.0, 6.0])
def test_nagarajan_kolter_is_a_distortion_in_this_game(eta):
    """G pays η‖∇_ψ V‖²: -ηp² ± p√(η²p² - 1), the spectrum of a distortion with μ = ηp²."""
    found = spectrum(NonSaturating(), {"n": (eta, GradNorm())})
    assert_same_spectrum(found, roots(-eta / 4, 0.25 * (eta**2 / 4 - 1)))
    assert_same_spectrum(found, spectrum(NonSaturating(), {"mse": mse(eta / 4)}).tolist())


@pytest.mark.parametrize(("mu", "gamma"), [(2.0, 0.5), (0.2, 1.0), (0.5, 1.0)])
def test_distortion_and_penalty_together(mu, gamma):
    found = spectrum(NonSaturating(), {"mse": mse(mu), "r1": (gamma, R1())})
    expected = [-(mu + gamma / 2) + s / 2 for s in roots(0, (gamma - 2 * mu) ** 2 - 1)]
    assert_same_spectrum(found, expected)
    assert bool((found.imag.abs() > 1e-6).any()) == (abs(gamma - 2 * mu) < 1)


def test_a_penalty_makes_an_overdamped_distortion_nine_times_faster():
    slow = max(spectrum(NonSaturating(), {"mse": mse(2.0)}).real)
    fast = max(spectrum(NonSaturating(), {"mse": mse(2.0), "r1": (0.5, R1())}).real)
    assert slow.item() == pytest.approx(-0.0635, abs=5e-5)
    assert fast.item() == pytest.approx(-0.573, abs=5e-4)


def test_where_the_optimum_of_the_distortion_is_not_the_data_the_discriminator_stays_at_work():
    """At θ = data D's force does not vanish for G: it must hold 2μm against the distortion, ψ* = -2μm/p."""
    mu, m, p = 0.3, 0.01, 0.5
    game, _ = dirac(NonSaturating(), 0.0, -2 * mu * m / p, {"distortion": (mu, Towards(m))})
    (g,), (d,) = game.field(game.turn("both", torch.zeros(1, 1, 1, dtype=torch.float64), 0))
    assert g.item() == pytest.approx(0, abs=1e-12)
    assert d.item() == pytest.approx(0, abs=1e-12)


class Towards(Term):
    """(θ - m)²."""

    def __init__(self, m):
        super().__init__()
        self.m = m

    def forward(self, turn):
        return turn.mean((turn.x_hat - self.m).square())


def test_instance_noise_damps_the_discriminator():
    """f''σ² ± √(f''²σ⁴ - p²) with f'' = -¼, from a large batch of draws."""
    sigma = 1.2
    game, x = dirac(NonSaturating(), 0.0, 0.0, sights=[InstanceNoise(sigma)], samples=200_000)
    found = torch.linalg.eigvals(jacobian(game, x))
    assert_same_spectrum(found, roots(-(sigma**2) / 4, sigma**4 / 16 - 0.25), 0.01)
    for loss in (Wasserstein(), Hinge()):
        game, x = dirac(loss, 0.0, 0.0, sights=[InstanceNoise(sigma)], samples=1000)
        assert_same_spectrum(torch.linalg.eigvals(jacobian(game, x)), [1j, -1j], 0.1)


# --- rules ---

START = (0.01, 0.0)  # close to the equilibrium every game is its linearisation


def radii(loss, rule, h, steps, terms=None, start=START):
    theta, psi = play(*dirac(loss, start[0], start[1], terms), rule, h, steps)
    return (theta.square() + psi.square()).sqrt().squeeze(-1)


@pytest.mark.parametrize("h", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(("loss", "p"), [(Wasserstein(), 1.0), (NonSaturating(), 0.5)], ids=["wgan", "ns"])
def test_simultaneous_descent_spirals_out(loss, p, h):
    radius = radii(loss, Simultaneous(), h, 10)
    growth = radius[1:] / radius[:-1]
    exact = 1e-12 if p == 1.0 else 1e-3
    assert growth.tolist() == pytest.approx([math.sqrt(1 + h**2 * p**2)] * 10, rel=exact)


def test_alternating_descent_stays_within_bounds():
    h = torch.tensor([0.1, 1.0, 1.9, 2.1], dtype=torch.float64)
    theta, psi = play(*dirac(Wasserstein(), [START[0]] * 4, [START[1]] * 4), Alternating(), h, 600)
    radius = (theta.square() + psi.square()).sqrt()
    assert (radius.max(0).values < START[0] / (1 - h / 2).sqrt() * 1.01)[:3].all()
    assert (radius[-200:].max(0).values > 0.5 * START[0])[:3].all()  # it does not converge
    assert radius[-1, 3] > 100 * START[0]  # and is not stable beyond 2/p


@pytest.mark.parametrize(
    ("mu", "simultaneous", "alternating"),
    [(0.1, 0.8, 3.279), (0.25, 2.0, 2.472), (0.5, 4.0, 1.657), (1.0, 1.072, 0.944), (2.0, 0.508, 0.492)],
)
def test_critical_step_sizes_with_a_distortion(mu, simultaneous, alternating):
    for rule, critical in ((Simultaneous(), simultaneous), (Alternating(), alternating)):
        h = torch.tensor([0.985 * critical, 1.015 * critical], dtype=torch.float64)
        theta, psi = play(*dirac(NonSaturating(), [1e-6] * 2, [1e-6] * 2, {"mse": mse(mu)}), rule, h, 300)
        radius = (theta.square() + psi.square()).sqrt().nan_to_num(nan=math.inf)  # ∞ - ∞ has diverged
        below, above = radius[-50:].max(0).values / radius[:50].max(0).values
        assert below < 1 < above


def test_modulus_of_alternating_descent_with_a_distortion():
    """√(1 - 2hμ) for μ < p, read from the determinant of the map: 4 steps of one game against its closed form."""
    h, mu = 0.3, 0.2
    game = lambda t, s: play(*dirac(NonSaturating(), t, s, {"mse": mse(mu)}), Alternating(), h, 1)  # noqa: E731
    theta, psi = game([1e-6, 0.0], [0.0, 1e-6])
    step = torch.stack([theta[1], psi[1]]) / 1e-6
    assert torch.linalg.eigvals(step).abs().tolist() == pytest.approx(
        [math.sqrt(1 - 2 * h * mu)] * 2, rel=1e-6
    )


@pytest.mark.parametrize("h", [0.2, 0.5, 0.9])
def test_extragradient_contracts(h):
    """1 - h² + ih is its eigenvalue on the bilinear game: |·|² = 1 - h² + h⁴ < 1 iff h < 1."""
    radius = radii(Wasserstein(), Extragradient(), h, 10)
    assert (radius[1:] / radius[:-1]).tolist() == pytest.approx([math.sqrt(1 - h**2 + h**4)] * 10, rel=1e-12)
    assert radii(Wasserstein(), Extragradient(), 1.1, 10)[-1] > START[0]


def test_optimistic_descent_is_its_recursion_and_contracts_below_one_over_root_three():
    """w ← w - 2h·v_t + h·v_{t-1}; v = (ψ-force, θ-force) of the bilinear game, the first step plain."""
    h = 0.4
    theta, psi = play(*dirac(Wasserstein(), 0.3, -0.2), Optimistic(), h, 30)
    t, s, before = 0.3, -0.2, None
    for step in range(30):
        now = (s, -t)  # -∇ of what G and D pay: G pays -ψθ, D pays ψθ
        old = now if before is None else before
        t, s, before = t + 2 * h * now[0] - h * old[0], s + 2 * h * now[1] - h * old[1], now
        assert (theta[step + 1].item(), psi[step + 1].item()) == pytest.approx((t, s), abs=1e-14)
    for factor, converges in ((0.97, True), (1.03, False)):
        radius = radii(Wasserstein(), Optimistic(), factor / math.sqrt(3), 400)
        assert (radius[-1] < radius[100]) == converges


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
def test_sga_is_its_discrete_map(strength):
    """ξ + λAᵀξ on a rotation: eigenvalues 1 - h(λp² ± ip) of the map, here from two unit starts."""
    h = 0.1
    theta, psi = play(*dirac(NonSaturating(), [1e-6, 0.0], [0.0, 1e-6]), SGA(strength), h, 1)
    step = torch.stack([theta[1], psi[1]]) / 1e-6
    expected = [1 - h * strength / 4 + h * 0.5j, 1 - h * strength / 4 - h * 0.5j]
    assert_same_spectrum(torch.linalg.eigvals(step), expected)


def test_aligned_sga_pulls_towards_the_equilibrium():
    radius = radii(Wasserstein(), SGA(1.0, align=True), 0.1, 200)
    assert radius[-1] < 1e-3 * radius[0]


def test_lazy_penalty_is_unstable_where_theory_says():
    """R1 at every k-th update only is stable if roughly h·k·γ < 2."""
    for k, gamma, stable in ((1, 1.9, True), (8, 1.9, True), (8, 3.0, False)):
        radius = radii(
            NonSaturating(), Alternating(), 0.9 if k == 1 else 0.1, 200, {"r1": (gamma, R1(every=k))}
        )
        assert (radius[-1] < radius[0]) == stable


# --- thousands of games, and the trainer's own players ---


def test_each_game_has_its_own_step_size():
    h = torch.logspace(-2, 0, 1000, dtype=torch.float64)
    theta, psi = play(*dirac(Wasserstein(), [0.01] * 1000, [0.0] * 1000), Simultaneous(), h, 5)
    radius = (theta.square() + psi.square()).sqrt()
    assert torch.allclose(radius[5], 0.01 * (1 + h**2) ** 2.5)


class Adam(GradientDescent):
    """Adam by hand, for one step size a game."""

    def __init__(self, parameters, lr, betas=(0.5, 0.9), eps=1e-8) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps, self.t = betas, eps, 0
        self.first, self.second = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

    @torch.no_grad()
    def step(self, gradients) -> None:
        self.t += 1
        one, two = self.betas
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            m.mul_(one).add_((1 - one) * g)
            v.mul_(two).add_((1 - two) * g.square())
            p.sub_(self.lr * (m / (1 - one**self.t)) / ((v / (1 - two**self.t)).sqrt() + self.eps))

    peek = step

    def memory(self):
        return self.t, [m.clone() for m in self.first], [v.clone() for v in self.second]

    def remember(self, memory) -> None:
        self.t, self.first, self.second = memory


RULES = {
    "simultaneous": Simultaneous,
    "alternating": Alternating,
    "optimistic": Optimistic,
    "sga": SGA,
    "extragradient": Extragradient,
    "extragradient, update": lambda: Extragradient("update"),
    "extragradient, lookahead": lambda: Extragradient("lookahead"),
}


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("name", RULES)
def test_the_lab_is_the_trainer(name, kind):
    """Torch's optimizers and the hand-written, vectorised players draw the same trajectories."""
    terms = {"mse": mse(0.2), "r1": (0.3, R1()), "consensus": (0.1, Consensus())}
    paths = []
    for trainer in (True, False):
        game, x = dirac(pair(NonSaturating()), 0.7, -0.4, terms)
        if trainer:
            optimizer = torch.optim.Adam if kind == "adam" else torch.optim.SGD
            options = {"lr": 0.05} | ({"betas": (0.5, 0.9)} if kind == "adam" else {})
            players = [OptimizerPlayer(optimizer(game.parameters_of(p), **options)) for p in ("g", "d")]
        else:
            player = Adam if kind == "adam" else GradientDescent
            players = [player(game.parameters_of(p), 0.05) for p in ("g", "d")]
        rule, path = RULES[name](), []
        for step in range(30):
            rule(game, [x], step, Players(*players))
            path.append([game.generator.theta.item(), game.discriminator.psi.item()])
        paths.append(torch.tensor(path))
    assert torch.allclose(*paths, atol=1e-7, rtol=0)
    assert (paths[0][0] - paths[0][-1]).norm() > 0.1  # they went somewhere


# --- extragradient in detail ---


class Counting(GradientDescent):
    """Gradient descent that counts its own updates and takes smaller steps with every one."""

    def __init__(self, parameters, lr) -> None:
        super().__init__(parameters, lr)
        self.count, self.lrs = 0, []

    def step(self, gradients) -> None:
        self.count += 1
        self.lrs.append(self.count)
        super().step(gradients)

    peek = step

    def memory(self):
        return self.count

    def remember(self, memory) -> None:
        self.count = memory


@pytest.mark.parametrize(
    ("moments", "counts"),
    [("both", [1, 2, 3, 4, 5, 6]), ("update", [1, 1, 2, 2, 3, 3]), ("lookahead", [1, 2, 2, 3, 3, 4])],
)
def test_which_move_of_extragradient_advances_the_optimizer(moments, counts):
    game, x = dirac(Wasserstein(), 0.1, 0.1)
    players = Players(*(Counting(game.parameters_of(p), 0.1) for p in ("g", "d")))
    rule = Extragradient(moments)
    for step in range(3):
        rule(game, [x], step, players)
    assert players.g.lrs == players.d.lrs == counts


def test_extragradient_knows_its_options():
    with pytest.raises(InputError, match="both, update or lookahead"):
        Extragradient("none")


def test_extragradient_sees_the_same_batch_and_noise_at_both_points():
    seen = []

    class Watching(Slope):
        def forward(self, images, cond):
            seen.append(images.detach().clone())
            return super().forward(images, cond)

    game, x = dirac(NonSaturating(), 0.0, 0.3, sights=[InstanceNoise(1.0)], samples=3)
    game.discriminator = Watching(torch.tensor([0.3], dtype=torch.float64))
    players = Players(*(GradientDescent(game.parameters_of(p), 0.1) for p in ("g", "d")))
    Extragradient()(game, [x], 7, players)
    fake, real, fake_ahead, real_ahead = seen
    assert torch.equal(real, real_ahead)
    moved = fake_ahead - fake
    assert torch.allclose(moved, moved[0, 0, 0].expand_as(moved))  # θ has moved, the noise has not
    assert moved.abs().max() > 0
    Extragradient()(game, [x], 8, players)
    assert not torch.equal(seen[5], real)
