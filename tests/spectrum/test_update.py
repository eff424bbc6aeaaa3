"""The derivative of an update against closed forms, written with the field's Jacobian J and the step size h."""

import itertools

import numpy as np
import pytest
import torch
from little import TINIEST, batch, game, small, vector

from gcn.game.protocols import Players
from gcn.game.rules import Alternating, Descend, Extragradient, Lookahead, Optimistic, Simultaneous
from gcn.game.unrolled import Unrolled
from gcn.losses.adversarial import NonSaturating
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1
from gcn.spectrum.eigenvalues import Krylov
from gcn.spectrum.linearised import Linearised
from gcn.spectrum.update_map import LinearPlayer, UpdateMap

MU, GAMMA, P, H = 0.3, 0.7, 0.5, 0.4  # a = 2μ, d = γ, b = p
J = np.array([[-2 * MU, P], [-P, -GAMMA]])
I, O = np.eye(2), np.zeros((2, 2))


def dirac_map(rule, players=(H,), d_steps=1, at=(0.0, 0.0), **options) -> UpdateMap:
    """Of the Dirac-GAN with MSE and R1; ``players`` are the arguments of both of them."""
    one, x = small(NonSaturating(), at, {"mse": (MU, MSE(unit=255.0)), "r1": (GAMMA, R1())})
    players = tuple(LinearPlayer(one.parameters_of(name), *players) for name in ("g", "d"))
    return UpdateMap(one, rule, [x] * d_steps, players, **options)


def assert_is(update: UpdateMap, expected) -> None:
    assert update.dense().numpy() == pytest.approx(np.array(expected), abs=1e-8)


def test_simultaneous():
    assert_is(dirac_map(Simultaneous()), I + H * J)


def test_alternating():
    a, d, b = 2 * MU, GAMMA, P
    dense = dirac_map(Alternating()).dense()
    assert float(torch.trace(dense)) == pytest.approx(2 - H * (a + d) - H**2 * b**2, abs=1e-8)
    assert float(torch.linalg.det(dense)) == pytest.approx((1 - H * a) * (1 - H * d), abs=1e-8)


def test_two_turns_of_the_discriminator():
    d_turn, g_turn = I + H * np.array([O[0], J[1]]), I + H * np.array([J[0], O[0]])
    assert_is(dirac_map(Alternating(), d_steps=2), g_turn @ d_turn @ d_turn)


def test_several_updates_are_the_power_of_one():
    once = dirac_map(Alternating()).dense().numpy()
    assert_is(dirac_map(Alternating(), period=3), np.linalg.matrix_power(once, 3))


def test_extragradient():
    assert_is(dirac_map(Extragradient()), I + H * J + H**2 * J @ J)


def test_lookahead_keeps_a_share_of_the_way_of_its_period():
    """α U^k + 1 - α on the players, U the alternating update; -(1 - α) on the way already gone, which is forgotten."""
    once = dirac_map(Alternating()).dense().numpy()
    share, k = 0.3, 4
    update = dirac_map(Lookahead(k, share))
    assert update.period == k
    whole = share * np.linalg.matrix_power(once, k) + (1 - share) * I
    assert_is(update, np.block([[whole, -(1 - share) * I], [O, O]]))


@pytest.mark.parametrize("k", [1, 3])
def test_unrolled(k):
    """ψ_k = cψ - qθ, c = (1 - sγ)^k, q = ps·Σ_{i<k} (1 - sγ)^i; G descends -pψ_kθ + μθ²: -pcψ + 2pqθ + 2μθ."""
    s = 0.6
    c = (1 - s * GAMMA) ** k
    q = P * s * sum((1 - s * GAMMA) ** i for i in range(k))
    assert_is(dirac_map(Unrolled(k, s)), I + H * np.array([[-2 * MU - 2 * P * q, P * c], J[1]]))


