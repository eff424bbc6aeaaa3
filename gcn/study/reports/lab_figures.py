"""Figures of a report on games in the lab: means with intervals, learning curves, and pictures of some games."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn.lab.intervals import Interval, interval
from gcn.lab.plane.plane_figure import View, multiples
from gcn.lab.plane.plane_record import read_view
from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, RED
from gcn.study.reports.contrasts import Asked, losses
from gcn.study.reports.statistics import Row, matching

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BROWN)
LINES = ((GREY, "-"), (BLUE, "-"), (RED, "--"), (PURPLE, "--"), (GREEN, "-"), (ORANGE, "-"))


def means(rows: Sequence[Row], path: Path, ask: Asked, levels: Sequence[str]) -> Path | None:
    """Means with 95 % intervals: a row for each setting and response, a column for each group of arms.

    Args:
        rows: of the table.
        path: of the figure.
        ask: the questions of the study.
        levels: of the factor ``within``, in the order of the axis. A loss that has one of them alone is a line across.
    """
    settings, groups, within = ask.found(rows), ask.content["groups"], ask.content["within"]
    if not settings:
        return None
    several = several_arms(rows, within)
    panels = [(setting, response) for setting in settings for response in ask.decide]
    with paper_figure(path, (2.9 * len(groups), 1.7 * len(panels) + 0.6)) as figure:
        grid = figure.subplots(len(panels), len(groups), sharex=True, sharey="row", squeeze=False)
        for line, (setting, response) in zip(grid, panels, strict=True):
            for axes, sides in zip(line, groups.values(), strict=True):
                own = matching(rows, {ask.factor: setting, **sides})
                for place, loss in enumerate(several):
                    arms = {x: matching(own, {"loss": loss, within: x}) for x in levels}
                    shift = 0.2 * (place - (len(several) - 1) / 2)
                    found = {at + shift: _mean(arms[x], response) for at, x in enumerate(levels) if arms[x]}
                    axes.errorbar(
                        list(found), [i.mean for i in found.values()], yerr=[i.half for i in found.values()],
                        fmt="o", markersize=4, linewidth=1.2, color=COLOURS[place % len(COLOURS)], label=loss,
                    )  # fmt: skip
                for loss in (loss for loss in losses(own) if loss not in several):
                    lone = _mean(matching(own, {"loss": loss}), response).mean
                    axes.axhline(lone, color=RED, linewidth=1, linestyle=(0, (4, 3)), label=ask.label(loss))
                axes.set_xticks(range(len(levels)), [ask.label(x).replace(" ", "\n") for x in levels])
                axes.grid(axis="x", visible=False)
            line[0].set_ylim(0, 1.05 * max(axes.dataLim.y1 for axes in line))  # the panels of a row share it
            line[0].set_ylabel(
                f"{ask.label(setting)}\n{ask.content['responses'][response]['title']}", fontsize=8
            )
        for axes, name in zip(grid[0], groups, strict=True):
            axes.set_title(name)
        named = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in grid.flat]
        entries = {label: handle for pairs in named for handle, label in pairs}
        figure.legend(entries.values(), entries, loc="outside lower center", ncols=len(entries))
    return path


def several_arms(rows: Sequence[Row], within: str) -> list[str]:
    """The losses that have several levels of a factor."""
    return [loss for loss in losses(rows) if len({row[within] for row in matching(rows, {"loss": loss})}) > 1]


def _mean(arm: Sequence[Row], response: str) -> Interval:
    return interval([row[response] for row in arm if row[response] is not None])


def _shown(ask: Asked) -> Iterator[tuple[str, dict[str, str]]]:
    """The arms of curves and pictures: name and levels."""
    within = ask.content["within"]
    for group, levels in ask.content["shown"].items():
        for level in levels:
            name = group if level == ask.plain.get(within) else f"{group}, {ask.label(level)}"
            yield name, {**ask.content["groups"][group], within: level}


def curves(
    rows: Sequence[Row], points: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, ask: Asked
) -> Path | None:
    """The last response over the updates, mean over seeds: a row for each setting, a column for each loss.

    Without the start: an untrained generator is a small cloud on a central mode. None where no run has curves.
    """
    own = [row for row in rows if points.get(str(row["name"]))]
    names, settings, response = losses(own), ask.found(own), ask.decide[-1]
    if not settings:
        return None
    with paper_figure(path, (max(6.4, 3.1 * len(names) + 0.6), 2.3 * len(settings) + 0.6)) as figure:
        grid = figure.subplots(len(settings), len(names), sharex=True, sharey="row", squeeze=False)
        for line, setting in zip(grid, settings, strict=True):
            for axes, loss in zip(line, names, strict=True):
                for (name, levels), (colour, dashes) in zip(_shown(ask), LINES, strict=False):
                    arm = matching(own, {ask.factor: setting, "loss": loss, **levels})
                    seen = [points[str(row["name"])][1:] for row in arm]
                    if seen:
                        steps = [point["step"] for point in seen[0]]
                        values = np.array([[point[response] for point in run] for run in seen], float)
                        axes.plot(steps, values.mean(0), color=colour, linestyle=dashes, label=name)
            line[0].set_ylabel(f"{ask.label(setting)}\n{ask.content['responses'][response]['title']}")
        for axes, loss in zip(grid[0], names, strict=True):
            axes.set_title(loss)
        for axes in grid[-1]:
            axes.set_xlabel("updates of the generator")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LINES))
    return path


def pictures(
    rows: Sequence[Row], looks: Sequence[Mapping[str, Any]], setting: str, path: Path, ask: Asked
) -> Path | None:
    """The game of the first seed at the end: a row for each loss, a column for each arm that is shown."""
    kept = {str(look["name"]): look["view"] for look in looks if look["view"]}
    own = [row for row in matching(rows, {ask.factor: setting}) if row["name"] in kept]
    if not own:
        return None
    grid: list[list[View | None]] = []
    for loss in losses(own):
        line: list[View | None] = []
        for name, levels in _shown(ask):
            found = matching(own, {"loss": loss, **levels})
            line.append(_picture(found[0], kept, "" if grid else name, ask) if found else None)
        grid.append(line)
    return multiples(path, grid, losses(own), side=1.9)


def _picture(row: Row, kept: Mapping[str, bytes], title: str, ask: Asked) -> View:
    responses = ask.content["responses"]
    said = (
        f"{row[r]:.{responses[r]['digits']}f} {responses[r]['title']}"
        for r in (ask.decide[0], ask.decide[-1])
    )
    return read_view(io.BytesIO(kept[str(row["name"])]))._replace(title=title, note=", ".join(said))
