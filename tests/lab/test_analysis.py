"""Equilibria, spectra in both times, trajectories and their names."""

import math

import pytest
import torch

from gcn.game.objective import Objective
from gcn.game.rules import SGA, Alternating, Extragradient, Optimistic, Simultaneous
from gcn.lab.analysis import equilibrium, flow, is_smooth, outcome, point, rotation_index, spectrum
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.examine import examine
from gcn.lab.games import Dirac, LinearND, Lossy, Quantiser, Uniform
from gcn.lab.players import SGD, Adam, RMSProp
from gcn.losses.adversarial import Hinge, MaximumLikelihood, NonSaturating, Vanilla, Wasserstein
from gcn.losses.constraints import WeightClip
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1
from gcn.losses.perturbation import InstanceNoise


def ensemble(loss, small=None, mse=None, perturbations=(), rule=Alternating, lr=0.1, optimizer=SGD, **terms):
    weighted = {} if mse is None else {"mse": (mse, MSE(unit=255.0))}
    makers = {"r1": R1, "gp": GP}
    weighted |= {name: (weight, makers[name]()) for name, weight in terms.items()}
    return GameEnsemble(
        small or Dirac(),
        Objective(loss, 1.0, weighted, perturbations),
        rule,
        lambda parameters: optimizer(parameters, lr),
    )


@pytest.fixture(autouse=True)
def few_updates(monkeypatch):
    """Exponents, which cost the most, are what other tests look at."""
    monkeypatch.setattr("gcn.lab.examine.UPDATES", 2)


def largest(run):
    return max(map(abs, run.discrete))


# equilibria


def test_the_equilibrium_of_a_lossy_game_keeps_d_at_work():
    rest = equilibrium(ensemble(NonSaturating(), Lossy(m=1.0), mse=0.3))
    assert rest.smooth
    assert rest.point.tolist() == pytest.approx([0.0, -4 * 0.3], abs=1e-9)


def test_a_quantised_gaussian_rests_at_the_right_variance_with_d_at_work():
    small = Quantiser(levels=4)
    theta, psi = equilibrium(ensemble(Wasserstein(), small, mse=0.5)).point.tolist()
    assert theta**2 * small.energy == pytest.approx(1.0, abs=1e-9)
    assert theta > 1  # the least distortion is at 1
    assert psi == pytest.approx(0.5 * (theta - 1) / theta, abs=1e-9)


def test_a_penalty_with_a_centre_elsewhere_leaves_a_kink_or_moves_the_equilibrium():
    alone = equilibrium(ensemble(Wasserstein(), gp=1.0))
    assert alone.point.tolist() == [0.0, 0.0]
    assert not alone.smooth
    mu, weight = 0.5, 1.0
    together = examine(ensemble(Wasserstein(), mse=mu, gp=weight, lr=0.5), 50).rest
    assert together.smooth
    assert abs(together.point[0].item()) == pytest.approx(2 * weight / (1 + 4 * mu * weight), rel=1e-6)


def test_smoothness_is_looked_at_on_both_sides():
    at = torch.tensor([0.0, 0.0], dtype=torch.float64)
    assert is_smooth(ensemble(Hinge(), mse=0.3), at)
    assert not is_smooth(ensemble(Wasserstein(), gp=1.0), at)
    margin = torch.tensor([1.0, -1.0], dtype=torch.float64)  # 1 + D(x_hat) = 0
    assert not is_smooth(ensemble(Hinge()), margin)


# discrete time


def test_the_update_of_simultaneous_descent_is_one_plus_hj():
    run = examine(ensemble(NonSaturating(), mse=0.2, rule=Simultaneous, lr=0.3), 5)
    expected = torch.linalg.eigvals(torch.eye(2, dtype=torch.float64) + 0.3 * run.jacobian)
    assert sorted(map(abs, run.discrete)) == pytest.approx(sorted(expected.abs().tolist()), rel=1e-8)


@pytest.mark.parametrize("momentum", [0.9, -0.5])
def test_the_update_of_heavy_ball_has_its_companion_spectrum(momentum):
    """m ← βm + g, w ← w - hm on a field with eigenvalue λ: z² - (1 + β + hλ)z + β = 0."""
    h = 0.05
    made = ensemble(
        Wasserstein(), mse=0.3, rule=Simultaneous, lr=h, optimizer=lambda p, lr: SGD(p, lr, momentum)
    )
    run = examine(made, 3)
    expected = []
    for eigenvalue in run.eigenvalues:
        b = 1 + momentum + h * eigenvalue
        root = (b * b - 4 * momentum) ** 0.5
        expected += [(b + root) / 2, (b - root) / 2]
    for found in run.discrete:
        assert min(abs(found - e) for e in expected) < 1e-7
    assert len(run.discrete) == 4


