"""The figure of one run: vector field and trajectory, numbers over the updates, eigenvalues.

Style is that of the training's figures; mathematics is set by matplotlib, and nothing global is changed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gcn.lab.ensemble import GameEnsemble
from gcn.lab.examine import Examination
from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, GREEN, GREY, ORANGE, RED

STABLE = "#eaf4ee"  # where eigenvalues are those of a stable game
MESH = 25
LATTER = {"θ": r"$\theta$", "ψ": r"$\psi$", "x": "$x$", "y": "$y$", "a": "$a$", "w": "$w$", "bias": "bias"}
OUTCOME_COLOURS = {
    "converged": GREEN, "approaching": BLUE, "persisting": ORANGE, "receding": RED, "diverged": RED,
}  # fmt: skip


def letter(name: str) -> str:
    """A coordinate's name in TeX: $\theta_3$ for θ3."""
    stem, number = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    text = LATTER.get(stem, stem)
    return f"{text[:-1]}_{{{number}}}$" if number and text.endswith("$") else text


def write(path: Path, size: tuple[float, float], draw: Callable[[Any], None]) -> Path:
    """Draw a figure of ``size`` inches and write it as PNG and SVG; ``path`` has no suffix.

    The files depend on the data alone: no date, no random names.
    """
    with paper_figure(path, size, style={"axes.labelsize": 10}) as figure:
        draw(figure)
    return path


def portrait(path: Path, run: Examination, title: str = "") -> Path:
    """The figure of one run.

    Left the field and the trajectory, its start a dot; right the players' numbers over the updates, with the
    equilibrium dashed, and the angle between the field and the way to it; below the eigenvalues of the field (stable on
    the left of the axis) and of the update (stable inside the circle).
    """

    def draw(figure: Any) -> None:
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.35, 1))
        left, right = upper.subfigures(1, 2, width_ratios=(1, 1.15))
        field(left.subplots(), run.ensemble, [run.path], run.rest.point)
        over, angle = right.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
        numbers(over, run)
        _angles(angle, run)
        continuous, discrete = lower.subplots(1, 2)
        half_plane(continuous, run.eigenvalues, run.closed_form, run.rest.note)
        unit_circle(discrete, run.discrete, run)
        if title:
            colour = OUTCOME_COLOURS[run.outcome.name]
            figure.suptitle(f"{title}   —   {run.outcome.name}", x=0.01, ha="left", fontsize=11, color=colour)

    return write(path, (8.4, 7.6), draw)


def field(
    axes: Any,
    ensemble: GameEnsemble,
    paths: Sequence[Tensor],
    rest: Tensor | None,
    colours: Sequence[str] = (BLUE,),
) -> None:
    """The vector field in the plane of the first θ and the first ψ, and trajectories (T, N) in it.

    The other coordinates are held at the equilibrium, or at the first trajectory's end.
    """
    first, second = 0, ensemble.split
    shown = [path[:, [first, second]] for path in paths]
    finite = torch.cat([part[part.isfinite().all(1)] for part in shown])
    if rest is not None:
        finite = torch.cat([finite, rest[None, [first, second]]])
    near = finite[finite.norm(dim=1) <= 4 * (1 + float(shown[0][0].norm()))]
    centre = (near.amax(0) + near.amin(0)) / 2
    side = max(0.62 * float((near.amax(0) - near.amin(0)).max()), 0.3)
    lines = [torch.linspace(float(c) - side, float(c) + side, MESH, dtype=torch.float64) for c in centre]
    rows, columns = torch.meshgrid(lines[1], lines[0], indexing="ij")
    hold = rest if rest is not None else paths[0][-1].nan_to_num()
    points = hold.repeat(MESH * MESH, 1)
    points[:, first], points[:, second] = columns.reshape(-1), rows.reshape(-1)
    velocity = ensemble.velocity(points)[:, [first, second]].reshape(MESH, MESH, 2).numpy()
    x, y = (line.numpy() for line in lines)
    axes.streamplot(
        x, y, velocity[..., 0], velocity[..., 1], color="#c4c9d1", linewidth=0.7, arrowsize=0.7, density=1.1
    )
    for path, colour in zip(shown, colours, strict=True):
        axes.plot(*path.T.numpy(), color=colour, linewidth=1.1)
        axes.plot(*path[0].numpy(), "o", color=colour, markersize=6, markeredgecolor="white", zorder=4)
    if rest is not None:
        axes.plot(*rest[[first, second]].numpy(), "x", color=RED, markersize=7, markeredgewidth=1.8, zorder=5)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    axes.grid(False)
    names = ensemble.small.names
    axes.set_xlabel(letter(names[first]))
    axes.set_ylabel(letter(names[second]), rotation=0, labelpad=8)
    axes.set_title("field and trajectory (● start, × equilibrium)")


