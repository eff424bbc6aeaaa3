"""The two figures of a run: a panel of reconstructions and the curves.

Scales that a reader compares between figures are fixed and printed: nothing is stretched to its own minimum
and maximum. matplotlib is imported when the first figure is drawn, and its global state is left alone.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gcn.files.atomic import make_folder, replacing
from gcn.metrics.stability import TOO_SHORT
from gcn.report.panel_tiles import Tile, written

Pixels = NDArray[np.uint8]
Rows = Sequence[Mapping[str, Any]]

ERROR_LIMIT = 64  # grey levels of 255 at which the error's scale ends
LOGIT_LIMIT = 4.0  # logits at which D's scale ends, on both sides: a probability of .982
ERROR_COLOURS, LOGIT_COLOURS = "magma", "RdBu"  # blue: D takes it for real
SMALLEST_TILE = 192  # pixels; smaller images are magnified by a whole number
NARROWEST = 96  # pixels of a column, for its heading and its scale
DPI = 100
COLOURS = 256  # of a chart's PNG: its lines have a dozen, the rest smooths their edges

BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, PINK, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#785ef0", "#8c564b", "#cc79a7", "#555555",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, PINK, GREY)
VERDICT_COLOURS = {
    "stable": GREEN, "oscillating": ORANGE, "diverged": RED, "collapsed": RED, TOO_SHORT: GREY,
}  # fmt: skip
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class PanelRow:
    """One image of a panel.

    Args:
        name: of the image.
        x: original (3, H, W) in [0, 1].
        x_hat: reconstruction (3, H, W), clamped here.
        d_map: D's logits (h, w) on the reconstruction, or None.
        psnr: in dB, of what the caption speaks of (the whole image, where the row shows a part).
        bpp: bits per pixel, of the same image or part.
    """

    name: str
    x: Tensor
    x_hat: Tensor
    d_map: Tensor | None = None
    psnr: float | None = None
    bpp: float | None = None

    def caption(self) -> str:
        """Name, PSNR and rate of the image, as far as they are known."""
        parts = [self.name]
        if self.psnr is not None:
            parts.append(f"{self.psnr:.2f} dB")
        if self.bpp is not None:
            parts.append(f"{self.bpp:.3f} bpp")
        return "   ".join(parts)


def panel(path: str | os.PathLike[str], rows: Sequence[PanelRow], title: str = "") -> Path:
    """Draw original, reconstruction, error and D's map, a row an image, as a PNG.

    The first two columns hold the very 8-bit pixels of ``x`` and of the clamped ``x_hat``, magnified by a
    whole number where images are small. The error is the mean over channels of |x − x_hat| from 0 to 64 grey
    levels, D's map shows logits from −4 (fake, red) to 4 (real, blue); both scales are the same in every
    panel. Without any ``d_map`` there is no fourth column. The file says where originals and reconstructions are, see
    :mod:`gcn.report.panel_tiles`.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    if not rows:
        raise ValueError("a panel needs at least one row")
    largest = max(max(row.x.shape[-2:]) for row in rows)
    zoom = max(1, -(-SMALLEST_TILE // largest))
    wide = max(NARROWEST, *(zoom * row.x.shape[-1] for row in rows))
    columns = ["original", "reconstruction", "error |x − x̂|"]
    if any(row.d_map is not None for row in rows):
        columns.append("D's logits on x̂")
    left, gap, top, caption, foot = 12, 10, 34 + 22 * bool(title), 26, 46
    width = 2 * left + len(columns) * wide + (len(columns) - 1) * gap
    tops = list(accumulate((zoom * row.x.shape[-2] + caption for row in rows), initial=top))
    height = tops.pop() + foot

    figure = Figure((width / DPI, height / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, **options: Any) -> None:
        figure.text(x / width, 1 - y / height, text, va="center", **options)

    if title:
        write(left, 18, title, fontsize=10, color=GREY)
    starts = [left + index * (wide + gap) for index in range(len(columns))]
    for start, column in zip(starts, columns, strict=True):
        write(start, top - 12, column, fontsize=10, weight="bold")
    for row, y in zip(rows, tops, strict=True):
        write(left, y + zoom * row.x.shape[-2] + 11, row.caption(), fontsize=9, color=GREY)

    inset = 12  # room for the outermost numbers of the scales
    bars = [
        (ERROR_COLOURS, 0.0, float(ERROR_LIMIT), "grey levels of 255"),
        (LOGIT_COLOURS, -LOGIT_LIMIT, LOGIT_LIMIT, "← fake    logit    real →"),
    ]
    for start, (colours, low, high, label) in zip(starts[2:], bars, strict=False):
        axes = figure.add_axes(((start + inset) / width, 38 / height, (wide - 2 * inset) / width, 8 / height))
        axes.imshow(np.linspace(0, 1, 256)[None], cmap=colours, aspect="auto", extent=(low, high, 0, 1))
        axes.set_yticks([])
        axes.set_xticks(np.linspace(low, high, 5))
        axes.tick_params(labelsize=8, length=2, colors=GREY)
        axes.set_xlabel(label, fontsize=8, color=GREY, labelpad=1)
        for spine in axes.spines.values():
            spine.set_visible(False)

    canvas.draw()
    page = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    places = []
    for row, y in zip(rows, tops, strict=True):
        for start, tile in zip(starts, _tiles(row, colormaps), strict=False):
            large = tile.repeat(zoom, 0).repeat(zoom, 1)
            page[y : y + large.shape[0], start : start + large.shape[1]] = large
        high, across = (zoom * side for side in row.x.shape[-2:])
        boxes = [(start, y, start + across, y + high) for start in starts[:2]]
        places.append(Tile(row.caption(), boxes[0], boxes[1]))
    return _save(Path(path), Image.fromarray(page), places)


def to_pixels(x: Tensor) -> Pixels:
    """8-bit pixels (H, W, 3) of (3, H, W) in [0, 1]: clamped and rounded."""
    return x.detach().cpu().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def _tiles(row: PanelRow, colormaps: Any) -> list[Pixels]:
    x, x_hat = to_pixels(row.x), to_pixels(row.x_hat)
    error = np.abs(x.astype(float) - x_hat).mean(axis=2) / ERROR_LIMIT
    tiles = [x, x_hat, colormaps[ERROR_COLOURS](error, bytes=True)[..., :3]]
    if row.d_map is not None:
        logits = row.d_map.detach().cpu().float().numpy()
        position = [
            np.arange(side) * cells // side for side, cells in zip(x.shape[:2], logits.shape, strict=True)
        ]
        scaled = (logits[np.ix_(*position)] / LOGIT_LIMIT + 1) / 2
        tiles.append(colormaps[LOGIT_COLOURS](scaled, bytes=True)[..., :3])
    return tiles


def _save(path: Path, image: Any, places: Sequence[Tile]) -> Path:
    make_folder(path.parent)
    with replacing(path) as partial:
        image.save(partial, "PNG", pnginfo=written(places))
    return path


# Curves


def curves(path: str | os.PathLike[str], rows: Rows, verdict: Any = None) -> Path:
    """Draw the curves of a run from the rows of its ``metrics.csv``: six plots over the generator's updates.

    Args:
        path: of the PNG. rows: mappings with ``step``; what was not measured may be missing, None or NaN.
        verdict: a :class:`gcn.metrics.stability.Verdict` for the title, or None. Unless stable, its step is
        marked.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure((11, 6.4), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        plots = figure.subplots(2, 3, sharex=True)
        for axes, draw in zip(plots.flat, PLOTS, strict=True):
            if not draw(axes, rows):
                axes.text(0.5, 0.6, "not measured", transform=axes.transAxes, ha="center", color="#aaaaaa")
                axes.set_yticks([])
            if verdict is not None and verdict.name not in ("stable", TOO_SHORT):
                axes.axvline(verdict.step, color=VERDICT_COLOURS[verdict.name], linewidth=0.8, linestyle=":")
        for axes in plots[1]:
            axes.set_xlabel("generator updates")
        if verdict is not None:
            headline = f"{verdict.name}, step {verdict.step}: {verdict.reason}"
            figure.suptitle(
                headline, x=0.01, ha="left", fontsize=11, wrap=True, color=VERDICT_COLOURS[verdict.name]
            )
        return save_png(figure, Path(path))


def save_png(figure: Any, path: Path, colours: int | None = COLOURS) -> Path:
    """Write what is drawn on an Agg canvas as a PNG, at a quarter of the size of matplotlib's own.

    Args:
        figure: of matplotlib, on a ``FigureCanvasAgg``.
        path: of the file; folders are made.
        colours: size of the palette, at most 256; None keeps every colour, for figures of photographs.
    """
    from PIL import Image

    make_folder(path.parent)
    with replacing(path) as partial:
        figure.canvas.draw()  # once, where savefig draws three times
        image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
        if colours is not None:
            image = image.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
            palette = image.getpalette() or []
            image.putpalette(
                [255 if value > 251 else value for value in palette]
            )  # means of white and nearly white
        image.save(partial, "PNG", optimize=True, dpi=(figure.dpi, figure.dpi))
    return path


def _series(rows: Rows, name: str) -> tuple[list[float], list[float]]:
    measured = [
        (row["step"], row[name]) for row in rows if row.get(name) is not None and np.isfinite(row[name])
    ]
    return [step for step, _ in measured], [value for _, value in measured]


def _plot(axes: Any, rows: Rows, name: str, **options: Any) -> bool:
    steps, values = _series(rows, name)
    if steps:
        axes.plot(steps, values, marker="o" if len(steps) < 25 else None, markersize=3, **options)
    return bool(steps)


def _legend(axes: Any) -> bool:
    """Draw a legend of the curves; returns whether there are any."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles=handles, ncols=2 if len(handles) > 4 else 1, handlelength=1.5, columnspacing=1)
    return bool(handles)


def _names(rows: Rows, prefix: str) -> list[str]:
    """Columns directly below a prefix, in the order of their appearance."""
    seen = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    return [name for name in seen if "/" not in name.removeprefix(prefix)]


def _terms(axes: Any, rows: Rows) -> bool:
    axes.set_title("terms, unweighted (G solid, D dashed)")
    skip = {"grad_norm", "total", "logit_real", "logit_fake", "logit_gap", "accuracy"}
    drawn = []
    for player, line in (("g", "-"), ("d", "--")):
        names = [name for name in _names(rows, f"train/{player}/") if name.rsplit("/", 1)[1] not in skip]
        for name, colour in zip(names, CYCLE * len(names), strict=False):
            label = f"{player.upper()} {name.rsplit('/', 1)[1]}"
            if _plot(axes, rows, name, label=label, color=colour, linestyle=line):
                drawn += _series(rows, name)[1]
    if drawn and max(map(abs, drawn)) > 0:
        positive = [abs(value) for value in drawn if value]
        if min(drawn) > 0:
            axes.set_yscale("log")
        elif max(positive) > 100 * float(np.median(positive)):
            axes.set_yscale("symlog", linthresh=1.0)
    return _legend(axes)


def _logits(axes: Any, rows: Rows) -> bool:
    axes.set_title("D's mean logits (high: real)")
    axes.axhline(0, color=GREY, linewidth=0.6)
    for name, label, colour in (("real", "x", BLUE), ("fake", "x̂", RED), ("gap", "gap", GREY)):
        _plot(axes, rows, f"train/d/logit_{name}", label=label, color=colour)
    return _legend(axes)


def _gradients(axes: Any, rows: Rows) -> bool:
    axes.set_title("norms of the parameters' gradients")
    names = {"train/g/grad_norm": BLUE, "train/d/grad_norm": RED}
    if any(value > 0 for name in names for value in _series(rows, name)[1]):
        axes.set_yscale("log", nonpositive="mask")
    for name, colour in names.items():
        _plot(axes, rows, name, label=name.split("/")[1].upper(), color=colour)
    return _legend(axes)


def _pair(axes: Any, rows: Rows, left: str, first: Mapping[str, float], right: str, second: str) -> bool:
    """Draw quantities (with opacities) on the left axis and one on the right; the labels' colours are the legend."""
    other = axes.twinx()
    other.grid(False)
    drawn = [_plot(axes, rows, name, color=BLUE, alpha=opacity) for name, opacity in first.items()]
    drawn.append(_plot(other, rows, second, color=ORANGE))
    for layer, label, colour in ((axes, left, BLUE), (other, right, ORANGE)):
        layer.set_ylabel(label, color=colour)
        layer.tick_params(axis="y", colors=colour)
    if not drawn[-1]:
        other.set_yticks([])
    return any(drawn)


def _rate_distortion(axes: Any, rows: Rows) -> bool:
    axes.set_title("distortion and rate")
    psnr = {"train/psnr": 0.35, "val/psnr": 1.0}
    return _pair(axes, rows, "PSNR, dB (pale: train)", psnr, "bits per pixel", "val/bpp")


def _realism(axes: Any, rows: Rows) -> bool:
    axes.set_title("realism and jitter")
    swd = {"val/swd": 1.0, "val/swd_floor": 0.35}
    return _pair(axes, rows, "sliced Wasserstein (pale: floor)", swd, "jitter, grey levels", "val/jitter")


def _cosines(axes: Any, rows: Rows) -> bool:
    axes.set_title("cosines of G's gradients at x̂")
    axes.set_ylim(-1.05, 1.05)
    axes.axhline(0, color=GREY, linewidth=0.6)
    names = _names(rows, "train/g/cosine/")
    for name, colour in zip(names, CYCLE * len(names), strict=False):
        _plot(axes, rows, name, label=name.rsplit("/", 1)[1], color=colour)
    return _legend(axes)


PLOTS = (_terms, _logits, _gradients, _rate_distortion, _realism, _cosines)