def test_the_update_of_the_optimistic_rule_remembers_its_last_move():
    """w ← w + 2hλw - hλw': z² - (1 + 2hλ)z + hλ = 0."""
    h = 0.4
    run = examine(ensemble(Wasserstein(), rule=Optimistic, lr=h), 3)
    expected = []
    for eigenvalue in (1j, -1j):
        b = 1 + 2 * h * eigenvalue
        root = (b * b - 4 * h * eigenvalue) ** 0.5
        expected += [(b + root) / 2, (b - root) / 2]
    assert len(run.discrete) == 4
    for value in expected:
        assert min(abs(found - value) for found in run.discrete) < 1e-7


class Rolling(Simultaneous):
    """Somebody's own rule, with a memory of its own: m ← βm + g."""

    beta = 0.7

    def __init__(self):
        self.kept = None

    def __call__(self, game, batches, step, players):
        turn = game.turn("both", batches[-1], step)
        field = game.field(turn)
        before = self.kept or [[torch.zeros_like(v) for v in part] for part in field]
        pairs = zip(before, field, strict=True)
        self.kept = [[self.beta * m + v for m, v in zip(ms, vs, strict=True)] for ms, vs in pairs]
        for player, moves in zip(players, self.kept, strict=True):
            player.step(moves)
        return turn

    def state_dict(self):
        return {"kept": self.kept}

    def load_state_dict(self, state):
        self.kept = state["kept"]


def test_a_rule_that_nobody_has_told_the_lab_about_has_its_spectrum():
    h = 0.05
    own = examine(ensemble(Wasserstein(), mse=0.3, rule=Rolling, lr=h), 3)
    ball = lambda parameters, lr: SGD(parameters, lr, Rolling.beta)  # noqa: E731
    known = examine(ensemble(Wasserstein(), mse=0.3, rule=Simultaneous, lr=h, optimizer=ball), 3)
    assert len(own.discrete) == len(known.discrete) == 4
    for value in known.discrete:
        assert min(abs(found - value) for found in own.discrete) < 1e-7


def test_the_update_of_extragradient_and_of_sga():
    run = examine(ensemble(Wasserstein(), rule=Extragradient, lr=0.5), 3)
    assert largest(run) == pytest.approx(math.sqrt(1 - 0.25 + 0.0625), rel=1e-8)
    run = examine(ensemble(NonSaturating(), rule=SGA, lr=0.1), 3)
    assert largest(run) == pytest.approx(abs(1 - 0.1 * (0.25 + 0.5j)), rel=1e-8)


@pytest.mark.parametrize("optimizer", [Adam, RMSProp])
def test_an_adaptive_update_is_preconditioned_by_what_the_run_left(optimizer):
    made = ensemble(NonSaturating(), mse=0.5, rule=Simultaneous, lr=0.001, optimizer=optimizer)
    run = examine(made, 50)
    game = made.game(point(made.small.start))
    players, rule = made.players(game), made.rule()
    for step in range(50):
        rule(game, [made.batch(1)], step, players)
    scales = [player.linear().precondition[0].item() for player in players]
    matrix = torch.diag(torch.tensor(scales, dtype=torch.float64)) @ run.jacobian
    beta = players.g.linear().beta
    expected = []
    for eigenvalue in torch.linalg.eigvals(matrix).tolist():
        b = 1 + beta + 0.001 * players.g.linear().gain * eigenvalue
        root = (b * b - 4 * beta) ** 0.5
        expected += [(b + root) / 2, (b - root) / 2] if beta else [b]
    assert len(run.discrete) == len(expected)
    for value in expected:
        assert min(abs(found - value) for found in run.discrete) < 1e-6


