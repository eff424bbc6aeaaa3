"""The panel of reconstructions of a run, and what all figures have in common: colours, and how a chart is written.

Scales that a reader compares between figures are fixed and printed: nothing is stretched to its own minimum
and maximum. Panels, which a run draws while it trains, need Pillow alone; matplotlib is imported for charts.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gcn.files.atomic import make_folder, replacing
from gcn.metrics.stability import TOO_SHORT
from gcn.report.colour_scales import coloured
from gcn.report.panel_tiles import Tile, written

Pixels = NDArray[np.uint8]

ERROR_LIMIT = 64  # grey levels of 255 at which the error's scale ends
LOGIT_LIMIT = 4.0  # logits at which D's scale ends, on both sides: a probability of .982
ERROR_COLOURS, LOGIT_COLOURS = "magma", "RdBu"  # blue: D takes it for real
SMALLEST_TILE = 192  # pixels; smaller images are magnified by a whole number
NARROWEST = 96  # pixels of a column, for its heading and its scale
COLOURS = 256  # of a chart's PNG: its lines have a dozen, the rest smooths their edges

GREY = "#555555"
BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, PINK = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#785ef0", "#8c564b", "#cc79a7",
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

    page = Image.new("RGB", (width, height), "white")
    _write(page, (left, 18), title, 14)
    starts = [left + index * (wide + gap) for index in range(len(columns))]
    for start, column in zip(starts, columns, strict=True):
        _write(page, (start, top - 12), column, 14, colour="black", bold=True)
    for row, y in zip(rows, tops, strict=True):
        _write(page, (left, y + zoom * row.x.shape[-2] + 11), row.caption(), 13)
    bars = [
        (ERROR_COLOURS, 0.0, float(ERROR_LIMIT), "grey levels of 255"),
        (LOGIT_COLOURS, -LOGIT_LIMIT, LOGIT_LIMIT, "← fake    logit    real →"),
    ]
    for start, bar in zip(starts[2:], bars, strict=False):
        _bar(page, start + 12, wide - 24, *bar)  # room for the outermost numbers
    places = []
    for row, y in zip(rows, tops, strict=True):
        for start, tile in zip(starts, _tiles(row), strict=False):
            page.paste(Image.fromarray(tile.repeat(zoom, 0).repeat(zoom, 1)), (start, y))
        high, across = (zoom * side for side in row.x.shape[-2:])
        boxes = [(start, y, start + across, y + high) for start in starts[:2]]
        places.append(Tile(row.caption(), boxes[0], boxes[1]))
    return _save(Path(path), page, places)


def _bar(page: Image.Image, left: int, width: int, name: str, low: float, high: float, label: str) -> None:
    """Draw a colour scale with five numbers at the foot of a page."""
    top = page.height - 46
    page.paste(Image.fromarray(coloured(np.linspace(0, 1, width)[None].repeat(8, 0), name)), (left, top))
    for part in range(5):
        x = left + part * (width - 1) / 4
        ImageDraw.Draw(page).line([(x, top + 8), (x, top + 10)], fill=GREY)
        number = f"{low + part * (high - low) / 4:g}".replace("-", "−")
        _write(page, (x, top + 18), number, 11, anchor="mm")
    _write(page, (left + width / 2, top + 34), label, 11, anchor="mm")


def _write(
    page: Image.Image, place: tuple[float, float], text: str, size: int, colour: str = GREY, bold: bool = False,
    anchor: str = "lm",
) -> None:  # fmt: skip
    """Write a line of text; ``anchor`` as in Pillow: ``lm`` puts its left end, at half of its height, at the place."""
    ImageDraw.Draw(page).text(place, text, fill=colour, font=_font(size, bold), anchor=anchor)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans as matplotlib brings it, or Pillow's own font; ``size`` in pixels."""
    spec = find_spec("matplotlib")
    name = f"mpl-data/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
    if spec is not None and spec.origin is not None and (file := Path(spec.origin).parent / name).is_file():
        return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)


def to_pixels(x: Tensor) -> Pixels:
    """8-bit pixels (H, W, 3) of (3, H, W) in [0, 1]: clamped and rounded."""
    return x.detach().cpu().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def _tiles(row: PanelRow) -> list[Pixels]:
    x, x_hat = to_pixels(row.x), to_pixels(row.x_hat)
    error = np.abs(x.astype(float) - x_hat).mean(axis=2) / ERROR_LIMIT
    tiles = [x, x_hat, coloured(error, ERROR_COLOURS)]
    if row.d_map is not None:
        logits = row.d_map.detach().cpu().float().numpy()
        position = [
            np.arange(side) * cells // side for side, cells in zip(x.shape[:2], logits.shape, strict=True)
        ]
        scaled = (logits[np.ix_(*position)] / LOGIT_LIMIT + 1) / 2
        tiles.append(coloured(scaled, LOGIT_COLOURS))
    return tiles


def _save(path: Path, image: Any, places: Sequence[Tile]) -> Path:
    make_folder(path.parent)
    with replacing(path) as partial:
        image.save(partial, "PNG", pnginfo=written(places))
    return path


def save_png(figure: Any, path: Path, colours: int | None = COLOURS) -> Path:
    """Write what is drawn on an Agg canvas as a PNG, at a quarter of the size of matplotlib's own.

    Args:
        figure: of matplotlib, on a ``FigureCanvasAgg``.
        path: of the file; folders are made.
        colours: size of the palette, at most 256; None keeps every colour, for figures of photographs.
    """
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
