"""Figures of a report: verdicts and responses against the weight of mse, effects with their intervals, curves."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, GREY, ORANGE, RED, VERDICT_COLOURS
from gcn.study.reports.answer import NO_RATE
from gcn.study.reports.contrasts import Asked, Question, losses
from gcn.study.reports.predictions import lr
from gcn.study.reports.statistics import RATIOS, Effect, Row, matching
from gcn.study.table import RESPONSES

TITLES = {response.name: response.title for response in RESPONSES}
TRICKS = (("none", BLUE), ("r1", ORANGE))
FIXED = {"pairing": "none", "control": "none"}


def verdicts(rows: Sequence[Row], path: Path, ask: Asked) -> Path | None:
    """Share of runs with each verdict: a bar for each weight, losses across, settings and tricks down.

    None without runs at the settings that are compared.
    """
    names, settings = losses(rows), ask.found(rows)
    if not settings:
        return None
    seen = [verdict for verdict in COLOURS if any(row["verdict"] == verdict for row in rows)]
    with paper_figure(
        path, (max(5.2, 2.0 * len(names) + 0.6), 1.25 * len(settings) * len(TRICKS) + 0.8)
    ) as figure:
        grid = figure.subplots(len(settings) * len(TRICKS), len(names), squeeze=False, sharex="col")
        for line, (heat, (trick, _)) in zip(grid, ((h, t) for h in settings for t in TRICKS), strict=True):
            for axes, loss in zip(line, names, strict=True):
                own = matching(rows, {**FIXED, "loss": loss, ask.factor: heat, "trick": trick})
                weights = sorted({str(row["mse"]) for row in own}, key=float)
                for place, weight in enumerate(weights):
                    found = [row["verdict"] for row in own if row["mse"] == weight]
                    bottom = 0.0
                    for verdict in seen:
                        share = found.count(verdict) / len(found)
                        axes.bar(place, share, 0.8, bottom, color=COLOURS[verdict])
                        bottom += share
                    axes.text(place, 1.03, str(len(found)), ha="center", fontsize=7.5, color=GREY)
                ticks = [weight.removeprefix("0") or "0" for weight in weights]
                axes.set_xticks(range(len(weights)), ticks, fontsize=7.5)
                axes.set_yticks([])
                axes.set_ylim(0, 1.2)
                axes.grid(False)
            trick_name = "no trick" if trick == "none" else trick
            line[0].set_ylabel(f"{ask.label(heat)}\n{trick_name}", fontsize=8.5)
        for axes, loss in zip(grid[0], names, strict=True):
            axes.set_title(loss)
        for axes in grid[-1]:
            axes.set_xlabel("weight of mse")
        handles = [_patch(COLOURS[verdict]) for verdict in seen]
        figure.legend(handles, seen, loc="outside lower center", ncols=len(seen), fontsize=9)
    return path


COLOURS = {**VERDICT_COLOURS, "collapsed": "#8c2d04", NO_RATE: "#c9c9e8", "failed": "#999999"}


def _patch(colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour)


def ladder(rows: Sequence[Row], path: Path, response: str, ask: Asked) -> Path | None:
    """A response against the weight of mse, for losses that have the ladder, with and without r1; dots are seeds."""
    own = matching(rows, FIXED)
    settings = ask.found(own)
    if not settings:
        return None
    names = [x for x in losses(own) if len({r["mse"] for r in own if r["loss"] == x}) > 2] or losses(own)
    with paper_figure(path, (2.9 * len(names) + 0.5, 2.4 * len(settings))) as figure:
        grid = figure.subplots(len(settings), len(names), squeeze=False, sharey="row", sharex=True)
        for line, heat in zip(grid, settings, strict=True):
            for axes, loss in zip(line, names, strict=True):
                for trick, colour in TRICKS:
                    _ladder(
                        axes,
                        matching(own, {"loss": loss, ask.factor: heat, "trick": trick}),
                        response,
                        colour,
                        trick,
                    )
                if response in RATIOS:
                    _logarithmic(axes)
            line[0].set_ylabel(f"{ask.label(heat)}\n{TITLES[response]}")
        for axes, loss in zip(grid[0], names, strict=True):
            axes.set_title(loss)
        for axes in grid[-1]:
            axes.set_xlabel("weight of mse")
        grid[0][0].legend()
    return path


def _ladder(axes: Any, rows: Sequence[Row], response: str, colour: str, trick: str) -> None:
    weights = sorted({str(row["mse"]) for row in rows}, key=float)
    places, medians = [], []
    for weight in weights:
        values = [row[response] for row in rows if row["mse"] == weight and _known(row[response])]
        place = math.log10(float(weight)) if float(weight) else -4.0
        axes.plot([place] * len(values), values, ".", color=colour, markersize=4, alpha=0.6)
        if values:
            places.append(place)
            medians.append(float(np.median(values)))
    axes.plot(places, medians, color=colour, label="no trick" if trick == "none" else trick)
    axes.set_xticks([-4, -3, -2, -1, 0, 1], ["0", ".001", ".01", ".1", "1", "10"])


def _logarithmic(axes: Any) -> None:
    """Scale y by the logarithm where a line has something positive to show."""
    if any((np.asarray(line.get_ydata(), float) > 0).any() for line in axes.lines):
        axes.set_yscale("log")


def _known(number: Any) -> bool:
    return number is not None and math.isfinite(number)


LETTERS = {name: name[0] for name in COLOURS}


def heat_map(rows: Sequence[Row], path: Path, ask: Asked, response: str = "swd") -> Path | None:
    """A response over weight and learning rate at β₁ = .9, with the verdicts' letters; None without such runs."""
    rates = ask.content.get("rates", {})
    own = [r for r in matching(rows, ask.plain) if r[ask.factor] in rates]
    names = [
        loss for loss in losses(own) if {"warm", "cool"} & {r[ask.factor] for r in own if r["loss"] == loss}
    ]
    if not names:
        return None
    weights = sorted({str(r["mse"]) for r in own if r["loss"] in names and r[ask.factor] != "hot"}, key=float)
    with paper_figure(path, (1.05 * len(weights) * len(names) + 1.6, 3.1)) as figure:
        grid = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, loss in zip(grid, names, strict=True):
            values = np.full((len(rates), len(weights)), math.nan)
            places = [(i, j, heat, w) for i, heat in enumerate(rates) for j, w in enumerate(weights)]
            for i, j, heat, weight in places:
                cell = matching(own, {"loss": loss, ask.factor: heat, "mse": weight})
                known = [r[response] for r in cell if _known(r[response])]
                values[i, j] = np.median(known) if known else math.nan
            middle = math.sqrt(np.nanmin(values) * np.nanmax(values))
            for i, j, heat, weight in places:
                cell = matching(own, {"loss": loss, ask.factor: heat, "mse": weight})
                letters = "".join(LETTERS[str(r["verdict"])] for r in cell)
                colour = "white" if values[i, j] > middle else "black"
                axes.text(j, i, letters, ha="center", va="center", fontsize=8, color=colour)
            image = axes.imshow(values, cmap="viridis_r", aspect="auto", norm="log", origin="lower")
            axes.set_xticks(range(len(weights)), weights)
            axes.set_yticks(range(len(rates)), [lr(rate) for rate in rates.values()])
            axes.set_xlabel("weight of mse")
            axes.set_ylabel("learning rate of both players")
            axes.set_title(f"{loss}, β₁ = .9")
            axes.grid(False)
            figure.colorbar(image, ax=axes, label=TITLES[response])
    return path