@pytest.mark.parametrize("played", [0, 2])
def test_optimistic_descent_remembers_its_last_move(played):
    rule = Optimistic()
    one, x = small(NonSaturating(), terms={"mse": (MU, MSE(unit=255.0)), "r1": (GAMMA, R1())})
    players = tuple(LinearPlayer(one.parameters_of(name), H) for name in ("g", "d"))
    for step in range(played):
        rule(one, [x], step, Players(*players))
    update = UpdateMap(one, rule, [x], players)
    assert_is(update, np.block([[I + 2 * H * J, -I], [H * J, O]]))


@pytest.mark.parametrize(("beta", "gain"), [(0.9, 1.0), (0.5, 0.5), (-0.3, 1.3)])
def test_momentum_belongs_to_the_state(beta, gain):
    update = dirac_map(Simultaneous(), (H, beta, gain))
    assert_is(update, np.block([[I + gain * H * J, -beta * I], [-gain * H * J, beta * I]]))


def test_spectral_radius_without_a_matrix():
    update = dirac_map(Simultaneous(), (H, 0.9))
    expected = np.abs(np.linalg.eigvals(update.dense().numpy())).max()
    leader = Krylov(update.derivative, update.state, 10).leading(1).values[0]
    assert abs(leader) == pytest.approx(expected, abs=1e-6)


def test_plain_simultaneous_descent_is_unstable_at_every_step_size():
    for h in (1e-3, 0.1, 1.0):
        one, x = small(NonSaturating())
        players = tuple(LinearPlayer(one.parameters_of(name), h) for name in ("g", "d"))
        values = torch.linalg.eigvals(UpdateMap(one, Simultaneous(), [x], players).dense())
        assert values.abs().numpy() == pytest.approx([np.sqrt(1 + h**2 / 4)] * 2, abs=1e-8)


def test_an_active_clip_takes_the_length_of_the_gradient_away():
    """w' = w + h·c·v/|v| for each player; of a player with one parameter nothing but the sign is left."""
    free = dirac_map(Simultaneous(), (H, 0.0, 1.0, None, 100.0), at=(0.5, 0.5))
    one, x = small(NonSaturating(), (0.5, 0.5), {"mse": (MU, MSE(unit=255.0)), "r1": (GAMMA, R1())})
    assert_is(free, np.eye(2) + H * Linearised(one, x).dense().numpy())
    clipped = dirac_map(Simultaneous(), (H, 0.0, 1.0, None, 1e-2), at=(0.5, 0.5))
    assert clipped.dense().numpy() == pytest.approx(I, abs=1e-6)  # torch adds that much to the norm


# a codec under Adam


def adam_like(one, momentum):
    """Players with P and m that are different for each parameter."""
    players, seed = [], itertools.count()
    for name, beta in (("g", 0.9), ("d", 0.5)):
        parameters = one.parameters_of(name)
        scales = [1e-3 * (0.1 + vector(p.numel(), next(seed)).abs().view_as(p)) for p in parameters]
        m = [0.1 * vector(p.numel(), next(seed)).view_as(p) for p in parameters] if momentum else None
        players.append(LinearPlayer(parameters, scales, beta, 1 - beta, m))
    return tuple(players)