def test_a_lazy_penalty_has_the_spectrum_of_its_period():
    """R1 at every fourth update, four times as strong: the product of its four maps."""
    h, gamma = 0.1, 1.0
    made = GameEnsemble(
        Dirac(),
        Objective(Wasserstein(), 1.0, {"r1": (gamma, R1(every=4))}),
        Simultaneous,
        lambda p: SGD(p, h),
    )
    run = examine(made, 4)
    plain = torch.tensor([[1.0, h], [-h, 1.0]], dtype=torch.float64)
    lazy = plain - torch.tensor([[0.0, 0.0], [0.0, 4 * h * gamma]], dtype=torch.float64)
    expected = torch.linalg.eigvals(plain @ plain @ plain @ lazy)
    assert run.period == 4
    assert sorted(map(abs, run.discrete)) == pytest.approx(sorted(expected.abs().tolist()), rel=1e-7)
    assert run.eigenvalues[0].real == pytest.approx(-gamma / 2)  # its mean over the period


def test_several_turns_of_d_are_in_the_map():
    made = GameEnsemble(Dirac(), Objective(Wasserstein()), Alternating, lambda p: SGD(p, 0.1), d_steps=3)
    determinant = math.prod(examine(made, 3).discrete)
    assert determinant == pytest.approx(1.0, abs=1e-8)
    trace = sum(examine(made, 3).discrete)
    assert trace.real == pytest.approx(2 - 3 * 0.1**2, rel=1e-7)


def test_the_step_size_of_d_may_differ():
    made = GameEnsemble(
        Dirac(), Objective(Wasserstein()), Simultaneous, lambda p: SGD(p, 0.1), lambda p: SGD(p, 0.4)
    )
    assert largest(examine(made, 3)) == pytest.approx(math.sqrt(1 + 0.1 * 0.4), rel=1e-8)


# continuous time


def test_a_field_made_once_is_the_velocity_at_each_point():
    made = ensemble(NonSaturating(), mse=0.3)
    field, points = made.field(2), torch.tensor([[1.0, 0.5], [-2.0, 3.0]], dtype=torch.float64)
    for at in (points, points.flip(0)):
        assert torch.equal(field(at), made.velocity(at))
        assert torch.allclose(field(at), torch.cat([made.velocity(row[None]) for row in at]), atol=1e-15)


def test_the_flow_of_a_linear_game_is_its_exponential():
    made = ensemble(Wasserstein(), mse=0.3)
    start = torch.tensor([0.4, -0.2], dtype=torch.float64)
    path = flow(made, start, (0.1, 0.1), 50)
    exact = torch.linalg.matrix_exp(5.0 * made.jacobian(start[None])[0]) @ start
    assert torch.allclose(path[-1], exact, atol=1e-7)


def test_the_flow_of_vanilla_keeps_its_radius():
    path = flow(ensemble(Vanilla()), torch.tensor([0.4, -0.2], dtype=torch.float64), (0.1, 0.1), 100)
    radius = path.norm(dim=1)
    assert radius.max() - radius.min() < 1e-7


def test_a_flow_that_escapes_is_cut_and_called_diverged():
    """Far out G of maximum likelihood gains by exp(D): it is gone in finite time."""
    for start in ((3.3, 3.3), (6.0, 3.0)):
        run = examine(ensemble(MaximumLikelihood()), 200, start=start, continuous=True)
        assert run.outcome.name == "diverged"
        assert run.record()["converged"] is False
        assert run.record()["final"] == [None, None]


def test_the_flow_over_one_step_has_the_exponentials_spectrum():
    run = examine(ensemble(NonSaturating(), mse=0.2), 10, continuous=True)
    assert largest(run) == pytest.approx(math.exp(0.1 * run.eigenvalues[0].real), rel=1e-9)


# what is said of trajectories


def spiral(rate, turns=20, steps=400):
    t = torch.arange(steps + 1, dtype=torch.float64)
    angle = 2 * math.pi * turns * t / steps
    return torch.exp(rate * t)[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


@pytest.mark.parametrize(
    ("rate", "name"),
    [(-0.05, "converged"), (-0.005, "approaching"), (0.0, "persisting"), (0.005, "receding")],
)
def test_outcomes(rate, name):
    judged = outcome(spiral(rate), torch.zeros(2, dtype=torch.float64))
    assert judged.name == name
    assert judged.rate == pytest.approx(rate, abs=2e-3)
    assert judged.converged == (name == "converged")


def test_numbers_that_are_none_have_diverged():
    path = spiral(0.0)
    path[-1, 0] = math.nan
    assert outcome(path, None).name == "diverged"
    assert outcome(1e7 * spiral(0.01), torch.zeros(2, dtype=torch.float64)).name == "diverged"


def test_without_an_equilibrium_a_trajectory_is_measured_against_itself():
    assert outcome(spiral(-0.05) + 3.0, None).name == "converged"
    assert outcome(spiral(0.0) + 3.0, None).name == "persisting"


def test_rotation_index_of_a_rotation_a_contraction_and_a_spiral():
    assert rotation_index(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])) == 1.0
    assert rotation_index(-torch.eye(2)) == 0.0
    assert rotation_index(torch.tensor([[-1.0, 1.0], [-1.0, -1.0]])) == pytest.approx(0.5)


