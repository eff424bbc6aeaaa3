"""Classical codecs as yardsticks: real file bytes on both sides, compared at the same bits per pixel."""

import importlib.util
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from gcn.errors import InputError
from gcn.metrics.distortion import psnr, to_uint8

QUALITIES = tuple(range(5, 96, 5))


class Point(NamedTuple):
    """One setting of a codec on a set of images."""

    quality: float
    bpp: float  # all bits of all files / all pixels
    psnr: float  # dB, mean over images


class Coded(NamedTuple):
    """One image through a codec: bytes of the whole file, and the pixels decoded from them."""

    file_bytes: int
    x_hat: Tensor  # (3, H, W) in [0, 1]


@dataclass(frozen=True)
class Classical:
    """A codec of Pillow (or of a plugin of it).

    Attributes:
        name: on the command line.
        title: in figures.
        format: Pillow's name.
        settings: by increasing rate.
        options: what Pillow's ``save`` is given for a setting and an image size.
        missing: what to do where Pillow lacks it.
    """

    name: str
    title: str
    format: str
    settings: tuple[float, ...]
    options: Callable[[float, tuple[int, int]], dict[str, Any]]
    missing: str = "install a Pillow that was built with it: pip install 'pillow>=11.3'"

    def code(self, x: Tensor, setting: float) -> Coded:
        """One image (3, H, W) in [0, 1], rounded to 8 bits, there and back."""
        pixels = to_uint8(x).permute(1, 2, 0).cpu().numpy()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(
            buffer, self.format, **self.options(setting, (pixels.shape[0], pixels.shape[1]))
        )
        decoded = np.array(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
        return Coded(len(buffer.getvalue()), torch.from_numpy(decoded).permute(2, 0, 1).float() / 255)


def _jpeg2000(bpp: float, size: tuple[int, int]) -> dict[str, Any]:
    resolutions = min(6, int(math.log2(min(size))) + 1)  # it refuses more halvings than the image has
    return {
        "quality_mode": "rates",
        "quality_layers": [24 / bpp],
        "irreversible": True,
        "num_resolutions": resolutions,
    }


CODECS = {
    codec.name: codec
    for codec in (
        Classical(
            "jpeg", "JPEG", "JPEG", (3, *QUALITIES),
            lambda q, _: {"quality": int(q), "subsampling": "4:2:0", "optimize": True},
        ),
        Classical("webp", "WebP", "WEBP", (0, *QUALITIES), lambda q, _: {"quality": int(q), "method": 6}),
        Classical("avif", "AVIF", "AVIF", QUALITIES, lambda q, _: {"quality": int(q), "speed": 4}),
        Classical(
            "jpeg2000", "JPEG 2000", "JPEG2000",
            (0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.2, 1.6, 2.0, 3.0), _jpeg2000,
        ),
        Classical(
            "jxl", "JPEG XL", "JXL", (1, *QUALITIES), lambda q, _: {"quality": int(q), "effort": 7},
            "pip install 'gcn[evaluation]'",
        ),
    )
}  # fmt: skip
_FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}


def is_available(codec: Classical) -> bool:
    """Whether this Pillow can write and read the format."""
    if codec.format == "JXL":
        if importlib.util.find_spec("pillow_jxl") is None:
            return False
        importlib.import_module("pillow_jxl")  # registers itself with Pillow
        return True
    return bool(features.check(_FEATURES[codec.format]))


def chosen(names: Sequence[str]) -> list[Classical]:
    """The codecs of these names.

    Raises:
        InputError: an unknown name, or a codec that is not installed.
    """
    for name in names:
        if name not in CODECS:
            raise InputError(f"compare={name}: unknown; choose {', '.join(CODECS)}")
        if not is_available(CODECS[name]):
            raise InputError(f"compare={name}: not available here; {CODECS[name].missing}")
    return [CODECS[name] for name in dict.fromkeys(names)]


def pooled(codec: Classical, images: Sequence[Tensor], setting: float) -> tuple[float, list[Coded]]:
    """All images at one setting: bits per pixel of all files together, and each image."""
    coded = [codec.code(x, setting) for x in images]
    pixels = sum(x.shape[-2] * x.shape[-1] for x in images)
    return 8 * sum(one.file_bytes for one in coded) / pixels, coded


class Matched(NamedTuple):
    """The setting of a codec whose rate is nearest to a wanted one."""

    setting: float
    bpp: float
    coded: list[Coded]


def at_rate(codec: Classical, images: Sequence[Tensor], bpp: float) -> Matched:
    """The setting whose pooled rate over all images is nearest to ``bpp`` (in logarithm), by bisection."""
    low, high = 0, len(codec.settings) - 1
    tried: dict[int, Matched] = {}

    def attempt(i: int) -> float:
        if i not in tried:
            tried[i] = Matched(codec.settings[i], *pooled(codec, images, codec.settings[i]))
        return tried[i].bpp

    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if attempt(middle) < bpp else (low, middle)
    return min((tried[i] for i in (low, high) if attempt(i)), key=lambda m: abs(math.log(m.bpp / bpp)))


def curve(codec: Classical, images: Sequence[Tensor], low: float, high: float) -> Iterator[Matched]:
    """All settings with pooled rates from the last one below ``low`` to the first one above ``high``."""
    before: Matched | None = None
    for setting in codec.settings:
        now = Matched(setting, *pooled(codec, images, setting))
        if now.bpp >= low:
            if before is not None:
                yield before
                before = None
            yield now
        else:
            before = now
        if now.bpp > high:
            return


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
    points = []
    for quality in qualities:
        files, decoded = zip(*(jpeg(x, quality, optimize) for x in originals), strict=True)
        values = [
            float(psnr(x[None].cpu(), x_hat[None])) for x, x_hat in zip(originals, decoded, strict=True)
        ]
        points.append(Point(quality, 8 * sum(map(len, files)) / pixels, sum(values) / len(values)))
    return sorted(points, key=lambda point: point.bpp)


def psnr_at(points: Sequence[Point], bpp: float) -> float:
    """PSNR in dB of a codec at a rate, interpolated linearly in log(bpp) between neighbouring qualities.

    NaN outside the curve: an extrapolated codec does not exist.
    """
    ordered = sorted(points, key=lambda point: point.bpp)
    if not ordered or not ordered[0].bpp <= bpp <= ordered[-1].bpp:
        return math.nan
    rates, values = [math.log(point.bpp) for point in ordered], [point.psnr for point in ordered]
    return float(np.interp(math.log(bpp), rates, values))
