"""Lyapunov exponents of training against closed forms and against products of Jacobians."""

import dataclasses
import math

import pytest
import torch
from little import TINIEST, batch, game, small
from test_training_state import adam

from gcn.errors import InputError
from gcn.game.protocols import Players
from gcn.game.rules import Alternating, Descend, Optimistic, Simultaneous
from gcn.lab.players import SGD
from gcn.losses.adversarial import NonSaturating
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1
from gcn.spectrum.exponent import Rates, Settings, measure, warnings
from gcn.spectrum.growth import Estimate, random_frame
from gcn.spectrum.linearised import Linearised
from gcn.spectrum.training_state import TrainingState
from gcn.spectrum.update_map import LinearPlayer, UpdateMap
from gcn.training.player import OptimizerPlayer

H, MU, GAMMA = 0.4, 1.0, 0.2  # step size, distortion, R1


class OneBatch:
    """A training on the same batch at every update."""

    def __init__(self, of, x, rule, players):
        self.game, self.x, self.rule, self.players, self.step = of, x, rule, players, 0

    def batches(self, step):
        return [self.x]


def dirac(rule, optimizer=lambda parameters: SGD(parameters, H), at=(0.0, 0.0)):
    """The Dirac-GAN with a distortion and R1: its equilibrium is a node, and each player's own damping is known."""
    of, x = small(NonSaturating(), at, {"mse": (MU, MSE(unit=255.0)), "r1": (GAMMA, R1())})
    return OneBatch(of, x, rule, Players(*(optimizer(of.parameters_of(name)) for name in "gd")))


def node(rule):
    """Logarithms of the eigenvalues of the update of :func:`dirac`, by falling size."""
    one = dirac(rule)
    players = tuple(LinearPlayer(one.game.parameters_of(name), H) for name in "gd")
    values = torch.linalg.eigvals(UpdateMap(one.game, rule, [one.x], players).dense())
    return values.abs().log().sort(descending=True).values.tolist()


LONG = Settings(updates=10, align=10, epsilon=1e-6, distances=(1e-4,))


@pytest.mark.parametrize("rule", [Simultaneous, Alternating])
def test_exponents_at_an_equilibrium_are_those_of_the_eigenvalues(rule):
    """Each player's conditional exponent is that of its own damping: log|1 - 2μh| and log|1 - γh|."""
    found = measure(dirac(rule()), LONG)
    assert [one.value for one in found.leading] == pytest.approx(node(rule()), abs=1e-5)
    assert [one.value for one in found.leading_g] == pytest.approx([math.log(1 - 2 * MU * H)], abs=1e-5)
    assert [one.value for one in found.leading_d] == pytest.approx([math.log(1 - GAMMA * H)], abs=1e-5)
    assert found.rates.share.value == pytest.approx(
        found.value - max(found.rates.g.value, found.rates.d.value)
    )
    for one in found.distances:
        assert one.whole.value == pytest.approx(found.value, abs=1e-4)
    assert found.warnings == []


def test_in_function_space_the_rate_is_the_same():
    found = measure(dirac(Simultaneous()), dataclasses.replace(LONG, distances=(), directions=1))
    assert found.functions["all"]["x_hat"].value == pytest.approx(found.value, abs=1e-5)
    assert found.functions["g"]["x_hat"].value == pytest.approx(found.rates.g.value, abs=1e-5)
    assert "x_hat" not in found.functions["d"]  # with G's points replayed x_hat is the same


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_norm_does_not_matter_in_the_long_run(scale):
    """Momentum counts a hundredth and a hundred times as much."""

    def heavy(parameters):
        return SGD(parameters, H, momentum=0.3)

    quick = Settings(
        updates=10, align=40, epsilon=1e-6, distances=(), conditional=0, directions=1, memory_scale=scale
    )
    found = measure(dirac(Alternating(), heavy), quick)
    one = dirac(Alternating())
    players = tuple(LinearPlayer(one.game.parameters_of(name), H, 0.3) for name in "gd")
    radius = torch.linalg.eigvals(UpdateMap(one.game, Alternating(), [one.x], players).dense()).abs().max()
    assert found.value == pytest.approx(float(radius.log()), abs=1e-5)


