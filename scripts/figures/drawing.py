"""What the figures share: a colour for each method and rule, the field behind a trajectory, eigenvalues as rings.

Measured things are solid or points, formulas are thin black dashes over them: where the two agree the dashes are hidden
in the curve.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gcn.lab.ensemble import GameEnsemble
from gcn.lab.figure import STABLE, letter, write
from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, PURPLE, RED
from small_games import Array, Complex

INK = "#222222"
FIELD = "#c9ced6"
PALE = "#e9e9e9"  # of areas in the background
DASHES = (0, (4, 3))
FORMULA: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": DASHES, "zorder": 5}
EDGE = "#8fbfa0"  # of the stable half-plane


class Look(NamedTuple):
    """How a method appears in every figure."""

    colour: str
    label: str


METHODS = {
    "none": Look(GREY, "no penalty"),
    "mse": Look(BLUE, r"MSE $\mu$"),
    "r1": Look(ORANGE, r"R1 $\gamma$"),
    "noise": Look(GREEN, r"instance noise $\sigma^2$"),
    "grad_norm": Look(PURPLE, r"Nagarajan-Kolter $\eta$"),
    "consensus": Look(RED, r"consensus $\gamma$"),
    "jare": Look(PINK, r"JARE $\gamma$"),
    "sga": Look(BROWN, r"SGA $\gamma$"),
}
P, Q = BLUE, ORANGE  # distributions of the data and of what is generated
KL, REVERSE_KL, JS, TV, W = RED, GREEN, PURPLE, BROWN, BLUE  # divergences
BOTH = "#1b9aaa"  # MSE and R1 together
RULES = {
    "flow": Look(INK, "flow"),
    "simultaneous": Look("#aa4499", "simultaneous"),
    "alternating": Look("#332288", "alternating"),
    "extragradient": Look("#44aa99", "extragradient"),
    "optimistic": Look("#999933", "optimistic"),
}
LOSSES = {
    "ns": Look(INK, "ns"),
    "vanilla": Look("#c1272d", "vanilla"),
    "wgan": Look("#6699cc", "wgan"),
    "hinge": Look("#997700", "hinge"),
    "lsgan": Look("#994455", "lsgan"),
}


def figure(
    path: Path, size: tuple[float, float], finding: str, detail: str, draw: Callable[[Any], None]
) -> Path:
    """Write a figure whose title is what it shows; ``detail`` below says how it was made."""

    def titled(canvas: Any) -> None:
        canvas.suptitle(finding, x=0.008, ha="left", fontsize=12, color=INK, weight="bold")
        canvas.supxlabel(detail, x=0.008, ha="left", fontsize=8, color=GREY)
        draw(canvas)

    return write(path, size, titled)


def page(path: Path, size: tuple[float, float]) -> AbstractContextManager[Any]:
    """A figure of distributions: without a title of its own, and finer than the others."""
    style = {"axes.axisbelow": True, "lines.linewidth": 1.6, "text.color": INK}
    return paper_figure(path, size, 200, style)


def field(
    axes: Any, game: GameEnsemble, reach: float, centre: Sequence[float] = (0.0, 0.0), density: float = 0.8,
    hold: Tensor | None = None,
) -> None:  # fmt: skip
    """The production field on a square of half-side ``reach``, in the plane of the first θ and the first ψ.

    ``hold`` (N,) is a point of that plane where there are other coordinates.
    """
    n, side = len(game.small.names), 31
    first, second = 0, game.split
    lines = [torch.linspace(c - reach, c + reach, side, dtype=torch.float64) for c in centre]
    rows, columns = torch.meshgrid(lines[1], lines[0], indexing="ij")
    points = torch.zeros(side**2, n, dtype=torch.float64) if hold is None else hold.repeat(side**2, 1)
    points[:, first], points[:, second] = columns.reshape(-1), rows.reshape(-1)
    velocity = game.velocity(points).reshape(side, side, n).numpy()
    x, y = (line.numpy() for line in lines)
    axes.streamplot(
        x, y, velocity[..., first], velocity[..., second], color=FIELD, linewidth=0.6, arrowsize=0.55, density=density,
        zorder=1,
    )  # fmt: skip
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#bbbbbb")
    axes.set_xlabel(letter(game.small.names[first]), labelpad=1)
    axes.set_ylabel(letter(game.small.names[second]), rotation=0, labelpad=6, va="center")


def trajectory(axes: Any, path: Tensor | Array, colour: str, width: float = 1.3, **options: Any) -> None:
    """A path (T, 2), its start a dot."""
    x, y = np.asarray(path).T
    axes.plot(x, y, color=colour, linewidth=width, zorder=3, **options)
    axes.plot(x[0], y[0], "o", color=colour, markersize=5.5, markeredgecolor="white", zorder=4, clip_on=False)


def rest(axes: Any, x: float = 0.0, y: float = 0.0) -> None:
    """Mark an equilibrium."""
    axes.plot(x, y, "x", color="white", markersize=7, markeredgewidth=3, zorder=6)
    axes.plot(x, y, "x", color=INK, markersize=6, markeredgewidth=1.4, zorder=7)


def half_plane(axes: Any, left: float, right: float, top: float) -> None:
    """The complex plane, its stable half shaded."""
    axes.axvspan(left, 0, color=STABLE, zorder=0, linewidth=0)
    axes.axvline(0, color=EDGE, linewidth=1.0, zorder=1)
    axes.axhline(0, color="#cccccc", linewidth=0.7, zorder=1)
    axes.set(xlim=(left, right), ylim=(-top, top), xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$")
    axes.grid(False)


def rings(axes: Any, values: Complex, colour: str, size: float, label: str = "", width: float = 1.2) -> None:
    """Eigenvalues as rings: those of several methods fit into each other where they agree."""
    flat = np.asarray(values).reshape(-1)
    axes.plot(
        flat.real, flat.imag, "o", markersize=size, markerfacecolor="none", markeredgecolor=colour, linestyle="none",
        markeredgewidth=width, label=label, zorder=4,
    )  # fmt: skip


def formula(axes: Any, x: Any, y: Any, label: Any = "") -> None:
    """A closed form, over what was measured."""
    axes.plot(np.asarray(x), np.asarray(y), **FORMULA, label=label)


def locus(axes: Any, branches: Iterable[Complex]) -> None:
    """A closed form's eigenvalues as its weight grows, (E, N): one line a branch."""
    for branch in np.moveaxis(np.asarray(list(branches)), -1, 0):
        formula(axes, branch.real, branch.imag)


def radius(path: Tensor, centre: Tensor | None = None) -> Array:
    """Distances (T, ...) of paths (T, ..., N) from a point (N,)."""
    return (path if centre is None else path - centre).norm(dim=-1).numpy()


def note(axes: Any, x: float, y: float, text: str, **options: Any) -> None:
    """Words inside the axes, at a share of their sides."""
    defaults: dict[str, Any] = {"fontsize": 8, "color": INK, "va": "top", "ha": "left"}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.2}
    axes.text(x, y, text, transform=axes.transAxes, zorder=8, bbox=box, **(defaults | options))


def spelled(values: Sequence[complex] | Complex) -> str:
    """Two eigenvalues as one writes them: −0.25 ± 0.43i, or −0.13, −1.87."""
    first, second = (complex(v) for v in values[:2])
    if abs(first.imag) < 1e-6:
        same = abs(first - second) < 1e-3
        return f"{_minus(first.real)}" + (" twice" if same else f", {_minus(second.real)}")
    real = "" if abs(first.real) < 5e-3 else _minus(first.real) + " "
    return f"{real}± {abs(first.imag):.2f}i"


def _minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
