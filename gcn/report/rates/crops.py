"""Crops side by side, at rates that match."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcn.report.paper import named, paper_figure

Pixels = NDArray[np.uint8]  # (H, W, 3), or (H, W) of a grey image
SIDE = 96  # pixels of a crop
MOST = 3  # crops
STEP = 16  # pixels between the squares that are compared; divides SIDE


class Column(NamedTuple):
    """One codec at the setting nearest to the common rate: its crops and their titles."""

    title: str
    bpp: float
    crops: Sequence[Pixels]


class Crop(NamedTuple):
    """Position of a crop in an image."""

    image: int
    top: int
    left: int

    def of(self, picture: Pixels) -> Pixels:
        """The pixels of the crop in an image, copied."""
        return picture[self.top : self.top + SIDE, self.left : self.left + SIDE].copy()


def errors(original: Pixels, picture: Pixels) -> NDArray[np.float64]:
    """Mean squared error in all squares of ``SIDE`` pixels, at every ``STEP`` pixels; empty for a small image."""
    rows, columns = (length // STEP for length in original.shape[:2])
    blocks, channels = np.zeros((rows + 1, columns + 1)), math.prod(original.shape[2:])
    for row in range(rows):  # in strips: one number is left of 256 pixels
        strip = np.s_[row * STEP : (row + 1) * STEP, : columns * STEP]
        squared = (original[strip].astype(np.int64) - picture[strip]) ** 2
        blocks[row + 1, 1:] = squared.reshape(STEP, columns, STEP * channels).sum(axis=(0, 2))
    total, side = blocks.cumsum(0).cumsum(1), SIDE // STEP
    boxes = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return boxes / (SIDE**2 * channels)


def choose(errors: Sequence[Sequence[NDArray[np.float64]]], most: int = MOST) -> list[Crop]:
    """Positions at which the codecs' errors differ most, one for each image, at most ``most``.

    The score of a square is the standard deviation over codecs of its root mean squared error.

    Args:
        errors: of each image, :func:`errors` of each codec.
        most: crops.
    """
    found: list[tuple[float, Crop]] = []
    for i, own in enumerate(errors):
        if not own or not own[0].size:
            continue
        spread = np.sqrt(np.stack(own)).std(axis=0)
        row, column = np.unravel_index(int(spread.argmax()), spread.shape)
        found.append((float(spread.max()), Crop(i, int(row) * STEP, int(column) * STEP)))
    found.sort(key=lambda pair: -pair[0])
    return [crop for _, crop in found[:most]]


def crop_figure(
    path: Path, originals: Sequence[Pixels], names: Sequence[str], columns: Sequence[Column]
) -> list[Path]:
    """Draw rows of crops at twice the size: the original, then each codec with its rate and PSNR.

    Args:
        path: of the files, without suffix.
        originals, names: crops of originals, and of which images they are.
        columns: codecs, with a crop for each original.
    """
    wide = len(columns) + 1
    with paper_figure(path, (1.55 * wide, 1.75 * len(originals) + 0.35), dpi=200, colours=None) as figure:
        grid = figure.subplots(len(originals), wide, squeeze=False)
        for i, (row, original) in enumerate(zip(grid, originals, strict=True)):
            for axes, column in zip(row, (None, *columns), strict=True):
                picture = _colours(original if column is None else column.crops[i])
                axes.imshow(np.kron(picture, np.ones((2, 2, 1), np.uint8)), interpolation="nearest")
                axes.set_axis_off()
                text = names[i] if column is None else _psnr(original, column.crops[i])
                axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.5)
        for axes, column in zip(grid[0], (None, *columns), strict=True):
            title = "original" if column is None else f"{column.title}\n{column.bpp:.3f} bit/pixel"
            axes.set_title(title, fontsize=7.5, loc="center")
    return [named(path, "png"), named(path, "svg")]


def _colours(picture: Pixels) -> Pixels:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def _psnr(x: Pixels, x_hat: Pixels) -> str:
    error = ((x.astype(np.float64) - x_hat) ** 2).mean()
    return f"{10 * np.log10(255**2 / error):.1f} dB here" if error else "exact here"
