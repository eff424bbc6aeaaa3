"""The curves of a run: six plots over the generator's updates, from the rows of its ``metrics.csv``."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from gcn.metrics.stability import TOO_SHORT
from gcn.report.plots import BLUE, CYCLE, GREY, ORANGE, RED, STYLE, VERDICT_COLOURS, save_png

Rows = Sequence[Mapping[str, Any]]

SIZE, DPI, LETTERS = (14.3, 8.3), 100, 150  # inches, pixels an inch, letters of the title in a line
FEW = 25  # points of a curve below which each has a mark
PALE = 0.35  # opacity of a curve that another one is compared with
NO_TERM = {"grad_norm", "total", "logit_real", "logit_fake", "logit_gap", "accuracy"}


def curves(path: str | os.PathLike[str], rows: Rows, verdict: Any = None) -> Path:
    """Draw the curves of a run from the rows of its ``metrics.csv``: six plots over the generator's updates.

    Args:
        path: of the PNG.
        rows: mappings with ``step``; what was not measured may be missing, None or NaN.
        verdict: a :class:`gcn.metrics.stability.Verdict` for the title, or None. Unless stable, its step is
            marked.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(SIZE, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        plots = figure.subplots(2, 3, sharex=True)
        for axes, draw in zip(plots.flat, PLOTS, strict=True):
            axes.xaxis.get_major_locator().set_params(integer=True)
            draw(axes, rows)
        for axes in plots.flat:
            _finish(axes, verdict)
        for axes in plots[1]:
            axes.set_xlabel("generator updates")
        if verdict is not None:
            title = fill(f"{verdict.name}, step {verdict.step}: {verdict.reason}", LETTERS)
            colour = VERDICT_COLOURS[verdict.name]
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=colour)
        return save_png(figure, Path(path))


def _finish(axes: Any, verdict: Any) -> None:
    """Add what all plots have: names of curves beside the plot, and the update that the verdict names."""
    first, last = axes.get_xlim()
    if not axes.lines:
        axes.text(
            0.5, 0.5, "not measured", color="#aaaaaa", ha="center", va="center", transform=axes.transAxes
        )
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    marked = verdict is not None and verdict.name not in ("stable", TOO_SHORT)
    if marked and first <= verdict.step <= last:
        axes.axvline(verdict.step, color=VERDICT_COLOURS[verdict.name], linestyle=":")


def _curve(axes: Any, rows: Rows, name: str, colour: str, label: str = "", **style: Any) -> list[float]:
    """Draw a column; returns its finite values."""
    points = [
        (float(row["step"]), float(row[name]))
        for row in rows
        if row.get(name) is not None and np.isfinite(row[name])
    ]
    if points:
        mark = "o" if len(points) < FEW else None
        axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=mark, markersize=3.5, **style)
    return [value for _, value in points]


def _names(rows: Rows, prefix: str) -> list[str]:
    """Columns directly below a prefix, in the order of their appearance."""
    seen = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    return [name for name in seen if "/" not in name.removeprefix(prefix)]


def _terms(axes: Any, rows: Rows) -> None:
    axes.set_title("terms, unweighted (G solid, D dashed)")
    drawn: list[float] = []
    for player, line in (("g", "-"), ("d", "--")):
        names = [n for n in _names(rows, f"train/{player}/") if n.rsplit("/", 1)[1] not in NO_TERM]
        for name, colour in zip(names, CYCLE * len(names), strict=False):
            label = f"{player.upper()} {name.rsplit('/', 1)[1]}"
            drawn += _curve(axes, rows, name, colour, label, linestyle=line)
    positive = [abs(value) for value in drawn if value]
    if positive and min(drawn) > 0:
        axes.set_yscale("log")
    elif positive and max(positive) > 100 * float(np.median(positive)):
        axes.set_yscale("symlog", linthresh=1)


def _logits(axes: Any, rows: Rows) -> None:
    axes.set_title("D's mean logits (high: real)")
    for name, label, colour in (("real", "x", BLUE), ("fake", "x̂", RED), ("gap", "gap", GREY)):
        _curve(axes, rows, f"train/d/logit_{name}", colour, label)


def _gradients(axes: Any, rows: Rows) -> None:
    axes.set_title("norms of the parameters' gradients")
    drawn = [_curve(axes, rows, f"train/{p}/grad_norm", c, p.upper()) for p, c in (("g", BLUE), ("d", RED))]
    if any(value > 0 for values in drawn for value in values):
        axes.set_yscale("log")


def _rate_distortion(axes: Any, rows: Rows) -> None:
    axes.set_title("distortion and rate")
    axes.set_ylabel("PSNR, dB (pale: train)", color=BLUE)
    _curve(axes, rows, "train/psnr", BLUE, alpha=PALE)
    _curve(axes, rows, "val/psnr", BLUE)
    _on_the_right(axes, rows, "val/bpp", "bits per pixel")


def _realism(axes: Any, rows: Rows) -> None:
    axes.set_title("realism and jitter")
    floor = _curve(axes, rows, "val/swd_floor", BLUE, alpha=PALE)  # of generators from noise
    axes.set_ylabel(f"sliced Wasserstein{' (pale: floor)' if floor else ''}", color=BLUE)
    _curve(axes, rows, "val/swd", BLUE)
    _on_the_right(axes, rows, "val/jitter", "jitter, grey levels")


def _on_the_right(axes: Any, rows: Rows, name: str, label: str) -> None:
    """Draw a column with an axis of its own on the right side."""
    right = axes.twinx()
    right.grid(visible=False)
    right.set_ylabel(label, color=ORANGE)
    if not _curve(right, rows, name, ORANGE):
        right.set_yticks([])


def _cosines(axes: Any, rows: Rows) -> None:
    axes.set_title("cosines of G's gradients at x̂")
    axes.set_ylim(-1.05, 1.05)
    names = _names(rows, "train/g/cosine/")
    for name, colour in zip(names, CYCLE * len(names), strict=False):
        _curve(axes, rows, name, colour, name.rsplit("/", 1)[1])


PLOTS = (_terms, _logits, _gradients, _rate_distortion, _realism, _cosines)