# thousands of games


def test_every_game_has_its_own_weight():
    weights = torch.tensor([0.0, 0.1, 0.7], dtype=torch.float64)
    start = torch.tensor([[0.5, -0.3]], dtype=torch.float64)
    together = play(ensemble(NonSaturating(), mse=weights), start.repeat(3, 1), 20)
    for i, weight in enumerate(weights.tolist()):
        alone = play(ensemble(NonSaturating(), mse=weight), start, 20)
        assert torch.allclose(together[:, i], alone[:, 0], atol=1e-14)


def test_noise_by_quadrature_has_the_moments_of_normal_noise():
    """Real and fake noise of a game in three dimensions: mean 0, variance 1, uncorrelated, also with each other."""
    small = LinearND([1.0, 2.0], extra=1)
    made = ensemble(NonSaturating(), small, perturbations=[InstanceNoise(1.0)])
    game = made.game(torch.zeros(1, 5, dtype=torch.float64))
    turn = game.turn("both", made.batch(1), 0)
    both = torch.cat([turn.seen_real[0], turn.seen_fake.detach()[0]], dim=1)  # (samples, 6)
    assert torch.allclose(both.mean(0), torch.zeros(6, dtype=torch.float64))
    assert torch.allclose(both.T @ both / len(both), torch.eye(6, dtype=torch.float64))


def test_random_noise_can_be_asked_for_and_has_the_same_spectrum_on_average():
    from gcn.game.streams import Streams

    perturbations = [InstanceNoise(1.0)]
    exact = ensemble(NonSaturating(), perturbations=perturbations)
    drawn = GameEnsemble(
        Dirac(), Objective(NonSaturating(), 1.0, {}, perturbations), streams=Streams(0), copies=100_000
    )
    at = torch.zeros(1, 2, dtype=torch.float64)
    assert torch.allclose(exact.jacobian(at), drawn.jacobian(at), atol=0.01)
    assert not torch.equal(exact.jacobian(at), drawn.jacobian(at))


def test_a_bound_on_ds_weights_holds_after_every_update():
    made = GameEnsemble(
        Dirac(), Objective(Wasserstein()), Alternating, lambda p: SGD(p, 0.5), constraints=(WeightClip(0.2),)
    )
    path = play(made, torch.tensor([[2.0, 0.1]], dtype=torch.float64), 30)
    assert path[1:, 0, 1].abs().max() == pytest.approx(0.2)


@pytest.mark.parametrize("small", [Dirac(bias=True), Uniform(), LinearND()], ids=lambda s: type(s).__name__)
def test_the_jacobian_is_that_of_the_field(small):
    made = ensemble(NonSaturating(), small, mse=0.3, r1=0.4)
    at = torch.linspace(0.2, 0.9, len(small.names), dtype=torch.float64)
    offsets = 1e-6 * torch.eye(len(at), dtype=torch.float64)
    differences = (made.velocity(at + offsets) - made.velocity(at - offsets)) / 2e-6
    assert torch.allclose(made.jacobian(at[None])[0], differences.T, atol=1e-7)


def test_spectra_are_in_a_stable_order():
    values = spectrum(
        torch.tensor([[-1.0, 2.0, 0.0], [-2.0, -1.0, 0.0], [0.0, 0.0, -0.5]], dtype=torch.float64)
    )
    assert [round(v.imag) for v in values] == [0, 2, -2]


def test_a_loss_that_no_table_knows_can_be_played():
    class Mine(NonSaturating):
        """Somebody's own."""

    run = examine(ensemble(Mine(), mse=0.2), 20)
    assert run.closed_form is None
    assert run.eigenvalues[0] == pytest.approx(complex(-0.2, 0.21**0.5))