def test_adam_with_a_preconditioner_that_does_not_move():
    """At an equilibrium, with β₂ nearly 1, Adam is the linear map m ← βm + (1 - β)g, w ← w - lr/(√v + eps)·m."""
    v, lr, beta = 0.04, 0.06, 0.3
    one = dirac(Alternating())

    def started(parameters):
        optimizer = torch.optim.Adam(parameters, lr=lr, betas=(beta, 1 - 1e-12), eps=1e-3)
        player = OptimizerPlayer(optimizer)
        zero = torch.zeros_like(parameters[0])
        # at step 1e15 no bias is left to correct
        optimizer.state[parameters[0]] = {
            "step": torch.tensor(1e15), "exp_avg": zero.clone(), "exp_avg_sq": torch.full_like(zero, v)
        }  # fmt: skip
        return player

    one.players = Players(*(started(one.game.parameters_of(name)) for name in "gd"))
    found = measure(
        one, Settings(updates=10, align=25, epsilon=1e-6, distances=(), conditional=0, directions=3)
    )
    precondition = lr / (v**0.5 + 1e-3)
    frozen = tuple(LinearPlayer(one.game.parameters_of(n), precondition, beta, 1 - beta) for n in "gd")
    values = torch.linalg.eigvals(UpdateMap(one.game, Alternating(), [one.x], frozen).dense())
    # the two second moments stand still: two exponents of 0, and in the sum of three the map's largest
    total = sum(one.value for one in found.leading)
    assert total == pytest.approx(float(values.abs().max().log()), abs=1e-5)


def jacobian_product(one, state, frame, updates):
    """Log growth of a frame under the derivatives of ``updates`` whole steps of simultaneous Adam, written by hand.

    m' = βm + (1-β)g, v' = αv + (1-α)g², w' = w - lr·m'/(1-βᵗ)/(√(v'/(1-αᵗ)) + eps), with dg = -J·dw and J by automatic
    differentiation of the field.
    """
    group = one.players.g.optimizer.param_groups[0]
    (beta, alpha), lr, eps = group["betas"], group["lr"], group["eps"]
    parameters = [p for name in "gd" for p in one.game.parameters_of(name)]
    states = [player.optimizer.state[p] for player in one.players for p in player.parameters]
    n, total = sum(p.numel() for p in parameters), torch.zeros(len(frame)).double()
    by_root = {
        root: [part for part in state.parts[len(parameters) :] if part.root == root] for root in (False, True)
    }
    unit_m, unit_v = (
        torch.cat(
            [
                torch.full((p.numel(),), part.unit).double()
                for p, part in zip(parameters, by_root[root], strict=True)
            ]
        )
        for root in (False, True)
    )
    # coordinates: all parameters, then m and √v of each parameter in turn
    where = torch.cat([torch.full((p.numel(),), i) for i, p in enumerate(parameters)])
    of_m = (
        n
        + torch.arange(n)
        + torch.cat([torch.zeros(1), torch.tensor([p.numel() for p in parameters])]).cumsum(0).long()[where]
    )
    of_v = of_m + torch.tensor([p.numel() for p in parameters])[where]

    def flat(name):
        return torch.cat([s[name].reshape(-1) for s in states])

    for _ in range(updates):
        field = Linearised(one.game, one.x, one.step)
        g, t = -field.field, float(states[0]["step"]) + 1
        m, v = flat("exp_avg"), flat("exp_avg_sq")
        m_new, v_new = beta * m + (1 - beta) * g, alpha * v + (1 - alpha) * g.square()
        root, correct = (v_new / (1 - alpha**t)).sqrt(), 1 - alpha**t
        moved = []
        for row in frame:
            dw, dm, dv = row[:n], row[of_m] / unit_m, 2 * v.sqrt() * row[of_v] / unit_v
            dg = -field.jvp(dw)
            dm_new, dv_new = beta * dm + (1 - beta) * dg, alpha * dv + 2 * (1 - alpha) * g * dg
            d_root = torch.where(root > 0, dv_new / (2 * root * correct), 0.0)
            step = dm_new / (root + eps) - m_new * d_root / (root + eps).square()
            new = torch.empty_like(row)
            new[:n] = dw - lr / (1 - beta**t) * step
            new[of_m], new[of_v] = unit_m * dm_new, unit_v * d_root * correct**0.5
            moved.append(new)
        del field  # the update moves the parameters that its graph holds
        q, r = torch.linalg.qr(torch.stack(moved).T)
        frame, total = q.T, total + r.diagonal().abs().log()
        update_once(one)
    return frame, total


