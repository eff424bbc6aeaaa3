"""Penalties unmasked: what each adds to the field, and what that does to the eigenvalues."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import drawing as draw
from drawing import METHODS
from gcn.game.rules import SGA, Simultaneous
from gcn.lab.ensemble import GameEnsemble, play
from small_games import (
    FORCES,
    Complex,
    eigenvalues,
    ensemble,
    grid,
    roots,
    rule_eigenvalues,
    with_term,
)

P = FORCES["ns"]
MU = 0.25  # the damping -μ of all of them
WEIGHTS = {
    "mse": MU,
    "grad_norm": MU / P**2,
    "r1": 2 * MU,
    "consensus": MU / P**2,
    "jare": MU / P**2,
    "sga": MU / P**2,
}
SMALL_STEP = 1e-3
WORDS = {
    "mse": "moves θ", "grad_norm": "moves θ", "r1": "moves ψ", "consensus": "moves both", "jare": "moves both",
    "sga": "moves both",
}  # fmt: skip


def played(method: str, weight: float, loss: str = "ns") -> GameEnsemble:
    """The Dirac-GAN with one method, a term or (SGA) a rule."""
    if method == "sga":
        return ensemble(loss, rule=lambda: SGA(weight), h=SMALL_STEP)
    return with_term(loss, method, weight, rule=Simultaneous, h=SMALL_STEP)


def field_of(game: GameEnsemble, points: Tensor) -> Tensor:
    """The field along which the rule moves, at points (E, N): one update over the step size."""
    return (play(game, points, 1)[-1] - points) / SMALL_STEP


def addition(method: str, points: Tensor, weight: float | None = None) -> Tensor:
    """What a method adds to the field of the bare game, (E, N)."""
    weight = WEIGHTS[method] if weight is None else weight
    return field_of(played(method, weight), points) - field_of(
        ensemble("ns", rule=Simultaneous, h=SMALL_STEP), points
    )


def spectrum_of(method: str, weight: float) -> Complex:
    """Eigenvalues at rest (2,), of the field or, for a rule, of what it moves along."""
    game = played(method, weight)
    return rule_eigenvalues(game, SMALL_STEP) if method == "sga" else eigenvalues(game)[0]


def paid(method: str, weight: float, points: Tensor) -> Tensor:
    """weight × value of a term of G's loss at points (E, N); (E,)."""
    game = with_term("ns", method, weight).game(points)
    turn = game.turn("both", torch.zeros(len(points), 1, 1, dtype=torch.float64), 0)
    return weight * game.objective.terms[method](turn).detach()


def penalties(path: Path) -> Path:
    """Nagarajan-Kolter is a distortion; consensus, JARE and SGA pull at both players and leave the rotation."""

    def panels(canvas: Any) -> None:
        upper, lower = canvas.subfigures(2, 1, height_ratios=(1, 1.35))
        row = upper.subplots(1, len(WEIGHTS), sharey=True)
        for axes, method in zip(row, WEIGHTS, strict=True):
            _pull(axes, method)
            axes.label_outer()
        value, distortions, rotations = lower.subplots(1, 3, width_ratios=(1, 1.1, 1.1))
        _values(value)
        _loci(distortions, ("mse", "grad_norm", "r1"))
        _loci(rotations, ("consensus", "jare", "sga"))

    title = "Nagarajan and Kolter's penalty is a distortion; consensus, JARE and SGA never end the rotation"
    detail = (
        r"Dirac-GAN with ns, $p=½$. Above: what each adds to the field, at weights that damp by $\mu=¼$. "
        "Below: values of the terms in G's loss, and measured eigenvalues (rings). Dashes: closed forms."
    )
    return draw.figure(path, (11.4, 6.2), title, detail, panels)