def tricks(asked: Sequence[Question], path: Path, responses: Sequence[str]) -> Path | None:
    """Effects of every trick without a distortion and beside one; filled: significant. None without tricks."""
    sides = {"without": RED, "beside": BLUE}
    own = [q for q in asked if q.kind in sides]
    names = [
        (q.subject, e.name)
        for q in own
        if q.kind == "without"
        for e in q.effects
        if e.response == responses[0] and not e.name.startswith("all")
    ]
    settings = list(dict.fromkeys(name.partition(" (")[2] for _, name in names))
    names.sort(key=lambda pair: settings.index(pair[1].partition(" (")[2]))
    if not names:
        return None
    with paper_figure(path, (2.6 * len(responses) + 1.6, 0.27 * len(names) + 1.2)) as figure:
        grid = figure.subplots(1, len(responses), squeeze=False, sharey=True)[0]
        for axes, response in zip(grid, responses, strict=True):
            for question in own:
                shift = -0.16 if question.kind == "without" else 0.16
                for e in (e for e in question.effects if e.response == response):
                    if (question.subject, e.name) in names:
                        place = names.index((question.subject, e.name)) + shift
                        _dot(axes, e, place, sides[question.kind])
            _effect_axes(axes, response, [f"{trick}: {cell}" for trick, cell in names])
        for label, colour in (("no distortion", RED), ("beside mse=1", BLUE)):
            grid[0].plot([], [], "o-", color=colour, label=label)
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return path


