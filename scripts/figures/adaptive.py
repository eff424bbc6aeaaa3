"""Adam: what its betas make of losses and damping."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import drawing as draw
from drawing import METHODS
from gcn.lab.ensemble import play
from gcn.lab.players import Adam, Descent
from small_games import Array, ensemble, numbers, repeated

BETAS = tuple(product((0.0, 0.5, 0.9), (0.9, 0.99, 0.999)))
SHOWN = ((0.0, 0.9), (0.5, 0.999), (0.9, 0.999))  # over time
ARMS = {"ns": (0.0, 0.0), "mse .05": (0.05, 0.0), "mse .5": (0.5, 0.0), "r1 1": (0.0, 1.0)}
LOOKS = {
    "ns": (METHODS["none"].colour, "ns alone"), "mse .05": ("#56b4e9", r"+ MSE $\mu=0.05$"),
    "mse .5": (METHODS["mse"].colour, r"+ MSE $\mu=0.5$"), "r1 1": (METHODS["r1"].colour, r"+ R1 $\gamma=1$"),
}  # fmt: skip
LR, LONG = 0.01, 20_000


class Several(Descent):
    """Equal shares of the games, each moved by a player of its own kind.

    Args:
        parameters: tensors (E, ...).
        makers: of the players, for consecutive E/len(makers) games each.
    """

    def __init__(self, parameters: Sequence[Tensor], makers: Sequence[Any]) -> None:
        super().__init__(parameters)
        self.each = [
            make(shares) for make, shares in zip(makers, self._split(parameters, len(makers)), strict=True)
        ]

    @staticmethod
    def _split(tensors: Sequence[Tensor], shares: int) -> list[list[Tensor]]:
        chunks = [tensor.detach().chunk(shares) for tensor in tensors]
        return [list(share) for share in zip(*chunks, strict=True)]

    @torch.no_grad()
    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        for player, share in zip(self.each, self._split(gradients, len(self.each)), strict=True):
            player.extrapolate(share)


def adam_paths(steps: int = LONG, every: int = 10) -> Array:
    """Radius over updates (T, betas, arms): alternating Adam from (1, 1), all of them played at once."""
    mse, r1 = (numbers(*values).repeat(len(BETAS)) for values in zip(*ARMS.values(), strict=True))
    makers = [partial(Adam, lr=LR, betas=betas) for betas in BETAS]
    game = replace(ensemble("ns", mse=mse, r1=r1), optimizer=lambda parameters: Several(parameters, makers))
    path = play(game, repeated((1.0, 1.0), len(mse)), steps, every)
    return draw.radius(path).reshape(-1, len(BETAS), len(ARMS))


def settled(radii: Array) -> Array:
    """Root mean square radius (betas, arms) over the last tenth."""
    return np.sqrt(np.mean(radii[-len(radii) // 10 :] ** 2, axis=0))


def adam(path: Path) -> Path:
    """Final distance from the equilibrium under Adam, over betas and losses: β₁ decides as much as the loss does."""

    def panels(canvas: Any) -> None:
        upper, lower = canvas.subfigures(2, 1, height_ratios=(1.45, 1))
        radii = adam_paths()
        over_time = upper.subplots(1, len(SHOWN), sharex=True, sharey=True)
        for axes, betas in zip(over_time, SHOWN, strict=True):
            _over_time(axes, radii[:, BETAS.index(betas)])
            axes.set_title(rf"$\beta=({betas[0]:g},\ {betas[1]:g})$")
        over_time[0].set_ylabel(r"radius $\|(\theta,\psi)\|$")
        over_time[0].legend(loc="lower right")
        _ends(lower.subplots(), settled(radii))

    title = (
        r"Adam's $\beta_1$ alone moves a game from rest to a cycle: a claim of stability must name the betas"
    )
    detail = (
        "Dirac-GAN with ns, alternating Adam (D first), lr 0.01 (dotted), from (1, 1); root mean "
        r"squares. Bursts: near the equilibrium $\hat v$ shrinks until lr$/\sqrt{\hat v}$ is too large a step."
    )
    return draw.figure(path, (11.2, 6.2), title, detail, panels)


def _over_time(axes: Any, radii: Array) -> None:
    """Radius (T, arms) over the updates, averaged over a hundredth of them."""
    window = len(radii) // 100
    smooth = np.sqrt((radii[1:] ** 2).reshape(-1, window, len(ARMS)).mean(1))
    updates = (np.arange(len(smooth)) + 0.5) * LONG / len(smooth)
    for values, (colour, text) in zip(smooth.T, LOOKS.values(), strict=True):
        axes.semilogy(updates, values.clip(1e-9), color=colour, linewidth=1.5, label=text)
    axes.axhline(LR, color=draw.INK, linewidth=0.8, linestyle=":")
    axes.set(xlim=(0, LONG), ylim=(1e-5, 4), xlabel="updates")
    axes.set_xticks((0, 5_000, 10_000, 15_000, 20_000), ("0", "5k", "10k", "15k", "20k"))
    axes.label_outer()


def _ends(axes: Any, ends: Array) -> None:
    """The last radii as a table, the darker the farther."""
    from matplotlib.colors import LogNorm

    axes.imshow(ends.T.clip(5e-3), cmap="Oranges", norm=LogNorm(5e-3, 12), aspect="auto")
    for (i, j), value in np.ndenumerate(ends):
        text = "0" if value < 1e-5 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"
        weight = "bold" if BETAS[i] in SHOWN else "normal"
        axes.text(i, j, text, ha="center", va="center", color=draw.INK, fontsize=9, weight=weight)
    for edge in (2.5, 5.5):
        axes.axvline(edge, color="white", linewidth=4)
    axes.set_xticks(range(len(BETAS)), [rf"$({a:g},\ {b:g})$" for a, b in BETAS])
    axes.set_yticks(range(len(ARMS)), [text for _, text in LOOKS.values()])
    for label, (colour, _) in zip(axes.get_yticklabels(), LOOKS.values(), strict=True):
        label.set_color(colour)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.set_title("radius over the last 2 000 of 20 000 updates (bold: shown above)")
    axes.set_xlabel(r"$(\beta_1,\ \beta_2)$")
