"""The Dirac-GAN (Mescheder et al. 2018) played by the production objects, thousands of games at a time.

Data δ_0, generator δ_θ, D(x) = ψx. Each row of every tensor is a game of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gcn.dynamics import Players
from gcn.game import Game
from gcn.losses.objective import Objective
from gcn.reduce import Reduction
from gcn.rng import Streams


class Out(NamedTuple):
    x_hat: Tensor
    y_hat: Tensor | None
    likelihoods: dict


class Judged(NamedTuple):
    logits: Tensor
    features: tuple


class Delta(nn.Module):
    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)  # (E,)

    def forward(self, x, noise):
        return Out(self.theta.reshape(-1, 1, 1).expand(-1, x.shape[1], 1), None, {})


class Slope(nn.Module):
    def __init__(self, psi: Tensor) -> None:
        super().__init__()
        self.psi = nn.Parameter(psi)  # (E,)

    def forward(self, images, cond):
        return Judged(self.psi.reshape(-1, 1, 1) * images, ())


class GradientDescent:
    """w ← w - lr·g with one step size per game."""

    def __init__(self, parameters, lr) -> None:
        self.parameters, self.lr = list(parameters), torch.as_tensor(lr, dtype=torch.float64)

    @torch.no_grad()
    def step(self, gradients) -> None:
        for p, g in zip(self.parameters, gradients, strict=True):
            p.sub_(self.lr * g)

    peek = step

    @torch.no_grad()
    def shift(self, moves) -> None:
        for p, m in zip(self.parameters, moves, strict=True):
            p.add_(m)

    def memory(self):
        return None

    def remember(self, memory) -> None:
        pass


def dirac(loss, theta, psi, terms=None, sights=(), adv=1.0, samples=1, data=0.0):
    """A game of E deltas: (game, x) with x (E, samples, 1)."""
    theta, psi = (torch.atleast_1d(torch.as_tensor(t, dtype=torch.float64)).clone() for t in (theta, psi))
    game = Game(
        Delta(theta), Slope(psi), Objective(loss, adv, terms, sights), Streams(0), Reduction(ensemble=True)
    )
    x = torch.full((theta.numel(), samples, 1), data, dtype=torch.float64)
    return game.double(), x


def play(game, x, rule, lr, steps, record=None):
    """Run a rule; returns trajectories θ, ψ of shape (steps + 1, E)."""
    players = Players(*(GradientDescent(game.parameters_of(p), lr) for p in ("g", "d")))
    path = [(game.generator.theta.detach().clone(), game.discriminator.psi.detach().clone())]
    for step in range(steps):
        game.observing = record is not None
        rule(game, [x], step, players)
        path.append((game.generator.theta.detach().clone(), game.discriminator.psi.detach().clone()))
        if record is not None:
            record(step, dict(game.values), *path[-1])
    theta, psi = zip(*path, strict=True)
    return torch.stack(theta), torch.stack(psi)


def jacobian(game, x):
    """Jacobian of the field (-∇_θ L_G, -∇_ψ L_D) of one game, by automatic differentiation of the production field."""
    turn = game.turn("both", x, 0)
    field = [component for gradient in game.field(turn, create_graph=True) for component in gradient]
    parameters = [*game.parameters_of("g"), *game.parameters_of("d")]
    rows = [
        torch.autograd.grad(-f.sum(), parameters, retain_graph=True, materialize_grads=True) for f in field
    ]
    return torch.stack([torch.cat([c.reshape(-1) for c in row]) for row in rows])