def forest(question: Question, path: Path) -> Path:
    """Effects with their intervals, a panel for each response; filled: significant after Holm's correction."""
    responses = list(dict.fromkeys(e.response for e in question.effects))
    names = list(dict.fromkeys(e.name for e in question.effects))
    with paper_figure(path, (1.9 * len(responses) + 1.2, 0.3 * len(names) + 1.1)) as figure:
        grid = figure.subplots(1, len(responses), squeeze=False, sharey=True)[0]
        for axes, response in zip(grid, responses, strict=True):
            for place, name in enumerate(names):
                (e,) = (e for e in question.effects if (e.name, e.response) == (name, response))
                _dot(axes, e, place, GREY if not e.significant else (BLUE if e.effect < 0 else RED))
            _effect_axes(axes, response, names)
        grid[0].set_ylim(len(names) - 0.5, -0.5)
    return path


RATIO_TICKS = (10, 5, 2)  # the furthest that fits is labelled, and its inverse


def _dot(axes: Any, e: Effect, place: float, colour: str) -> None:
    if not e.measured:
        if math.isfinite(e.effect):
            axes.text(1, place, "beyond measurement", ha="center", va="bottom", fontsize=7, color=GREY)
        return
    middle, low, high = (
        np.exp((e.effect, e.low, e.high)) if e.response in RATIOS else (e.effect, e.low, e.high)
    )
    if math.isfinite(e.low):
        axes.plot([low, high], [place, place], color=colour, linewidth=1.3)
    face = colour if e.significant else "white"
    axes.plot(middle, place, "o", color=colour, markerfacecolor=face, markersize=4)


def _effect_axes(axes: Any, response: str, names: Sequence[str]) -> None:
    ratio = response in RATIOS
    axes.axvline(1 if ratio else 0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set_title(TITLES[response], fontsize=9)
    axes.set_yticks(range(len(names)), names)
    if ratio:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        reach = max(high, 1 / low, RATIO_TICKS[-1])
        axes.set_xlim(1 / reach, reach)
        furthest = next(t for t in RATIO_TICKS if t <= reach)
        ticks = (1 / furthest, 1, furthest)
        axes.set_xticks(ticks, [f"×{t:g}" for t in ticks])
        axes.minorticks_off()
    axes.tick_params(labelsize=8.5)
    axes.set_xlabel("ratio" if ratio else "difference", fontsize=8.5)


def curves(
    points: Mapping[str, Sequence[Mapping[str, Any]]], rows: Sequence[Row], path: Path, ask: Asked
) -> Path | None:
    """SWD over the updates of seed 0, for each loss and setting: four lines, mse and r1; None without runs."""
    names, settings = losses(rows), ask.found(rows)
    if not settings:
        return None
    arms = [("0", "none", RED, "-"), ("0", "r1", RED, ":"), ("1", "none", BLUE, "-"), ("1", "r1", BLUE, ":")]
    with paper_figure(path, (max(4.8, 2.1 * len(names) + 0.6), 2.0 * len(settings) + 0.4)) as figure:
        grid = figure.subplots(len(settings), len(names), squeeze=False, sharex=True, sharey="row")
        for line, heat in zip(grid, settings, strict=True):
            for axes, loss in zip(line, names, strict=True):
                for mse, trick, colour, dashes in arms:
                    own = {**FIXED, "loss": loss, ask.factor: heat, "mse": mse, "trick": trick}
                    for row in (r for r in matching(rows, own) if r["seed"] == 0):
                        seen = [p for p in points[row["name"]] if _known(p["val/swd"])]
                        label = f"mse={mse}{', r1' if trick == 'r1' else ''}"
                        steps, values = [p["step"] for p in seen], [p["val/swd"] for p in seen]
                        axes.plot(steps, values, color=colour, linestyle=dashes, label=label)
                _logarithmic(axes)
            line[0].set_ylabel(f"{ask.label(heat)}\nSWD")
        for axes, loss in zip(grid[0], names, strict=True):
            axes.set_title(loss)
        for axes in grid[-1]:
            axes.set_xlabel("update")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return path
