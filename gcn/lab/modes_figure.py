"""The figures of the experiment in :mod:`gcn.lab.modes`: means with intervals, learning curves, and some games."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn.lab.figure import write
from gcn.lab.modes import ARMS, DATA, LOSSES, Cell, Result
from gcn.lab.modes_report import METRICS, SETTINGS, Table, interval
from gcn.lab.plane.plane_figure import View, multiples
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, PURPLE, RED

LOSS_COLOURS = {"ns": BLUE, "wgan": ORANGE, "hinge": GREEN}
CURVES = {
    ("noise", "none"): (GREY, "-"), ("noise", "r1"): (BLUE, "-"), ("noise", "gp"): (GREEN, "-"),
    ("noise", "instance_noise"): (ORANGE, "-"), ("noise", "pair"): (PINK, "-"), ("auto0", "none"): (BROWN, "--"),
    ("auto", "none"): (RED, "--"), ("auto", "r1"): (PURPLE, "--"),
}  # fmt: skip
NAMES = {"noise": "", "auto0": "codec, mse = 0, ", "auto": "codec, mse > 0, "}
SHOWN = [*(("noise", arm) for arm in ARMS), ("auto0", "none"), ("auto", "none")]
TITLES = {"recovered": "modes recovered", "held": "modes held", "good": "share of good samples"}

Results = Mapping[Cell, Result]


def effects(path: Path, table: Table) -> Path:
    """Means and 95 % intervals over seeds: a row for each data set and measure, a column for each generator."""
    panels = [(data, metric) for data in DATA for metric in METRICS]

    def draw(figure: Any) -> None:
        grid = figure.subplots(len(panels), len(SETTINGS), sharex=True, sharey="row", squeeze=False)
        for i, (data, metric) in enumerate(panels):
            parts = 1.0 if metric == "good" else next(r["parts"] for r in table.rows if r["data"] == data)
            for axes, name in zip(grid[i], SETTINGS, strict=True):
                for k, loss in enumerate(LOSSES):
                    _dots(axes, table, (data, name, loss, metric), k)
                axes.axhline(parts, color=GREY, linewidth=0.6, linestyle=":")
                axes.set_ylim(-0.05 * parts, 1.1 * parts)
                axes.set_xticks(range(len(ARMS)), [arm.replace("_", "\n") for arm in ARMS])
                axes.grid(axis="x", visible=False)
                if name == "auto":
                    alone = float(np.mean(table[data, "auto", "none", "none", metric]))
                    axes.axhline(alone, color=RED, linewidth=1, linestyle=(0, (4, 3)), label="mse alone")
            grid[i, 0].set_ylabel(f"{data}\n{TITLES[metric]}", fontsize=8)
        for axes, text in zip(grid[0], SETTINGS.values(), strict=True):
            axes.set_title(text)
        handles, labels = grid[0, -1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)

    return write(path, (8.6, 10.0), draw)


def _dots(axes: Any, table: Table, key: tuple[str, str, str, str], k: int) -> None:
    data, name, loss, metric = key
    found = [interval(table[data, name, loss, arm, metric]) for arm in ARMS]
    places = np.arange(len(ARMS)) + 0.22 * (k - 1)
    axes.errorbar(
        places, [i.mean for i in found], yerr=[i.half for i in found], fmt="o", markersize=4, linewidth=1.2,
        color=LOSS_COLOURS[loss], label=loss,
    )  # fmt: skip


def curves(path: Path, results: Results) -> Path:
    """The share of good samples over the updates, mean over seeds; a row a data set, a column a loss.

    Without the start: an untrained generator is a small cloud on the grid's central mode.
    """

    def draw(figure: Any) -> None:
        grid = figure.subplots(len(DATA), len(LOSSES), sharex=True, sharey="row", squeeze=False)
        for cell, result in results.items():
            style = CURVES.get((cell.setting, cell.arm))
            if style is None or cell.loss not in LOSSES:
                continue
            axes = grid[list(DATA).index(cell.data), list(LOSSES).index(cell.loss)]
            label = NAMES[cell.setting] + cell.arm.replace("_", " ")
            colour, line = style
            axes.plot(
                result.steps[1:].numpy(),
                result.good[1:].mean(1).numpy(),
                color=colour,
                linestyle=line,
                label=label,
            )
        for axes, loss in zip(grid[0], LOSSES, strict=True):
            axes.set_title(loss)
        for row, data in zip(grid, DATA, strict=True):
            row[0].set_ylabel(f"{data}\nshare of good samples")
        for axes in grid[-1]:
            axes.set_xlabel("updates of the generator")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)

    return write(path, (9.2, 5.6), draw)


def pictures(path: Path, data: str, results: Results) -> Path:
    """What the game of the first seed looks like at the end: a row a loss, a column an arm."""
    rows: list[Sequence[View | None]] = []
    for loss in LOSSES:
        views: dict[tuple[str, str], View] = {}
        for cell, result in results.items():
            if (cell.data, cell.loss) == (data, loss):
                row = result.rows[0]
                title = NAMES[cell.setting].removesuffix(", ") or cell.arm.replace("_", " ")
                note = f"{row['recovered']:.0f} modes, {row['good']:.2f} good"
                views[cell.setting, cell.arm] = result.first._replace(title="" if rows else title, note=note)
        rows.append([views.get(key) for key in SHOWN])
    return multiples(path, rows, list(LOSSES), side=1.6)


def figures(folder: Path, table: Table, results: Results) -> list[Path]:
    """All figures, PNG and SVG; their paths without suffix."""
    return [
        effects(folder / "modes_effects", table),
        curves(folder / "modes_curves", results),
        *(pictures(folder / f"modes_{data}", data, results) for data in DATA),
    ]
