"""The update rules in detail: their recursions, their options, what they see, and thousands of games at once."""

import math

import pytest
import torch
from ensembles import descent, ensemble, inputs_of_d, played, points, radii

from gcn.game.protocols import Players
from gcn.game.rules import SGA, Alternating, Extragradient, Optimistic, Simultaneous
from gcn.game.streams import Streams
from gcn.lab.ensemble import play
from gcn.lab.players import Descent
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.perturbation import InstanceNoise

WGAN = ensemble(Wasserstein())  # its field is linear: what holds near the equilibrium holds everywhere


def test_alternating_descent_stays_within_bounds():
    """An ellipse whose axes differ by (1 + h/2)/(1 - h/2) in square; beyond h = 2 there is none."""
    h = torch.tensor([0.1, 1.0, 1.9, 2.1], dtype=torch.float64)
    radius = radii(played(WGAN, [(0.01, 0.0)] * 4, 300, Alternating, h))
    bound = 0.01 / (1 - h / 2).sqrt() * 1.01
    assert (radius.amax(0) < bound)[:3].all()
    assert (radius[-200:].amax(0) > 0.5 * 0.01)[:3].all()  # it does not converge
    assert radius[-1, 3] > 100 * 0.01


@pytest.mark.parametrize("h", [0.2, 0.5, 0.9, 1.1])
def test_extragradient_on_the_bilinear_game(h):
    """1 - h² + ih is its eigenvalue: |·|² = 1 - h² + h⁴ < 1 iff h < 1."""
    radius = radii(played(WGAN, [(0.3, -0.2)], 10, Extragradient, h))
    assert (radius[1:] / radius[:-1]).numpy() == pytest.approx(math.sqrt(1 - h**2 + h**4), rel=1e-12)


def test_optimistic_descent_is_its_recursion():
    """w ← w + 2h·v_t - h·v_{t-1}; v = (ψ, -θ) on the bilinear game, the first step plain."""
    h, (t, s), before = 0.4, (0.3, -0.2), None
    path = played(WGAN, [(t, s)], 30, Optimistic, h)[:, 0]
    for found in path[1:].tolist():
        now = (s, -t)
        old = now if before is None else before
        t, s, before = t + 2 * h * now[0] - h * old[0], s + 2 * h * now[1] - h * old[1], now
        assert found == pytest.approx((t, s), abs=1e-14)


def test_aligned_sga_pulls_towards_the_equilibrium():
    radius = radii(played(WGAN, [(0.01, 0.0)], 80, lambda: SGA(1.0, align=True), 0.1))
    assert radius[-1] < 1e-3 * radius[0]


def test_each_game_has_its_own_step_size():
    h = torch.logspace(-2, 0, 1000, dtype=torch.float64)
    radius = radii(played(WGAN, [(0.01, 0.0)] * 1000, 5, Simultaneous, h))
    assert torch.allclose(radius[5], 0.01 * (1 + h**2) ** 2.5)


# extragradient in detail


class Counting(Descent):
    """Gradient descent that counts its own updates."""

    def __init__(self, parameters, lr=0.1) -> None:
        super().__init__(parameters, lr)
        self.state, self.counts = {"count": 0}, []

    def move(self, gradients):
        self.state = {"count": self.state["count"] + 1}
        self.counts.append(self.state["count"])
        return super().move(gradients)


@pytest.mark.parametrize(
    ("moments", "counts"),
    [("both", [1, 2, 3, 4, 5, 6]), ("update", [1, 1, 2, 2, 3, 3]), ("lookahead", [1, 2, 2, 3, 3, 4])],
)
def test_which_move_of_extragradient_advances_the_optimizer(moments, counts):
    game = WGAN.game(points([0.1, 0.1]))
    players = Players(*(Counting(game.parameters_of(p)) for p in ("g", "d")))
    rule = Extragradient(moments)
    for step in range(3):
        rule(game, [WGAN.batch(1)], step, players)
    assert players.g.counts == players.d.counts == counts


def test_extragradient_sees_the_same_batch_and_noise_at_both_points(monkeypatch):
    seen = inputs_of_d(monkeypatch)
    noisy = ensemble(
        NonSaturating(),
        perturbations=[InstanceNoise(1.0)],
        streams=Streams(0),
        rule=Extragradient,
        **descent(0.1),
    )
    play(noisy, points([0.0, 0.3]), 2)
    fake, real, fake_ahead, real_ahead = seen[:4]
    assert torch.equal(real, real_ahead)
    moved = fake_ahead - fake
    assert torch.allclose(moved, moved[0, 0, 0].expand_as(moved))  # θ has moved, the noise has not
    assert moved.abs().max() > 0
    assert not torch.equal(seen[5], real)
