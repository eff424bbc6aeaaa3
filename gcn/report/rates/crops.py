"""Crops side by side, at rates that match: what numbers do not show."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcn.report.paper import named, paper_figure

Pixels = NDArray[np.uint8]
SIDE = 96  # pixels of a crop
MOST = 3  # crops


class Column(NamedTuple):
    """One codec at the setting nearest to the common rate: its pictures and what stands above them."""

    title: str
    bpp: float
    pictures: Sequence[Pixels]


class Crop(NamedTuple):
    """Where a crop lies."""

    image: int
    top: int
    left: int

    def of(self, picture: Pixels) -> Pixels:
        """The crop of an image."""
        return picture[self.top : self.top + SIDE, self.left : self.left + SIDE]


def choose(originals: Sequence[Pixels], columns: Sequence[Column], most: int = MOST) -> list[Crop]:
    """The places where the codecs' errors differ most, one for each image, at most ``most``; not chosen by hand.

    The score of a square is the standard deviation over codecs of its root mean squared error.
    """
    found: list[tuple[float, Crop]] = []
    for i, original in enumerate(originals):
        if min(original.shape[:2]) < SIDE:
            continue
        errors = np.stack([_errors(original, column.pictures[i]) for column in columns])
        spread = np.sqrt(errors).std(axis=0)
        row, column = np.unravel_index(int(spread.argmax()), spread.shape)
        found.append((float(spread.max()), Crop(i, int(row) * _STEP, int(column) * _STEP)))
    found.sort(key=lambda pair: -pair[0])
    return [crop for _, crop in found[:most]]


_STEP = 16


def _errors(original: Pixels, picture: Pixels) -> NDArray[np.float64]:
    """Mean squared error of all squares on a grid."""
    squared = ((original.astype(np.float64) - picture) ** 2).mean(axis=2)
    total = np.pad(squared.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = total[SIDE:, SIDE:] - total[:-SIDE, SIDE:] - total[SIDE:, :-SIDE] + total[:-SIDE, :-SIDE]
    return boxes[::_STEP, ::_STEP] / SIDE**2


def crop_figure(
    path: Path,
    originals: Sequence[Pixels],
    names: Sequence[str],
    columns: Sequence[Column],
    crops: Sequence[Crop],
) -> list[Path]:
    """Rows of crops, magnified twice without interpolation: the original, then each codec with its rate and PSNR."""
    wide = len(columns) + 1
    with paper_figure(path, (1.55 * wide, 1.75 * len(crops) + 0.35), dpi=200) as figure:
        grid = figure.subplots(len(crops), wide, squeeze=False)
        for row, crop in zip(grid, crops, strict=True):
            original = crop.of(originals[crop.image])
            for axes, column in zip(row, (None, *columns), strict=True):
                picture = original if column is None else crop.of(column.pictures[crop.image])
                axes.imshow(np.kron(picture, np.ones((2, 2, 1), np.uint8)), interpolation="nearest")
                axes.set_axis_off()
                text = names[crop.image] if column is None else f"{_psnr(original, picture):.1f} dB here"
                axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.5)
        for axes, column in zip(grid[0], (None, *columns), strict=True):
            title = "original" if column is None else f"{column.title}\n{column.bpp:.3f} bit/pixel"
            axes.set_title(title, fontsize=7.5, loc="center")
    return [named(path, "png"), named(path, "svg")]


def _psnr(x: Pixels, x_hat: Pixels) -> float:
    error = ((x.astype(np.float64) - x_hat) ** 2).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