def _pull(axes: Any, method: str) -> None:
    """Arrows of what a method adds to the field."""
    side = np.linspace(-0.8, 0.8, 5)
    x, y = np.meshgrid(side, side)
    added = addition(method, torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1))).numpy()
    look = METHODS[method]
    axes.quiver(
        x.ravel(), y.ravel(), *added.T, color=look.colour, angles="xy", scale_units="xy", scale=1.6, width=0.014,
        headwidth=4, headlength=4, headaxislength=3.6,
    )  # fmt: skip
    axes.set(
        xlim=(-1, 1),
        ylim=(-1, 1),
        aspect="equal",
        xlabel=r"$\theta$",
        xticks=(-0.8, 0, 0.8),
        yticks=(-0.8, 0, 0.8),
    )
    axes.set_ylabel(r"$\psi$", rotation=0, va="center")
    axes.axhline(0, color="#cccccc", linewidth=0.7, zorder=0)
    axes.axvline(0, color="#cccccc", linewidth=0.7, zorder=0)
    axes.grid(False)
    axes.set_title(
        f"{look.label.rsplit(' ', 1)[0]}\n{WORDS[method]}", color=look.colour, fontsize=9, loc="center"
    )


def _values(axes: Any) -> None:
    """Terms of G's loss over θ: the norm of D's gradient, for three slopes of D, and the distortion."""
    theta = grid(-2, 2, 201)
    purple = METHODS["grad_norm"].colour
    for psi, alpha in ((0.0, 1.0), (1.0, 0.6), (-1.0, 0.35)):
        points = torch.stack([theta, torch.full_like(theta, psi)], 1)
        label = rf"Nagarajan-Kolter, $\psi={psi:g}$"
        charge = paid("grad_norm", WEIGHTS["grad_norm"], points)
        axes.plot(theta, charge, color=purple, alpha=alpha, linewidth=2.4, label=label)
        if psi:
            draw.formula(axes, theta, WEIGHTS["grad_norm"] * (torch.sigmoid(psi * theta) * theta) ** 2)
    at_rest = torch.stack([theta, torch.zeros_like(theta)], 1)
    charge = paid("mse", MU, at_rest)
    axes.plot(theta, charge, color=METHODS["mse"].colour, linewidth=1.2, label=r"MSE, any $\psi$", zorder=4)
    draw.formula(axes, theta, MU * theta**2, r"$\mu\theta^2=\eta f\,'(0)^2\theta^2$")
    axes.set(xlabel=r"$\theta$", ylabel="term in G's loss", xlim=(-2, 2), ylim=(0, 2.6))
    axes.set_title(r"$\eta\,\|\nabla_\psi V\|^2=\eta f\,'(u)^2\theta^2$, a distortion")
    axes.legend(loc="upper center", ncols=1)


def _loci(axes: Any, methods: tuple[str, ...]) -> None:
    """Eigenvalues of three methods as their damping grows from 0."""
    ends = "mse" in methods
    damping = (
        np.array([*np.linspace(0, 0.45, 10), 0.5, 0.54, 0.62, 0.72]) if ends else np.linspace(0, 1.2, 13)
    )
    draw.half_plane(axes, -1.35, 0.14, 0.78)
    for size, method in zip((3.4, 6.4, 9.4), methods, strict=True):
        scale = WEIGHTS[method] / MU
        found = np.stack([spectrum_of(method, scale * float(mu)) for mu in damping])
        draw.rings(axes, found, METHODS[method].colour, size, METHODS[method].label)
    mu = np.linspace(0, 0.78 if ends else 1.3, 400)
    draw.locus(axes, roots(-mu, mu**2 - P**2) if ends else np.stack([-mu + 1j * P, -mu - 1j * P], 1))
    axes.set_title(
        r"damping one player: no rotation from $\mu=p$" if ends else "damping both: the rotation stays"
    )
    words = r"$-\mu\pm\sqrt{\mu^2-p^2}$" if ends else r"$-\gamma p^2\pm ip$"
    axes.text(-1.3, -0.72, words, color=draw.INK, fontsize=10)
    axes.legend(loc="upper left" if ends else "center left")
