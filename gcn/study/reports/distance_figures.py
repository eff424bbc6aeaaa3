"""Figures of a report on distances to two-dimensional data: by method, over the updates, and final samples."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gcn.lab.plane.plane_figure import View, multiples
from gcn.lab.plane.plane_record import read_view
from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, RED
from gcn.study.reports.contrasts import Asked
from gcn.study.reports.statistics import Row, matching

if TYPE_CHECKING:
    from gcn.study.reports.distance_report import Method

COLOURS = ("#222222", BLUE, ORANGE, GREEN, PURPLE, RED, BROWN, "#17a2b8", "#b8a217", "#d65db1")
DASHES = ("-", "--", ":", "-.")
COUNTS = ("recovered", "held")  # responses that are whole numbers of modes
SPAN = 5.0  # smallest ratio of the ends of an axis of distances: a narrower one shows noise as if it were an effect
Points = Mapping[str, Sequence[Mapping[str, Any]]]


def distances(
    families: Mapping[str, Sequence["Method"]], late: Mapping[str, float], path: Path, ask: Asked
) -> Path | None:
    """Draw the late distance of every method: a row for each, a column for each data, a dot for each seed."""
    lines: list[tuple[str, Method | None]] = []
    for title, own in families.items():
        lines += [(title, None), *((method.name, method) for method in own)]
    shown = shown_data([m for _, m in lines if m is not None], ask)
    if not shown:
        return None
    with paper_figure(path, (2.0 + 2.0 * len(shown), 0.19 * len(lines) + 1.1)) as figure:
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, data in zip(panels, shown, strict=True):
            plain = [
                late[r["name"]] for _, m in lines if m and m.levels == ask.plain for r in _of(m, data, ask)
            ]
            if plain:
                axes.axvspan(min(plain), max(plain), color="#e4e4e4", linewidth=0)
            for place, (_, method) in enumerate(lines):
                rows = [] if method is None else _of(method, data, ask)
                values = [late[row["name"]] for row in rows if np.isfinite(late.get(row["name"], np.nan))]
                if values:
                    axes.plot(values, [place] * len(values), "o", color=BLUE, markersize=3, alpha=0.8)
                    axes.plot([np.mean(values)] * 2, [place - 0.35, place + 0.35], color=BLUE, linewidth=1.4)
            floor = [r["w1_of_data"] for _, m in lines if m for r in _of(m, data, ask)]
            axes.axvline(float(np.mean(floor)), color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            axes.set_xscale("log")
            axes.set_xlim(*_widened(*axes.get_xlim()))
            _plain_numbers(axes.xaxis)
            axes.set(title=ask.label(data), xlabel="Wasserstein-1 distance")
            axes.tick_params(axis="x", which="both", labelsize=7)
        panels[0].set_ylim(len(lines) - 0.4, -0.6)
        panels[0].set_yticks(range(len(lines)), [name for name, _ in lines], fontsize=7.5)
        for label, (_, method) in zip(panels[0].get_yticklabels(), lines, strict=True):
            label.set_fontweight("bold" if method is None else "normal")
    return path


def over_updates(
    families: Mapping[str, Sequence["Method"]], points: Points, path: Path, ask: Asked
) -> Path | None:
    """Draw the distance over the updates: a row for each family, a column for each data."""
    shown = shown_data([method for own in families.values() for method in own], ask)
    if not shown:
        return None
    with paper_figure(path, (2.4 * len(shown) + 2.2, 2.1 * len(families))) as figure:
        grid = figure.subplots(len(families), len(shown), sharex=True, sharey="col", squeeze=False)
        for line, (title, own) in zip(grid, families.items(), strict=True):
            for axes, data in zip(line, shown, strict=True):
                trained = [method.name for method in own if _of(method, data, ask)]
                for method, colour in zip(own, COLOURS, strict=False):
                    _band(axes, _of(method, data, ask), points, "w1", colour, method.name)
                if len(trained) < 2:
                    said = f"only {trained[0]} is trained yet" if trained else "not trained yet"
                    axes.text(0.5, 0.9, said, transform=axes.transAxes, ha="center", color=GREY)
                axes.set_yscale("log")
                _plain_numbers(axes.yaxis)
            line[0].set_ylabel(f"{title}\nW1", fontsize=8)
            entries = {
                label: handle
                for axes in line
                for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
            }
            line[-1].legend(
                entries.values(),
                entries,
                loc="center left",
                bbox_to_anchor=(1.02, 0.5),
                fontsize=7,
                frameon=False,
            )
        for axes, data in zip(grid[0], shown, strict=True):
            axes.set_title(ask.label(data))
        for axes in grid[-1]:
            axes.set_xlabel("updates of the generator")
    return path


def modes_over_updates(arms: Sequence["Method"], points: Points, path: Path, ask: Asked) -> Path | None:
    """Draw distance and modes over the updates: a row for each data, a column for each response."""
    from matplotlib.ticker import MaxNLocator

    told = ask.content["modes"]
    shown = ask.found([row for arm in arms for row in arm.rows])
    if not shown:
        return None
    with paper_figure(path, (2.7 * len(told["responses"]) + 0.3, 2.3 * len(shown) + 0.9)) as figure:
        grid = figure.subplots(len(shown), len(told["responses"]), sharex=True, squeeze=False)
        for line, data in zip(grid, shown, strict=True):
            for axes, (response, title) in zip(line, told["responses"].items(), strict=True):
                for arm in arms:
                    colour, dashes = COLOURS[1 + arm.arm], DASHES[arm.variant]
                    _band(axes, _of(arm, data, ask), points, response, colour, arm.name, dashes)
                _without_first_look(axes)
                if response in COUNTS:
                    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
                axes.set_title(title)
            line[0].set_ylabel(ask.label(data))
        for axes in grid[-1]:
            axes.set_xlabel("updates of the generator")
        figure.legend(
            *grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7
        )
    return path


def samples(
    shown: Sequence["Method"],
    looks: Sequence[Mapping[str, Any]],
    path: Path,
    ask: Asked,
    among: Sequence[str] | None = None,
) -> Path | None:
    """Draw data and final samples of the first seed: a row for each data, a column for each method.

    Args:
        shown: methods; of their data those in ``among`` are drawn.
        among: levels of the factor of data; all by default.
    """
    kept = {str(look["name"]): look["view"] for look in looks if look["view"]}
    columns = [method for method in shown if any(row["name"] in kept for row in method.rows)]
    data = ask.found([row for method in columns for row in method.rows if row["name"] in kept])
    data = [one for one in data if among is None or one in among]
    if not data:
        return None
    grid: list[list[View | None]] = []
    named: set[str] = set()  # a column is named at its first picture
    for one in data:
        line: list[View | None] = []
        for method in columns:
            found = [row for row in _of(method, one, ask) if row["name"] in kept]
            seen = read_view(io.BytesIO(kept[str(found[0]["name"])])) if found else None
            title = "" if method.name in named else method.name.replace(": ", "\n")
            named |= {method.name} if seen else set()
            line.append(seen._replace(title=title) if seen else None)
        grid.append(line)
    return multiples(path, grid, [ask.label(one) for one in data], side=1.9)


def shown_data(methods: Sequence["Method"], ask: Asked) -> list[str]:
    """The data that methods were trained on, without those of the section on lost modes."""
    found = ask.found([row for method in methods for row in method.rows])
    return [data for data in found if data not in ask.content["modes"]["settings"]]


LONG = 200  # largest over smallest value of an axis with room for three labels in a power of ten


def _widened(low: float, high: float) -> tuple[float, float]:
    """Limits of a logarithmic axis about the same middle that are a factor of ``SPAN`` apart or more."""
    middle, half = math.sqrt(low * high), math.sqrt(max(high / low, SPAN))
    return middle / half, middle * half


def _plain_numbers(axis: Any) -> None:
    """Label a logarithmic axis whose limits are set, without exponents.

    At 1, 2 and 5 times the powers of ten, or, where an outlier makes it long, at some powers alone.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = getattr(axis.axes, f"get_{axis.axis_name}lim")()
    short = high / low < LONG
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if short else (1,), numticks=20 if short else 5))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _without_first_look(axes: Any) -> None:
    """Fit the vertical limits to the looks after updates: all samples may lie in one mode before the first."""
    later = [collection.get_paths()[0].vertices for collection in axes.collections]
    values = [v[(v[:, 0] > 0) & np.isfinite(v[:, 1]), 1] for v in later]
    values = [v for v in values if len(v)]
    if values:
        top = max(float(v.max()) for v in values)
        axes.set_ylim(-0.04 * top, 1.06 * top)


def _of(method: "Method", data: str, ask: Asked) -> list[Row]:
    return matching(method.rows, {ask.factor: data})


def _band(
    axes: Any, rows: Sequence[Row], points: Points, response: str, colour: str, name: str, dashes: str = "-"
) -> None:
    """Mean over seeds as a line, from the smallest to the largest as a band."""
    curves = [points[str(row["name"])] for row in rows if points.get(str(row["name"]))]
    if curves:
        values = np.array([[point[response] for point in curve] for curve in curves], float)
        steps = [point["step"] for point in curves[0]]
        axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.13, linewidth=0)
        axes.plot(steps, values.mean(0), color=colour, linestyle=dashes, linewidth=1.2, label=name)
