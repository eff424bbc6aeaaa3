"""Figure of a margin: bits of the judge against what is raised, for a game and its twin, with the limit of holding."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.report.plots import GREY, save_png

COLOURS = ("tab:blue", "tab:orange")
TOP = 1.0  # bits of a classifier that is always right; runs that are not finite are drawn there
LABELS = {"lr": "learning rate of G", "adv": "weight of the adversarial loss"}
COLUMNS = {"lr": "h", "adv": "adv"}


def draw(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], record: Mapping[str, Any]) -> Path:
    """Draw the runs of each arm: the largest bits of its judged looks, filled where it holds; arrows at the margins.

    Args:
        path: of the PNG.
        rows: by arm, as in a study's table.
        record: of ``margin.json``: ``axis``, ``b0``, ``limit`` and ``margins``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes, column = figure.subplots(), COLUMNS[record["axis"]]
    for (arm, own), colour in zip(rows.items(), COLOURS, strict=False):
        points = sorted((row[column], worst(row), row["holds"] > 0) for row in own)
        axes.plot([x for x, *_ in points], [y for _, y, _ in points], color=colour, linewidth=1, alpha=0.5)
        for x, y, holds in points:
            face = colour if holds else "white"
            axes.plot(x, y, "o", color=colour, markerfacecolor=face, markersize=6)
        (found,) = [margin for margin in record["margins"] if margin["arm"] == arm]
        axes.plot([], [], "o-", color=colour, label=_label(arm, found))
        if math.isfinite(found["margin"]):
            axes.axvline(found["margin"], color=colour, linewidth=1, linestyle="--")
    b0, limit = record["b0"], record["limit"]
    axes.axhspan(b0, limit, color=GREY, alpha=0.15, linewidth=0)
    axes.axhline(limit, color=GREY, linewidth=1, label=f"limit; reference {b0:.3f}")
    axes.set_xscale("log")
    highest = max(limit, *(worst(row) for own in rows.values() for row in own))
    axes.set_ylim(0, min(1.05 * TOP, 1.4 * highest))
    axes.set_xlabel(LABELS[record["axis"]])
    axes.set_ylabel("bits, largest of the judged looks\n0: cannot tell, 1: always right")
    axes.set_title("Filled: the run holds. Dashed: the margin.", fontsize=10, loc="left")
    axes.legend(fontsize=8, loc="upper left", framealpha=0.9)
    return save_png(figure, path)


def worst(row: Mapping[str, Any]) -> float:
    """Largest bits at the judged looks of a run; ``TOP`` for one that is not finite."""
    bits = [row[name] for name in row if name.startswith("bits_") and row[name] is not None]
    finite = [value for value in bits if math.isfinite(value)]
    return TOP if row["verdict"] == "diverged" or not finite else max(finite)


def _label(arm: str, found: Mapping[str, Any]) -> str:
    if found["below"]:
        return f"{arm}: no margin, below the lowest value"
    return f"{arm}: margin {'>= ' * found['above']}{found['margin']:.3g}"
