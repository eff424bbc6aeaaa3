"""Dirac games with weights and step sizes of their own: production code against the bare formulas."""

import torch
from torch.nn.functional import softplus

from gcn.bench.turn_speed import compare
from gcn.game.objective import Objective
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.games import Dirac
from gcn.lab.players import SGD
from gcn.losses.adversarial import NonSaturating
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1


def bench(games: int, steps: int, repeats: int, threads: int) -> None:
    """The production losses and rule against hand-vectorised autograd."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    mu, gamma, h = torch.rand(3, games, dtype=torch.float64)
    start = torch.ones(games, 2, dtype=torch.float64)

    def production() -> torch.Tensor:
        objective = Objective(NonSaturating(), 1.0, {"mse": (mu, MSE(unit=255.0)), "r1": (gamma, R1())})
        return play(
            GameEnsemble(Dirac(), objective, optimizer=lambda p: SGD(p, h)), start, steps, every=steps
        )[-1]

    def bare() -> torch.Tensor:
        theta, psi = (column.clone().requires_grad_() for column in start.T)
        for _ in range(steps):
            d = softplus(0 * psi) + softplus(psi * theta.detach()) + gamma / 2 * psi**2
            (slope,) = torch.autograd.grad(d.sum(), psi)
            psi = (psi - h * slope).detach().requires_grad_()
            g = softplus(-psi.detach() * theta) + mu * theta**2
            (slope,) = torch.autograd.grad(g.sum(), theta)
            theta = (theta - h * slope).detach().requires_grad_()
        return torch.stack([theta, psi], dim=1).detach()

    assert torch.allclose(production(), bare(), atol=1e-9)
    print(f"{games} games, {steps} updates, {threads} threads")
    compare({"production": production, "bare losses": bare}, repeats)
