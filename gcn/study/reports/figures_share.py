"""The first figure of a report: realism at the end against the adversary's share of the decoder's gradient."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.report.paper import paper_figure
from gcn.report.plots import GREY
from gcn.study.reports.answer import WEAK, Correlation, Points, number, relative_swd
from gcn.study.reports.contrasts import Asked
from gcn.study.reports.statistics import Row, matching

MARKERS = {
    "none": "o", "r1": "s", "gp": "^", "noise": "v", "spectral": "D", "pair": "P", "average": "X",
}  # fmt: skip
WITHOUT = "black"  # no distortion


def share(
    rows: Sequence[Row], points: Points, found: Sequence[Correlation], path: Path, ask: Asked
) -> Path | None:
    """A panel for each setting of the loss of ``found[0]``: a dot for each run; None where nothing was found.

    Colour is the weight of the distortion, the marker the trick, grey are runs with the anchor in place of mse.
    """
    if not found:
        return None
    loss = found[0].loss
    own = [row for row in matching(rows, {"loss": loss}) if row["control"] in ("none", "anchor")]
    weights = sorted({str(row["mse"]) for row in own if row["mse"] != "0"}, key=float)
    colours = dict(zip(weights, _colours(len(weights)), strict=True)) | {"0": WITHOUT}
    with paper_figure(path, (10.5, 4.4)) as figure:
        grid = figure.subplots(1, len(ask.settings), squeeze=False, sharey=True)[0]
        for axes, heat in zip(grid, ask.settings, strict=True):
            for row in matching(own, {ask.factor: heat}):
                _dot(axes, row, relative_swd(row, points), colours)
            axes.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
            axes.axvline(WEAK, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_yscale("log")
            axes.set_xlim(-0.02, 1.04)
            axes.set_xlabel("adversary's share of G's gradient at x̂")
            rho = [
                f" (ρ = {number(c.rho)}, {c.runs} runs)" for c in found if (c.loss, c.heat) == (loss, heat)
            ]
            axes.set_title(f"{loss}, {ask.label(heat)}{''.join(rho)}", fontsize=10)
        grid[0].set_ylabel("final SWD / SWD at the start")
        grid[0].set_yticks([0.7, 1, 2, 5, 10], ["0.7", "1", "2", "5", "10"])
        grid[0].minorticks_off()
        figure.legend(handles=_legend(own, colours), loc="outside right center", fontsize=9)
    return path


def _dot(axes: Any, row: Row, ratio: float, colours: dict[str, str]) -> None:
    if row["share"] is None or not (math.isfinite(row["share"]) and math.isfinite(ratio)):
        return
    colour = "#aaaaaa" if row["control"] == "anchor" else colours[str(row["mse"])]
    marker = MARKERS[_trick(row)]
    axes.plot(row["share"], ratio, marker, color=colour, markersize=5.5, alpha=0.8, markeredgewidth=0)


def _trick(row: Row) -> str:
    return str(row["trick"] if row["pairing"] == "none" else row["pairing"])


def _colours(number: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["plasma"](0.9 * place / max(number - 1, 1)) for place in range(number)]


def _legend(rows: Sequence[Row], colours: dict[str, str]) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(label: str, colour: str, marker: str) -> Any:
        return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)

    weights = [entry(f"mse={weight}", colours[weight], "o") for weight in sorted(colours, key=float)]
    anchors = [entry("anchor=1", "#aaaaaa", "o")] if matching(rows, {"control": "anchor"}) else []
    used = dict.fromkeys(_trick(row) for row in rows)
    tricks = [entry("no trick" if t == "none" else t, GREY, MARKERS[t]) for t in used]
    return [*weights, *anchors, *tricks]