def update_once(one):
    one.rule(one.game, [one.x], one.step, one.players)
    one.step += 1


def test_adam_is_the_product_of_the_whole_steps_jacobians():
    """Along the orbit of a tiny codec, direction by direction: no finite difference stands on the other side."""
    of = game("loss=ns mse=1 rate=null instance_noise=0.1", size=TINIEST)
    of.generator.freeze("encoder")  # fewer parameters
    one = OneBatch(of, batch(of, side=16), Simultaneous(), adam(of, lr=2e-3, betas=(0.5, 0.9)))
    for _ in range(3):
        update_once(one)
    settings = Settings(updates=4, align=4, every=4, directions=4, conditional=0, distances=(), epsilon=1e-8)
    found = measure(one, settings)
    state = TrainingState(one.game, one.rule, one.players)
    before = state.take()
    update_once(one)
    state.lay_out(before, state.take())
    frame, _ = jacobian_product(one, state, random_frame(4, state.mask("g", "d", "shared"), seed=0), 4)
    _, lengths = jacobian_product(one, state, frame, 4)
    assert [4 * rate.value for rate in found.leading] == pytest.approx(lengths.tolist(), rel=1e-3, abs=1e-6)
    assert max(abs(rate.value) for rate in found.leading) > 1e-3


def test_afterwards_the_training_stands_where_it_stood():
    of = game("loss=ns mse=1 lecam=1 spectral_norm=true", size=TINIEST)
    one = OneBatch(of, batch(of, side=16), Optimistic(), adam(of))
    update_once(one)
    state = TrainingState(of, one.rule, one.players)
    before, step = state.take(), one.step
    measure(one, Settings(updates=2, align=1, every=1, directions=1, distances=()))
    assert all(torch.equal(a, b) for a, b in zip(before.tensors, state.take().tensors, strict=True))
    assert one.step == step


def test_the_cost_is_the_number_of_updates_made():
    seen, made = [], []

    class Counted(Simultaneous):
        def __call__(self, *arguments):
            made.append(1)
            return super().__call__(*arguments)

    settings = Settings(updates=4, align=2, every=2, directions=2, distances=(1e-2,))
    found = measure(dirac(Counted()), settings, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 6), (4, 6), (6, 6)]
    assert found.cost == len(made) == 1 + 6 * (1 + (2 + 1 + 1) + 3)
    assert found.record()["updates_made"] == found.cost
    assert [one.epsilon for one in found.distances] == [1e-2, 1e-3]


def test_a_generator_alone_has_no_conditional_exponents():
    of = game("loss=none mse=1", size=TINIEST)
    player = OptimizerPlayer(torch.optim.Adam(of.parameters_of("g"), lr=1e-3))
    found = measure(
        OneBatch(of, batch(of, side=16), Descend(), Players(player, player)),
        Settings(updates=4, align=2, every=2, directions=2, distances=()),
    )
    assert len(found.leading) == 2
    assert (found.rates.g, found.rates.d, found.rates.share) == (None, None, None)
    assert set(found.functions) == {"all"}
    assert set(found.functions["all"]) == {"x_hat"}


def test_a_training_that_diverges_is_said_so():
    one = dirac(Simultaneous(), lambda parameters: SGD(parameters, 1e200), at=(1.0, 1.0))
    with pytest.raises(InputError, match="diverges at update"):
        measure(one, Settings(distances=()))


def rates(*values, epsilon=1e-3, error=0.005):
    return Rates(epsilon, Estimate(sum(values) / len(values), 4.6 * error, values, error), None, None, None)


def test_warnings():
    level = [rates(0.1, epsilon=epsilon) for epsilon in (1e-2, 1e-3, 1e-4)]
    assert warnings(level[1], level) == []
    bent = [rates(0.1 + 0.1 * i, epsilon=10.0 ** (-2 - i)) for i in range(3)]
    assert [text.partition(":")[0] for text in warnings(bent[1], bent)] == ["no plateau"]
    # measured on a codec: 99 % intervals of .117 and 1.06, so that either holds the other
    bursts = [rates(0.116, epsilon=1e-3, error=0.025), rates(0.64, epsilon=1e-6, error=0.23)]
    assert [text.partition(":")[0] for text in warnings(bursts[0], bursts)] == ["no plateau"]
    drifting = rates(*(0.01 * i for i in range(20)))
    assert [text.partition(":")[0] for text in warnings(drifting, [drifting])] == ["not settled"]
