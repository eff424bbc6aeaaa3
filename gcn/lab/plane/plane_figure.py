"""Figures of games in the plane: one run with the spread over its seeds, and small multiples over arms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from gcn.lab.figure import write
from gcn.lab.plane.plane import PlaneRun
from gcn.report.plots import BLUE, GREEN, GREY, LOGIT_COLOURS, LOGIT_LIMIT, ORANGE

SHOWN = 1000  # points of data and of samples that are drawn


class View(NamedTuple):
    """The picture of one game in the plane: data, samples and D's logits.

    Attributes:
        real: data (N, 2).
        samples: of the generator (N, 2).
        mesh: coordinates of D's points (M,), in both directions.
        logits: D's logits there (M, M), rows are y, about the middle between its means on data and samples.
        title: over it, if any.
        note: below it, if any.
    """

    real: Tensor
    samples: Tensor
    mesh: Tensor
    logits: Tensor
    title: str = ""
    note: str = ""


def view(run: PlaneRun, game: int = 0, title: str = "", note: str = "") -> View:
    """One game of a run. The level of a difference's D (wgan, relativistic losses) means nothing: it is taken off."""
    logits = run.logits[game] - run.curves["logit_mean"][-1, game].to(run.logits)
    return View(run.real[game], run.samples[game], run.mesh, logits, title, note)


def points(axes: Any, shown: View, size: float = 1.0) -> Any:
    """Data as light discs and samples as dark dots over D's logits, whose zero is a line; returns the field's colours.

    Args:
        axes: to draw on.
        shown: the game.
        size: of the marks, relative to those of a large picture.
    """
    line, extent = shown.mesh.numpy(), float(shown.mesh[-1])
    values = shown.logits.nan_to_num().numpy()
    colours = axes.imshow(
        values, origin="lower", extent=(-extent, extent, -extent, extent), interpolation="bilinear", cmap=_pale(),
        vmin=-LOGIT_LIMIT, vmax=LOGIT_LIMIT,
    )  # fmt: skip
    if values.min() < 0 < values.max():
        axes.contour(line, line, values, levels=[0.0], colors=GREY, linewidths=0.6)
    for area, colour in ((52, "#9a9a9a"), (34, "white")):  # the lower layer is the outline of the upper one
        _dots(axes, shown.real, area * size, colour, 2)
    _dots(axes, shown.samples, 5 * size, "#101010", 3)
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#bbbbbb", linewidth=0.6)
    if shown.title:
        axes.set_title(shown.title)
    if shown.note:
        axes.set_xlabel(shown.note, fontsize=8, labelpad=3)
    return colours


def _pale() -> Any:
    """The colours of D's logits without the dark ends, on which points could not be seen."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[LOGIT_COLOURS](np.linspace(0.27, 0.73, 256)))


def _dots(axes: Any, places: Tensor, area: float, colour: str, layer: int) -> None:
    axes.scatter(*places[:SHOWN].T.numpy(), s=area, color=colour, linewidths=0, rasterized=True, zorder=layer)


def portrait(path: Path, run: PlaneRun, title: str = "") -> Path:
    """The figure of one run: PNG and SVG, ``path`` has no suffix.

    Left the first game after the last update, data as discs and samples as dots over D's logits. Right, over the
    updates, the parts that are recovered, the share of good samples and the gap of D's logits: a pale line a game,
    their mean in full.
    """
    distribution = run.plane.distribution
    part = "modes recovered" if distribution.modes else "pieces of the curve recovered"

    def draw(figure: Any) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
        axes = left.subplots()
        colours = points(
            axes,
            view(run, title=f"seed {run.seeds[0]} after {int(run.steps[-1])} updates (○ data, ● samples)"),
        )
        _bar(left, colours, axes)
        upper, middle, lower = right.subplots(3, 1, sharex=True)
        spread(upper, run, "recovered", BLUE, f"{part}, of {distribution.parts}")
        upper.set_ylim(-0.03 * distribution.parts, 1.06 * distribution.parts)
        upper.yaxis.get_major_locator().set_params(integer=True)
        spread(middle, run, "good", GREEN, "share of good samples")
        middle.set_ylim(-0.03, 1.03)
        spread(lower, run, "logit_gap", ORANGE, "gap of D's mean logits (0: undecided)")
        lower.axhline(0, color=GREY, linewidth=0.6)
        lower.set_xlabel("updates of the generator")
        diverged = int((run.diverged >= 0).sum())
        note = f"   —   {diverged} of {len(run.seeds)} diverged" if diverged else ""
        if title or note:
            figure.suptitle(title + note, x=0.01, ha="left", fontsize=11, color=GREY)

    return write(path, (9.2, 4.9), draw)


def spread(axes: Any, run: PlaneRun, name: str, colour: str, title: str) -> None:
    """Draw a quantity of all games over the updates: a pale line a game, the mean of the finite ones in full."""
    steps, values = run.steps.numpy(), run.curves[name]
    values = values.where(values.isfinite(), float("nan"))
    axes.plot(steps, values.numpy(), color=colour, alpha=min(0.6, 2 / len(run.seeds) ** 0.5), linewidth=0.7)
    axes.plot(steps, values.nanmean(1).numpy(), color=colour, linewidth=2)
    axes.set_title(title)


def multiples(
    path: Path,
    rows: Sequence[Sequence[View | None]],
    names: Sequence[str] = (),
    title: str = "",
    side: float = 1.7,
) -> Path:
    """Draw games side by side with one scale for D, as PNG and SVG; ``path`` has no suffix.

    Args:
        path: of the figure.
        rows: of games, equally long; None leaves a place empty.
        names: of the rows.
        title: over all.
        side: of a picture, in inches.
    """

    def draw(figure: Any) -> None:
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        colours = None
        for i, row in enumerate(rows):
            for axes, shown in zip(grid[i], row, strict=True):
                if shown is None:
                    axes.axis("off")
                else:
                    colours = points(axes, shown, size=0.3)
            if names:
                grid[i, 0].set_ylabel(names[i], fontsize=10)
        if colours is not None:
            _bar(figure, colours, grid, shrink=min(1.0, 4.5 / (side * len(rows[0]))))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=GREY)

    height = (
        (side + 0.2 * any(v is not None and v.note for v in rows[0])) * len(rows)
        + 0.75
        + 0.3 * bool(title)
        + 0.25 * any(v is not None and v.title for v in rows[0])
    )
    return write(path, (side * len(rows[0]) + 0.3 * bool(names), height), draw)


def _bar(figure: Any, colours: Any, axes: Any, shrink: float = 0.7) -> None:
    bar = figure.colorbar(
        colours, ax=axes, orientation="horizontal", shrink=shrink, aspect=40, pad=0.02, extend="both"
    )
    bar.set_label("← fake    D's logit about its middle    real →", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
