"""The figure of a trained game's spectrum: eigenvalues of the flow and of the update, with and without each term.

Drawn from the record that ``spectrum.json`` holds and from nothing else. What has not converged is pale.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn.report.paper import named, paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, PURPLE, RED

Record = Mapping[str, Any]
INK, STABLE = "#222222", "#eaf4ee"
COLOURS = (ORANGE, RED, GREEN, PURPLE, PINK, BROWN, GREY)  # without a term; all terms are blue
SHAPES = "sD^vp<h"
LINEAR = 10.0  # where logarithmic axes begin
FLOW, UPDATE = ("eigenvalues", "largest", "rotating"), ("discrete_eigenvalues",)
PALE = 0.3
COLUMNS = (0.032, 0.34, 0.45, 0.65, 0.84)  # of the table


def spectra(path: Path, record: Record) -> list[Path]:
    """Draw ``path.png`` and ``path.svg`` (``path`` has no suffix); the same record gives the same bytes."""
    arms = _arms(record)
    point = f"update {record['step']}, {record['images']} crops"
    size = (9.6, 4.3 + 0.24 * len(arms))
    with paper_figure(path, size, 200, {"text.color": INK, "axes.axisbelow": True}) as figure:
        parts: Any = figure.subfigures(2, 1, height_ratios=(4.0, 0.4 + 0.24 * len(arms)))
        above, below = parts
        flow, update = above.subplots(1, 2, width_ratios=(1.25, 1))
        _flow(flow, arms)
        _update(update, arms, record["rule"])
        _table(below, arms, point)
    return [named(path, "png"), named(path, "svg")]


class _Arm:
    """Eigenvalues with one set of terms, and their mark in the figure."""

    def __init__(self, label: str, numbers: Record, tolerance: Mapping[str, float], place: int) -> None:
        self.label, self.numbers, self.tolerance = label, numbers, tolerance
        bare = place == 0
        colour = BLUE if bare else COLOURS[(place - 1) % len(COLOURS)]
        self.style: dict[str, Any] = {
            "marker": "o" if bare else SHAPES[(place - 1) % len(SHAPES)],
            "s": 16 if bare else 38 + 16 * place,  # around each other where they coincide
            "facecolors": colour if bare else "none",
            "edgecolors": colour,
            "linewidths": 1.1,
        }

    def points(self, kinds: Sequence[str]) -> Iterator[tuple[complex, bool]]:
        """Eigenvalues, and for each whether it has converged."""
        seen: set[complex] = set()
        for kind in kinds:
            exact = self.tolerance[kind]
            for pair, residual in zip(self.numbers[kind], self.numbers["residuals"][kind], strict=True):
                if complex(*pair) not in seen:
                    seen.add(complex(*pair))
                    yield complex(*pair), residual <= exact

    def draw(self, axes: Any, kinds: Sequence[str]) -> None:
        """Draw the eigenvalues."""
        for converged in (False, True):
            chosen = [z for z, exact in self.points(kinds) if exact is converged]
            axes.scatter(
                [z.real for z in chosen], [z.imag for z in chosen],
                alpha=1 if converged else PALE, zorder=3 if converged else 2, **self.style,
            )  # fmt: skip


def _arms(record: Record) -> list[_Arm]:
    named = {"all terms": record, **{f"without {name}": arm for name, arm in record["without"].items()}}
    return [
        _Arm(label, numbers, record["tolerance"], place)
        for place, (label, numbers) in enumerate(named.items())
    ]


def _flow(axes: Any, arms: Sequence[_Arm]) -> None:
    """Draw eigenvalues of the flow, stable on the left. Axes are linear up to 10 and logarithmic beyond."""
    points = [z for arm in arms for z, _ in arm.points(FLOW)]
    left = 3 * max(LINEAR, *(-z.real for z in points))
    right = 3 * max(LINEAR, *(z.real for z in points))
    high = 1.6 * max(abs(z.imag) for z in points) or 1.0
    axes.set_xscale("symlog", linthresh=LINEAR)
    if high > 10 * LINEAR:
        axes.set_yscale("symlog", linthresh=LINEAR)
    axes.set(xlim=(-left, right), ylim=(-high, high))
    axes.axvspan(-left, 0, color=STABLE, zorder=0, linewidth=0)
    for line in (axes.axvline, axes.axhline):
        line(0, color=GREY, linewidth=0.8, zorder=1)
    for arm in arms:
        arm.draw(axes, FLOW)
    axes.set_title(r"flow $\dot w=v(w)$: eigenvalues of its Jacobian")
    axes.set(xlabel=r"$\mathrm{Re}\,\lambda$", ylabel=r"$\mathrm{Im}\,\lambda$")
    _stable(axes)


def _stable(axes: Any) -> None:
    axes.text(0.015, 0.975, "stable", transform=axes.transAxes, va="top", color=GREEN)


def _update(axes: Any, arms: Sequence[_Arm], rule: str) -> None:
    """Draw eigenvalues of the update, stable inside of the unit circle: the leading ones large, all in a corner."""
    points = np.array([z for arm in arms for z, _ in arm.points(UPDATE)])
    edges = np.concatenate([points, points / np.abs(points).clip(1e-9)])  # and the circle beside them
    middle = complex(edges.real.max() + edges.real.min(), edges.imag.max() + edges.imag.min()) / 2
    reach = 0.75 * max(np.ptp(edges.real), np.ptp(edges.imag), 1e-6)
    corner = axes.inset_axes((0.02, 0.02, 0.24, 0.24))
    whole = 1.15 * max(1.0, np.abs(points).max())
    for layer, centre, half in ((axes, middle, reach), (corner, 0j, whole)):
        angle = _arc(centre, half)
        layer.fill(np.cos(angle), np.sin(angle), color=STABLE, zorder=0, linewidth=0)
        layer.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=0.8, zorder=1)
        layer.set(
            xlim=(centre.real - half, centre.real + half), ylim=(centre.imag - half, centre.imag + half)
        )
        layer.set_aspect("equal")
    corner.scatter(points.real, points.imag, s=2, color=GREY)
    corner.set(xticks=[], yticks=[])
    corner.spines[:].set_visible(True)
    corner.spines[:].set_linewidth(0.5)
    for arm in arms:
        arm.draw(axes, UPDATE)
    _stable(axes)
    axes.set_title(f"{rule} update: its eigenvalues")
    axes.set(xlabel=r"$\mathrm{Re}\,\lambda$", ylabel=r"$\mathrm{Im}\,\lambda$")


def _arc(centre: complex, half: float) -> Any:
    """Angles of the unit circle, dense where the window is."""
    near = np.angle(centre) + np.linspace(-1, 1, 801) * min(np.pi, 4 * half)
    return np.unique(np.concatenate([np.linspace(-np.pi, np.pi, 181), near]))


def _table(figure: Any, arms: Sequence[_Arm], point: str) -> None:
    """Draw the legend of the marks with the numbers of each."""
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(len(arms) + 0.2, -0.9))
    axes.axis("off")
    head = (
        f"{point}; pale: not converged",
        r"$|v|$",
        "rotation index",
        r"bound on $|\mathrm{Im}\,\lambda|$",
        "spectral radius",
    )
    for x, name in zip(COLUMNS, head, strict=True):
        axes.text(x, -0.4, name, color=GREY, va="center")
    for row, arm in enumerate(arms, start=1):
        numbers = arm.numbers
        axes.scatter([0.012], [row - 0.4], **arm.style)
        cells = (
            arm.label,
            f"{numbers['field_norm']['all']:.3g}",
            _with_error(**numbers["rotation_index"]),
            f"{numbers['skew_norm']:.3g}",
            f"{numbers['spectral_radius']:.5f}",
        )
        for x, cell in zip(COLUMNS, cells, strict=True):
            axes.text(x, row - 0.4, cell, va="center")


def _with_error(value: float, standard_error: float | None, probes: int) -> str:
    """A value with its error as text: (6.7 ± 0.7)·10⁻⁶ for 6.7e-06 ± 7e-07."""
    if not value:
        return "0"
    power = math.floor(math.log10(abs(value)))
    spread = "" if standard_error is None else rf" \pm {standard_error / 10**power:.1f}"
    return rf"$({value / 10**power:.1f}{spread})\cdot 10^{{{power}}}$"
