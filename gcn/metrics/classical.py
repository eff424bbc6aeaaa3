"""Classical codecs as yardsticks: real file bytes on both sides, compared at the same bits per pixel."""

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor

from gcn.errors import InputError
from gcn.metrics.distortion import psnr, to_uint8

Pixels = NDArray[np.uint8]  # (H, W, 3)

QUALITIES = tuple(range(5, 96, 5))
EVERY = tuple(range(96))


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
        settings: of a curve, by increasing rate.
        steps: all settings, by increasing rate; what `at_rate` searches.
        options: what Pillow's ``save`` is given for a setting and an image size (height, width).
        missing: what to do where Pillow lacks it.
    """

    name: str
    title: str
    format: str
    settings: tuple[float, ...]
    steps: tuple[float, ...]
    options: Callable[[float, tuple[int, int]], dict[str, Any]]
    missing: str = "install a Pillow that was built with it: pip install 'pillow>=11.3'"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """The file of an image (H, W, 3).

        Raises:
            InputError: the format cannot hold it; WebP ends at 16383 pixels a side.
        """
        try:
            return _save(pixels, self.format, self.options(setting, (pixels.shape[0], pixels.shape[1])))
        except (OSError, ValueError, RuntimeError) as problem:
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            reason = " ".join(str(problem).split())[:200]
            raise InputError(
                f"compare={self.name}: {self.title} cannot hold an image of {size} pixels ({reason}); leave it out"
            ) from problem

    def code(self, x: Tensor, setting: float) -> Coded:
        """One image (3, H, W) in [0, 1], rounded to 8 bits, there and back."""
        file = self.encode(_pixels(x), setting)
        return Coded(len(file), _decode(file))


def _pixels(x: Tensor) -> Pixels:
    return to_uint8(x).permute(1, 2, 0).cpu().numpy()


def _save(pixels: Pixels, name: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def _decode(file: bytes) -> Tensor:
    decoded = np.array(Image.open(io.BytesIO(file)).convert("RGB"))
    return torch.from_numpy(decoded).permute(2, 0, 1).float() / 255


def _jpeg2000(bpp: float, size: tuple[int, int]) -> dict[str, Any]:
    resolutions = min(6, int(math.log2(min(size))) + 1)  # it refuses more halvings than the image has
    rates = {"quality_mode": "rates", "quality_layers": [24 / bpp]}
    # mct: code luma and chroma, as everybody does; Pillow leaves it off, which costs a decibel
    return rates | {"irreversible": True, "mct": 1, "num_resolutions": resolutions}


# At qualities up to 18 libjxl codes at half the resolution: from there to 19 the bits *fall* by a fifth while PSNR
# rises by half a decibel. 13 to 18 are left out: others give more for their bits, and rates grow with the rest.
_HALF_RESOLUTION = (1, 3, 5, 7, 10, 12)

CODECS = {
    codec.name: codec
    for codec in (
        Classical(
            "jpeg", "JPEG", "JPEG", (3, *QUALITIES), EVERY[3:],
            lambda q, _: {"quality": int(q), "subsampling": "4:2:0", "optimize": True},
        ),
        Classical("webp", "WebP", "WEBP", (0, *QUALITIES), EVERY, lambda q, _: {"quality": int(q), "method": 6}),
        Classical("avif", "AVIF", "AVIF", (0, *QUALITIES), EVERY, lambda q, _: {"quality": int(q), "speed": 4}),
        Classical(
            "jpeg2000", "JPEG 2000", "JPEG2000",
            (0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.2, 1.6, 2.0, 3.0),
            tuple(round(0.05 * 1.02**k, 4) for k in range(208)), _jpeg2000,
        ),
        Classical(
            "jxl", "JPEG XL", "JXL", (*_HALF_RESOLUTION, *range(20, 96, 5)), EVERY[1:13] + EVERY[19:],
            lambda q, _: {"quality": int(q), "effort": 7}, "pip install 'gcn[evaluation]'",
        ),
    )
}  # fmt: skip
_FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}


def is_available(codec: Classical) -> bool:
    """Whether this Pillow can write and read the format."""
    if codec.format != "JXL":
        return bool(features.check(_FEATURES[codec.format]))
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_jxl")  # registers itself with Pillow
    return "JXL" in Image.SAVE


def available() -> list[Classical]:
    """The codecs that can be used here."""
    return [codec for codec in CODECS.values() if is_available(codec)]


def chosen(names: Sequence[str]) -> list[Classical]:
    """The codecs of these names.

    Raises:
        InputError: an unknown name, or a codec that is not installed.
    """
    for name in names:
        if (codec := CODECS.get(name)) is None:
            raise InputError(f"compare={name}: unknown; choose {', '.join(CODECS)}")
        if not is_available(codec):
            raise InputError(f"compare={name}: not available here; {codec.missing}")
    return [CODECS[name] for name in dict.fromkeys(names)]


def pooled(codec: Classical, images: Sequence[Tensor], setting: float) -> tuple[float, list[Coded]]:
    """All images at one setting: bits per pixel of all files together, and each image."""
    coded = [codec.code(x, setting) for x in images]
    pixels = sum(x.shape[-2] * x.shape[-1] for x in images)
    return 8 * sum(one.file_bytes for one in coded) / pixels, coded


class Matched(NamedTuple):
    """All images at one setting of a codec."""

    setting: float
    bpp: float  # pooled
    coded: list[Coded]


def at_rate(codec: Classical, images: Sequence[Tensor], bpp: float) -> Matched:
    """The one of ``codec.steps`` whose pooled rate over all images is nearest to ``bpp`` (in logarithm).

    By bisection, 7 or 8 codings of all images; an end of the steps where the codec reaches no such rate.
    """

    best, least = None, math.inf  # only one is kept: the pixels of eight settings would fill the memory
    low, high = -1, len(codec.steps)
    while high - low > 1:
        middle = (low + high) // 2
        found = Matched(codec.steps[middle], *pooled(codec, images, codec.steps[middle]))
        low, high = (middle, high) if found.bpp < bpp else (low, middle)
        if (miss := abs(math.log(found.bpp / bpp))) < least:
            best, least = found, miss
    assert best is not None
    return best


def curve(codec: Classical, images: Sequence[Tensor], low: float, high: float) -> Iterator[Matched]:
    """All settings with pooled rates from the last one below ``low`` to the first one above ``high``.

    Never empty: a codec whose rates are all outside shows its nearest one.
    """
    below: Matched | None = None
    for setting in codec.settings:
        now = Matched(setting, *pooled(codec, images, setting))
        if now.bpp < low:
            below = now
            continue
        if below is not None:
            yield below
        below = None
        yield now
        if now.bpp > high:
            return
    if below is not None:
        yield below


def jpeg(x: Tensor, quality: int, optimize: bool) -> tuple[bytes, Tensor]:
    """Code one image (3, H, W) in [0, 1] as JPEG: the whole file, and the pixels decoded from it, same shape."""
    file = _save(_pixels(x), "JPEG", {"quality": quality, "subsampling": "4:2:0", "optimize": optimize})
    return file, _decode(file)


def jpeg_curve(images: Sequence[Tensor], optimize: bool, qualities: Sequence[int] = QUALITIES) -> list[Point]:
    """Rate-distortion curve of baseline JPEG 4:2:0 through Pillow with its default quantisation tables.

    Args:
        images: (3, H, W) in [0, 1], of any sizes; rounded to 8 bits before coding and before comparing.
        optimize: with Huffman tables fitted to each file (``optimize=True``) or the standard's tables.
        qualities: Pillow's quality settings.

    Returns:
        One point per quality, by increasing rate, pooled with headers; PSNR is the mean of the images' in dB.
    """
    originals = [to_uint8(x).cpu().float() / 255 for x in images]
    pixels = sum(x[0].numel() for x in originals)
    points = []
    for quality in qualities:
        files, decoded = zip(*(jpeg(x, quality, optimize) for x in originals), strict=True)
        values = [float(psnr(x[None], y[None])) for x, y in zip(originals, decoded, strict=True)]
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
