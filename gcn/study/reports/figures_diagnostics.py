"""Figures of diagnostics: reconstructions at equal bits, and eigenvalues of stable and unstable runs."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gcn.report.paper import paper_figure
from gcn.study.reports.contrasts import Asked
from gcn.study.reports.figures import TRICKS
from gcn.study.reports.statistics import Row


def crops(looks: Sequence[Mapping[str, Any]], rows: Sequence[Row], path: Path, ask: Asked) -> Path | None:
    """Reconstructions of the same crops from the same bits: the image, before the game, then arms of seed 0."""
    seen = {str(look["name"]): look["crops"] for look in looks if look["crops"]}
    known = {str(row["name"]): row for row in rows}
    shown = [(name.split()[0], seen[name]) for name in ("x 0", "start 0") if name in seen]
    shown += [(_label(known[name], ask), seen[name]) for name in seen if name in known]
    if len(shown) < 3:
        return None
    side, across = len(shown[0][1]), -(-len(shown) // 2)
    size = (1.25 * across + 0.2, 2 * (1.2 * side + 0.45))
    with paper_figure(path, size, dpi=105, colours=None) as figure:
        grid = figure.subplots(2 * side, across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, (label, images) in enumerate(shown):
            half, column = divmod(place, across)
            for line, image in enumerate(images):
                axes = grid[half * side + line][column]
                axes.imshow(np.asarray(Image.open(io.BytesIO(image))), interpolation="nearest")
                if line == 0:
                    axes.set_title(label, fontsize=7)
    return path


def _label(row: Row, ask: Asked) -> str:
    trick = "" if row["trick"] == "none" else f", {row['trick']}"
    heat = str(row[ask.factor])
    return f"{row['loss']}, {ask.label(heat)}\nmse={row['mse']}{trick}\n{row['verdict']}"


def eigenvalues(
    looks: Sequence[Mapping[str, Any]], rows: Sequence[Row], path: Path, ask: Asked
) -> Path | None:
    """Ritz values of the game's Jacobian at the end of arms: what has converged is filled."""
    known = {str(row["name"]): row for row in rows}
    own = [
        (known[str(look["name"])], look) for look in looks if look["eigenvalues"] and look["name"] in known
    ]
    if not own:
        return None
    names = list(dict.fromkeys(str(row["loss"]) for row, _ in own))
    columns = [(heat, mse) for heat in ask.settings for mse in ("0", "1")]
    with paper_figure(path, (2.3 * len(columns) + 0.6, 2.3 * len(names) + 0.5)) as figure:
        grid = figure.subplots(len(names), len(columns), squeeze=False)
        for line, loss in zip(grid, names, strict=True):
            for axes, (heat, mse) in zip(line, columns, strict=True):
                said = []
                for row, look in own:
                    if (row["loss"], row[ask.factor], row["mse"]) != (loss, heat, mse):
                        continue
                    colour = dict(TRICKS)[row["trick"]]
                    real, imaginary, residual = np.array(look["eigenvalues"]).T
                    sure = residual < 0.05
                    axes.plot(real[~sure], imaginary[~sure], ".", color=colour, alpha=0.15, markersize=3)
                    axes.plot(real[sure], imaginary[sure], "o", color=colour, markersize=3)
                    label = "no trick" if row["trick"] == "none" else str(row["trick"])
                    said.append(f"{label}: {row['verdict']}, rotation {look['rotation']:.2g}")
                axes.set_title("\n".join([f"{loss}, {ask.label(heat)}, mse={mse}", *said]), fontsize=7)
                axes.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
                axes.locator_params(axis="x", nbins=5)
                axes.tick_params(labelsize=7)
            line[0].set_ylabel("Im λ")
        for axes in grid[-1]:
            axes.set_xlabel("Re λ")
        for trick, colour in TRICKS:
            grid[0][0].plot(
                [], [], "o", color=colour, markersize=3, label="no trick" if trick == "none" else trick
            )
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8)
    return path