def numbers(axes: Any, run: Examination) -> None:
    """Each coordinate over the updates; its equilibrium is dashed. ψ is D's slope."""
    names = run.ensemble.small.names
    limit = 20 * (1 + float(run.path[0].abs().max()))  # a diverging run would flatten all that came before
    for i, name in enumerate(names):
        player_g = i < run.ensemble.split
        shade = 1 - 0.6 * (i if player_g else i - run.ensemble.split) / max(1, len(names) / 2)
        label = letter(name) + (", D's slope" if name == "ψ" else "")
        axes.plot(_kept(run.path[:, i], limit), color=BLUE if player_g else ORANGE, alpha=shade, label=label)
        if run.rest.point is not None and len(names) <= 3:
            colour = BLUE if player_g else ORANGE
            axes.axhline(
                float(run.rest.point[i]), color=colour, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.8
            )
    axes.set_title("the players' numbers (dashed: equilibrium)")
    if len(names) <= 4:
        axes.legend(loc="upper right")


def _kept(values: Tensor, limit: float) -> NDArray[np.float64]:
    return np.where(values.abs().numpy() <= limit, values.numpy(), np.nan)


def _angles(axes: Any, run: Examination) -> None:
    axes.set_title("angle between the field and the way to ×")
    axes.set_xlabel("time / step size" if run.continuous else "updates of the generator")
    found = run.angles()
    if found is None:
        axes.text(0.5, 0.5, "no equilibrium", transform=axes.transAxes, ha="center", color="#999999")
        axes.set_yticks([])
        return
    axes.plot(found.numpy(), color=GREY)
    axes.axhline(90, color=RED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(0, 180), yticks=(0, 90, 180), yticklabels=("0°", "90°", "180°"))


def half_plane(
    axes: Any, values: Sequence[complex] | None, formula: Sequence[complex] | None, note: str = ""
) -> None:
    """Eigenvalues in continuous time; the stable half-plane is shaded."""
    axes.set_title("eigenvalues of the field")
    _plane(axes, [*(values or []), *(formula or [])])
    low, _ = axes.get_xlim()
    axes.axvspan(low, 0, color=STABLE, zorder=0)
    axes.set_xlim(low, axes.get_xlim()[1])
    axes.axvline(0, color=GREY, linewidth=0.8)
    if values is None:
        axes.text(0.5, 0.6, note, transform=axes.transAxes, ha="center", color=GREY, wrap=True)
        return
    if formula is not None:
        axes.plot(
            *_parts(formula), "o", markersize=11, markerfacecolor="none", color=ORANGE, label="closed form"
        )
    axes.plot(*_parts(values), "o", markersize=5, color=BLUE, label="automatic differentiation")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def unit_circle(axes: Any, values: Sequence[complex] | None, run: Examination) -> None:
    """Eigenvalues of one update (or one period of them); the unit disc is shaded."""
    from matplotlib.patches import Circle

    if run.continuous:
        axes.set_title("eigenvalues of the flow over one step")
    else:
        how = f" over {run.period} updates" if run.period > 1 else ""
        axes.set_title(f"eigenvalues of the update{how}{', preconditioner as left' if run.frozen else ''}")
    reach = 1.12 * min(4.0, max([1.0, *map(abs, values or [])]))  # what lies beyond is in the label
    _plane(axes, [])
    axes.add_patch(Circle((0, 0), 1, facecolor=STABLE, edgecolor=GREY, linewidth=0.8, zorder=0))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    if values is None:
        axes.text(0.5, 0.6, run.rest.note, transform=axes.transAxes, ha="center", color=GREY, wrap=True)
        return
    axes.plot(*_parts(values), "o", markersize=5, color=BLUE)
    axes.set_xlabel(rf"Re $\lambda$      (largest modulus {max(map(abs, values)):.5f})")


def _parts(values: Sequence[complex]) -> tuple[list[float], list[float]]:
    return [complex(v).real for v in values], [complex(v).imag for v in values]


def _plane(axes: Any, values: Sequence[complex]) -> None:
    real, imaginary = _parts([*values, 0])
    width = max(max(real) - min(real), *map(abs, imaginary), 0.05)
    axes.set_xlim(min(real) - 0.25 * width, max(real) + 0.25 * width)
    height = 1.35 * max(*map(abs, imaginary), 0.2 * width)
    axes.set_ylim(-height, height)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel(r"Re $\lambda$")
    axes.set_ylabel(r"Im $\lambda$")
