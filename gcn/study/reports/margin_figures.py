"""Figures of a margin study: bits of the judge over the learning rate, and margins of games beside their twins."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.report.plots import GREY, save_png
from gcn.study.margin.margin_figure import worst
from gcn.study.reports.margin_cells import CELL, EXACT, Found, Key, Row, name_of

COLOURS = (
    "tab:blue",
    "tab:orange",
    "tab:green",
    "tab:purple",
    "tab:brown",
    "tab:pink",
    "tab:olive",
    "tab:cyan",
)
MOST = 8  # lines of a panel
PANEL = (3.1, 2.0)  # inches


def bits(rows: Sequence[Row], path: Path) -> Path | None:
    """Draw the bits of every run of a game: a panel for each loss, beta1 and weight, a line for each trick.

    Returns:
        The file, or None where there is nothing to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    own = [
        row for row in rows
        if row["axis"] == "lr" and row["twin"] == "none" and row["length"] == "N" and row["method"] in EXACT
    ]  # fmt: skip
    if not own:
        return None
    lines = list(dict.fromkeys((row["loss"], row["beta1"]) for row in own))
    weights = sorted({row["mse"] for row in own}, key=float)
    tricks = list(dict.fromkeys(row["trick"] for row in own))[:MOST]
    size = (PANEL[0] * len(weights) + 0.4, PANEL[1] * len(lines) + 0.6)
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(lines), len(weights), sharex=True, sharey=True, squeeze=False)
    for i, (loss, beta1) in enumerate(lines):
        for j, mse in enumerate(weights):
            axes = grid[i][j]
            part = [row for row in own if (row["loss"], row["beta1"], row["mse"]) == (loss, beta1, mse)]
            for trick, colour in zip(tricks, COLOURS, strict=False):
                points = sorted({(row["h"], worst(row)) for row in part if row["trick"] == trick})
                axes.plot(*zip(*points, strict=True) if points else ([], []), ".-", color=colour, linewidth=1,
                          markersize=4, label="no trick" if trick == "none" else trick)  # fmt: skip
            limit = max(row["b0"] + row["delta"] for row in own)
            axes.axhline(limit, color=GREY, linewidth=1)
            axes.set_xscale("log")
            axes.set_title(f"{loss}, β₁ = {beta1}, mse={mse}", fontsize=9, loc="left")
            axes.tick_params(labelsize=8)
    grid[-1][0].set_xlabel("learning rate of G", fontsize=9)
    grid[0][0].set_ylabel("bits, largest of three looks", fontsize=9)
    grid[0][0].legend(fontsize=8)
    return save_png(figure, path)


def beside(
    games: Mapping[Key, Found], twins: Mapping[Key, Found], alone: Mapping[str, Found], path: Path
) -> Path | None:
    """Draw the margin of each cell's game, its yoked twin, and the distortion alone, a row for each cell."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not games:
        return None
    order = sorted(games, key=lambda key: [str(level) for level in key], reverse=True)
    figure = Figure(figsize=(8, 0.24 * len(order) + 1.2), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes, beta1 = figure.subplots(), CELL.index("beta1")
    kinds: list[tuple[str, dict[str, Any], Any]] = [
        ("distortion alone", {"marker": "|", "color": GREY, "markersize": 11}, lambda key: alone.get(key[beta1])),
        ("yoked twin", {"marker": "o", "color": "tab:orange", "markerfacecolor": "white"}, twins.get),
        ("game", {"marker": "o", "color": "tab:blue"}, games.get),
    ]  # fmt: skip
    for label, style, find in kinds:
        points = [
            (2**value, place)
            for place, key in enumerate(order)
            if (found := find(key)) is not None
            for value in found.octaves.values()
            if math.isfinite(value)
        ]
        if points:
            axes.plot(*zip(*points, strict=True), linestyle="", label=label, **style)
    axes.set_yticks(range(len(order)), [name_of(key) for key in order], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("margin h*: largest learning rate of G that holds", fontsize=9)
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return save_png(figure, path)


def against(rates: Sequence[tuple[float, float]], path: Path) -> Path | None:
    """Draw margins in octaves against exponents, a dot for each cell."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if len(rates) < 2:
        return None
    figure = Figure(figsize=(5, 3.4), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([rate for rate, _ in rates], [2**octaves for _, octaves in rates], "o", color="tab:blue")
    axes.set_yscale("log")
    axes.set_xlabel("exponent Λ per update at a learning rate of 1e-4", fontsize=9)
    axes.set_ylabel("margin h*", fontsize=9)
    return save_png(figure, path)