def flat(tensors) -> torch.Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("rule", [Simultaneous, Alternating])
def test_adam_on_a_codec(rule, momentum):
    """m ← βm - (1-β)Jw, w ← w - Pm for each player; alternating, G's rows of J stand where D has gone."""
    one = game("loss=ns mse=1 r1=10", "discriminator.condition=true", size=TINIEST)
    x, players = batch(one, side=16), adam_like(one, momentum)
    n, split = len(flat(one.parameters_of("g") + one.parameters_of("d"))), len(flat(one.parameters_of("g")))
    g, d = slice(0, split), slice(split, n)
    update = UpdateMap(one, rule(), [x], players, step=5)
    direction = vector(2 * n, seed=7)
    w, s = direction[:n], direction[n:]
    p = torch.cat([flat(player.precondition) for player in players])

    s_new, w_new = torch.empty_like(s), torch.empty_like(w)
    here = Linearised(one, x, step=5)
    s_new[d] = 0.5 * s[d] - 0.5 * (p * here.jvp(w))[d]
    w_new[d] = w[d] - s_new[d]
    if rule is Alternating:
        players[1].step([-v.view_as(q) for v, q in zip(
            here.field[d].split([q.numel() for q in players[1].parameters]), players[1].parameters, strict=True
        )])  # fmt: skip
        moved = Linearised(one, x, step=5)
        s_new[g] = 0.9 * s[g] - 0.1 * (p * moved.jvp(torch.cat([w[g], w_new[d]])))[g]
    else:
        s_new[g] = 0.9 * s[g] - 0.1 * (p * here.jvp(w))[g]
    w_new[g] = w[g] - s_new[g]
    found = update.derivative(direction)
    expected = torch.cat([w_new, s_new])
    assert (found - expected).norm() < 1e-6 * (expected - direction).norm()


def test_the_game_stands_where_it_stood():
    one = game("loss=ns mse=1 spectral_norm=true", size=TINIEST)
    before = [t.clone() for t in (*one.parameters(), *one.buffers())]
    rule, players = Optimistic(), adam_like(one, momentum=True)
    moves = [move.clone() for player in players for move in player.moves]
    update = UpdateMap(one, rule, [batch(one, side=16)], players)
    first = update.derivative(update.state)
    assert torch.equal(first, update.derivative(update.state))
    assert all(torch.equal(a, b) for a, b in zip(before, (*one.parameters(), *one.buffers()), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(moves, [m for s in players for m in s.moves], strict=True))
    assert one.training


def test_a_generator_alone():
    """Rate-distortion training: the map of gradient descent is symmetric, 1 - hH."""
    one = game("loss=none mse=1", size=TINIEST)
    x = batch(one, side=16)
    player = LinearPlayer(one.parameters_of("g"), 1e-3)
    update = UpdateMap(one, Descend(), [x], (player, player))
    u = vector(len(update.state))
    expected = u + 1e-3 * Linearised(one, x).jvp(u)
    assert torch.allclose(update.derivative(u), expected, rtol=0, atol=1e-6 * float(expected.norm()))


def test_single_precision_is_refused():
    one = game("loss=none mse=1", size=TINIEST).float()
    player = LinearPlayer(one.parameters_of("g"), 1e-3)
    with pytest.raises(ValueError, match="float64"):
        UpdateMap(one, Descend(), [batch(one, side=16).float()], (player, player))


# the player


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_it_moves_as_torch_s_descent(momentum):
    ours, theirs = (torch.nn.Parameter(vector(5)) for _ in range(2))
    player = LinearPlayer([ours], 0.1, momentum)
    optimizer = torch.optim.SGD([theirs], 0.1, momentum=momentum)
    for step in range(4):
        theirs.grad = vector(5, step)
        optimizer.step()
        player.step([vector(5, step)])
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-15)


def test_it_clips_as_torch_does():
    ours, theirs = (torch.nn.Parameter(vector(5)) for _ in range(2))
    LinearPlayer([ours], 0.1, clip=0.5).step([vector(5, 1)])
    theirs.grad = vector(5, 1)
    torch.nn.utils.clip_grad_norm_([theirs], 0.5)
    torch.optim.SGD([theirs], 0.1).step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-15)


def test_what_it_remembers_can_be_brought_back():
    player = LinearPlayer([torch.nn.Parameter(vector(3))], 0.1, 0.9)
    player.step([vector(3, 1)])
    memory, moves = player.state_dict(), player.moves[0].clone()
    player.extrapolate([vector(3, 2)])
    assert not torch.equal(player.moves[0], moves)
    player.load_state_dict(memory)
    assert torch.equal(player.moves[0], moves)
