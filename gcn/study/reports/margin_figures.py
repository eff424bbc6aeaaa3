"""Figures of a margin study: bits of the judge over the learning rate, margins beside their twins, and exponents."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from gcn.report.paper import named, paper_figure
from gcn.report.plots import BLUE, CYCLE, GREY
from gcn.study.margin.margin_figure import worst
from gcn.study.reports.margin_cells import CELL, EXACT, PLAIN, SAME, Found, Key, Row, name_of, optimizer

DPI = 120
WIDEST = 10.4  # inches; 1248 pixels
PANEL = (2.9, 1.75)  # inches of a panel, at most
ROW, APART = 0.22, 0.1  # inches: a row of one seed, and between the lines of two seeds
CURVE = 8  # values of a search from which its bits are drawn as a line
MARKERS = "os^Dv"
TWINS = "oDsv^"  # a marker for each kind of twin


def bits(rows: Sequence[Row], path: Path) -> Path | None:
    """Draw the bits of the runs of all games: a panel for each loss, beta1 and weight, a line for each trick and seed.

    Searches of few values have dots and no line. Grey lines are the limits of holding, one for each seed.

    Args:
        rows: of ``runs.parquet``.
        path: of the figure, without suffix.

    Returns:
        The PNG, or None where there is nothing to draw.
    """
    varied = {factor: level for factor, level in PLAIN.items() if factor != "trick"}
    own = [
        row for row in rows
        if row["axis"] == "lr" and row["twin"] == "none" and row["length"] == "N" and row["method"] in (*EXACT, *SAME)
        and all(row[factor] == level for factor, level in varied.items())
    ]  # fmt: skip
    if not own:
        return None
    lines = list(dict.fromkeys((row["loss"], row["beta1"]) for row in own))
    weights = sorted({row["mse"] for row in own}, key=float)
    tricks = list(dict.fromkeys(row["trick"] for row in own))
    width = min(PANEL[0] * len(weights) + 0.4, WIDEST)
    with paper_figure(path, (width, PANEL[1] * len(lines) + 0.8), DPI) as figure:
        grid = figure.subplots(len(lines), len(weights), sharex=True, sharey=True, squeeze=False)
        for line, (loss, beta1) in zip(grid, lines, strict=True):
            for axes, mse in zip(line, weights, strict=True):
                part = [row for row in own if (row["loss"], row["beta1"], row["mse"]) == (loss, beta1, mse)]
                for trick, colour in zip(tricks, _colours(), strict=False):
                    _curves(axes, [row for row in part if row["trick"] == trick], colour)
                for limit in sorted({row["limit"] for row in part or own}):
                    axes.axhline(limit, color=GREY, linewidth=0.8)
                axes.set_xscale("log")
                axes.tick_params(labelsize=8)
            line[0].set_ylabel(f"{loss}, β₁ {beta1}\nbits", fontsize=9)
        for axes, mse in zip(grid[0], weights, strict=True):
            axes.set_title(f"mse={mse}", fontsize=9)
        figure.supxlabel("learning rate of G", fontsize=9, color=GREY)
        handles = [
            grid[0][0].plot([], [], ".-", color=c)[0] for _, c in zip(tricks, _colours(), strict=False)
        ]
        names = ["no trick" if trick == "none" else trick for trick in tricks]
        figure.legend(handles, names, loc="outside upper center", ncols=4)
    return named(path, "png")


def _colours() -> Iterator[str]:
    while True:
        yield from CYCLE[:-1]  # grey is the limit


def _curves(axes: Any, rows: Sequence[Row], colour: str) -> None:
    for seed in dict.fromkeys(row["seed"] for row in rows):
        points = sorted({(row["h"], worst(row)) for row in rows if row["seed"] == seed})
        style = "-" if len(points) >= CURVE else ""
        axes.plot(*zip(*points, strict=True), marker=".", linestyle=style, color=colour, markersize=4)


def beside(
    games: Mapping[Key, Found],
    twins: Mapping[str, Mapping[Key, Found]],
    alone: Mapping[Key, Found],
    path: Path,
) -> Path | None:
    """Draw the margin of each cell's game, its twins by kind, and the distortion alone, a row for each cell.

    Within a row the marks of a seed stand on a line of their own, the first seed on top. An arrow stands where a margin
    lies beyond the lowest or the highest value of its grid; it is drawn at that value.
    """
    if not games:
        return None
    at, beta1 = CELL.index("mse"), CELL.index("beta1")
    order = sorted(games, key=lambda key: (key[0], key[beta1], float(key[at]), key), reverse=True)
    kinds: list[tuple[str, dict[str, Any], Any]] = [
        ("distortion alone", {"marker": "|", "color": GREY, "markersize": 10}, lambda key: alone.get(optimizer(key))),
        *((kind, {"color": CYCLE[place + 1], "markerfacecolor": "white", "marker": TWINS[place]},
           own.get) for place, (kind, own) in enumerate(twins.items())),
        ("game", {"marker": "o", "color": BLUE, "markersize": 5}, games.get),
    ]  # fmt: skip
    seeds = [sorted(games[key].octaves) for key in order]
    heights = [ROW + APART * (len(own) - 1) for own in seeds]  # inches
    edges = [0.0, *accumulate(heights)]
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    with paper_figure(path, (7.5, edges[-1] + 1.3), DPI) as figure:
        axes = figure.subplots()
        for edge in edges[1:-1]:
            axes.axhline(edge, color=GREY, linewidth=0.3)
        for label, style, find in kinds:
            marks = [
                (middle - APART * (own.index(seed) - (len(own) - 1) / 2), *mark)
                for middle, own, key in zip(middles, seeds, order, strict=True)
                if (found := find(key)) is not None
                for seed, mark in zip(found.octaves, found.points, strict=True)
                if seed in own
            ]
            if marks:
                axes.plot([], [], linestyle="", label=label, **style)
            for place, value, end in marks:
                marker = {"": style["marker"], "below": "<", "above": ">"}[end]
                axes.plot(2**value, place, linestyle="", **{**style, "marker": marker})
        axes.set_yticks(middles, [name_of(key) for key in order], fontsize=8)
        axes.set_ylim(0, edges[-1])
        axes.set_xscale("log")
        axes.set_xlabel("margin h*: largest learning rate of G that holds")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return named(path, "png")


def against(rates: Mapping[Key, float], games: Mapping[Key, Found], at_rate: str, path: Path) -> Path | None:
    """Draw margins against exponents, a mark for each game: colour by mse, shape by loss, open at the second beta1."""
    both = [key for key in rates if key in games and math.isfinite(games[key].mean)]
    if len(both) < 2:
        return None
    at, beta1 = CELL.index("mse"), CELL.index("beta1")
    weights = sorted({key[at] for key in both}, key=float)
    losses, momenta = (list(dict.fromkeys(key[i] for key in both)) for i in (0, beta1))
    with paper_figure(path, (6.4, 3.6), DPI) as figure:
        axes = figure.subplots()
        for key in both:
            colour = CYCLE[weights.index(key[at]) % len(CYCLE)]
            face = "white" if momenta.index(key[beta1]) else colour
            marker = MARKERS[losses.index(key[0]) % len(MARKERS)]
            axes.plot(rates[key], 2 ** games[key].mean, marker, color=colour, markerfacecolor=face)
        for weight, colour in zip(weights, CYCLE, strict=False):
            axes.plot([], [], "o", color=colour, label=f"mse={weight}")
        for loss, marker in zip(losses, MARKERS, strict=False):
            axes.plot([], [], marker, color=GREY, label=loss)
        for momentum in momenta:
            face = "white" if momenta.index(momentum) else GREY
            axes.plot([], [], "o", color=GREY, markerfacecolor=face, label=f"β₁ {momentum}")
        axes.set_yscale("log")
        axes.set_xlabel(f"exponent Λ, per update, {at_rate}")
        axes.set_ylabel("margin h*")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    return named(path, "png")
