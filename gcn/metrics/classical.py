"""JPEG as the yardstick: real file bytes on both sides, compared at the same bits per pixel."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gcn.metrics.distortion import psnr, to_uint8

QUALITIES = tuple(range(5, 96, 5))


class Point(NamedTuple):
    """One setting of a codec on a set of images."""

    quality: int
    bpp: float  # all bits of all files / all pixels
    psnr: float  # dB, mean over images


def jpeg(x: Tensor, quality: int, optimize: bool) -> tuple[bytes, Tensor]:
    """Code one image (3, H, W) in [0, 1] as JPEG; returns the whole file and its decoded pixels (3, H, W) in
    [0, 1].
    """
    pixels = to_uint8(x).permute(1, 2, 0).cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=optimize)
    decoded = np.array(Image.open(io.BytesIO(buffer.getvalue())))
    return buffer.getvalue(), torch.from_numpy(decoded).permute(2, 0, 1).float() / 255


def jpeg_curve(images: Sequence[Tensor], optimize: bool, qualities: Sequence[int] = QUALITIES) -> list[Point]:
    """Rate-distortion curve of baseline JPEG 4:2:0 through Pillow with its default quantisation tables.

    Args:
        images: (3, H, W) in [0, 1], of any sizes; rounded to 8 bits before coding and before comparing.
        optimize: with Huffman tables fitted to each file (``optimize=True``) or the standard's tables.
        qualities: Pillow's quality settings.

    Returns:
        One point per quality, by increasing rate. Rate is pooled (total bits, headers included / total
        pixels), PSNR is the mean of the images' PSNRs in dB.
    """
    originals = [to_uint8(x).float() / 255 for x in images]
    pixels = sum(x.shape[-2] * x.shape[-1] for x in originals)
    curve = []
    for quality in qualities:
        files, decoded = zip(*(jpeg(x, quality, optimize) for x in originals), strict=True)
        values = [
            float(psnr(x[None].cpu(), x_hat[None])) for x, x_hat in zip(originals, decoded, strict=True)
        ]
        curve.append(Point(quality, 8 * sum(map(len, files)) / pixels, sum(values) / len(values)))
    return sorted(curve, key=lambda point: point.bpp)


def psnr_at(curve: Sequence[Point], bpp: float) -> float:
    """PSNR in dB of a codec at a rate, interpolated linearly in log(bpp) between neighbouring qualities.

    NaN outside the curve: an extrapolated codec does not exist.
    """
    points = sorted(curve, key=lambda point: point.bpp)
    if not points or not points[0].bpp <= bpp <= points[-1].bpp:
        return math.nan
    rates, values = [math.log(point.bpp) for point in points], [point.psnr for point in points]
    return float(np.interp(math.log(bpp), rates, values))
