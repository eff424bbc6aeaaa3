"""Classical codecs for comparison: bytes of real files, compared at the same bits per pixel."""

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from gcn.data.output import one_channel
from gcn.errors import InputError, is_memory_error

if TYPE_CHECKING:  # a page about a run names codecs, and most pages need no pixels of theirs
    from torch import Tensor

Pixels = NDArray[np.uint8]  # (H, W, 3), or (H, W) of a grey image

QUALITIES = tuple(range(5, 96, 5))
EVERY = tuple(range(96))


class Point(NamedTuple):
    """One setting of a codec on a set of images."""

    quality: float
    bpp: float  # all bits of all files / all pixels
    psnr: float  # dB, mean over images


@dataclass(frozen=True)
class Classical:
    """A codec of Pillow or of one of its plugins.

    Attributes:
        name: on the command line.
        title: in figures.
        format: Pillow's name.
        settings: of a curve, by increasing rate.
        steps: all settings, by increasing rate; what `at_rate` searches.
        options: what Pillow's ``save`` is given for a setting and the shape of the pixels.
        largest: pixels a side that the format can hold.
        missing: what to do where Pillow lacks it.
    """

    name: str
    title: str
    format: str
    settings: tuple[float, ...]
    steps: tuple[float, ...]
    options: Callable[[float, tuple[int, ...]], dict[str, Any]]
    largest: int = 2**31 - 1
    missing: str = "install a Pillow that was built with it: pip install 'pillow>=11.3'"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """The bytes of an image's file; a grey image has one channel, where the format has such files.

        Raises:
            InputError: the format cannot hold it; WebP ends at 16383 pixels a side.
        """
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        try:
            if max(pixels.shape[:2]) > self.largest:
                raise ValueError(f"at most {self.largest} pixels a side")
            return _save(pixels, self.format, self.options(setting, pixels.shape))
        except (OSError, ValueError, RuntimeError) as problem:
            if is_memory_error(problem):
                raise
            reason = " ".join(str(problem).split())[:200]
            raise InputError(
                f"compare={self.name}: {self.title} cannot hold an image of {size} pixels ({reason}); leave it out"
            ) from problem

    @property
    def version(self) -> str:
        """Version of Pillow and of the library that codes."""
        library = metadata.version("pillow-jxl-plugin") if self.format == "JXL" else _library(self.format)
        return f"{self.name}, Pillow {PIL.__version__}, {library}"


def decode(file: bytes, grey: bool) -> Pixels:
    """The pixels of a file of :meth:`Classical.encode`; one channel of a grey image."""
    image = Image.open(io.BytesIO(file))
    if grey and image.mode == "L":
        return np.array(image)
    pixels = np.array(image.convert("RGB"))
    return one_channel(pixels) if grey else pixels


def _library(name: str) -> str | None:
    return features.version(_FEATURES[name])


def _pixels(x: "Tensor") -> Pixels:
    from gcn.metrics.fidelity import to_uint8

    return to_uint8(x).permute(1, 2, 0).cpu().numpy()


def _save(pixels: Pixels, name: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def _jpeg2000(bpp: float, shape: tuple[int, ...]) -> dict[str, Any]:
    resolutions = min(6, int(math.log2(min(shape[:2]))) + 1)  # it refuses more halvings than the image has
    colour = len(shape) == 3
    rates = {"quality_mode": "rates", "quality_layers": [(24 if colour else 8) / bpp]}
    # mct: code luma and chroma, as everybody does; Pillow leaves it off, which costs a decibel
    return rates | {"irreversible": True, "mct": int(colour), "num_resolutions": resolutions}


# At qualities up to 18 libjxl codes at half the resolution: from there to 19 the bits *fall* by a fifth while PSNR
# rises by half a decibel. 13 to 18 are left out: others give more for their bits, and rates grow with the rest.
_HALF_RESOLUTION = (1, 3, 5, 7, 10, 12)

CODECS = {
    codec.name: codec
    for codec in (
        Classical(
            "jpeg", "JPEG", "JPEG", (3, *QUALITIES), EVERY[3:],
            lambda q, _: {"quality": int(q), "subsampling": "4:2:0", "optimize": True}, 65500,
        ),
        Classical("webp", "WebP", "WEBP", (0, *QUALITIES), EVERY, lambda q, _: {"quality": int(q), "method": 6}, 16383),
        Classical("avif", "AVIF", "AVIF", (0, *QUALITIES), EVERY, lambda q, _: {"quality": int(q), "speed": 4}, 65536),
        Classical(
            "jpeg2000", "JPEG 2000", "JPEG2000",
            (0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.2, 1.6, 2.0, 3.0),
            tuple(round(0.05 * 1.02**k, 4) for k in range(208)), _jpeg2000,
        ),
        Classical(
            "jxl", "JPEG XL", "JXL", (*_HALF_RESOLUTION, *range(20, 96, 5)), EVERY[1:13] + EVERY[19:],
            lambda q, _: {"quality": int(q), "effort": 7}, missing="pip install 'gcn[evaluation]'",
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
    """The codecs that this Pillow can write and read."""
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


def at_rate(steps: Sequence[float], rate: Callable[[float], float], bpp: float) -> tuple[float, float]:
    """The setting whose rate is nearest to ``bpp`` (in logarithm), and its rate.

    By bisection, 7 or 8 calls of ``rate``; an end of the steps where the codec reaches no such rate.

    Args:
        steps: settings by increasing rate.
        rate: bits per pixel at a setting, of all images together.
        bpp: the rate that is wanted.
    """
    best, least = (math.nan, math.nan), math.inf
    low, high = -1, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        found = steps[middle], rate(steps[middle])
        low, high = (middle, high) if found[1] < bpp else (low, middle)
        if (miss := abs(math.log(found[1] / bpp))) < least:
            best, least = found, miss
    return best


def curve(
    settings: Sequence[float], rate: Callable[[float], float], low: float, high: float
) -> Iterator[float]:
    """All settings with rates from the last one below ``low`` to the first one above ``high``; see `at_rate`.

    Never empty: a codec whose rates are all outside shows its nearest one.
    """
    below: float | None = None
    for setting in settings:
        now = rate(setting)
        if now < low:
            below = setting
            continue
        if below is not None:
            yield below
        below = None
        yield setting
        if now > high:
            return
    if below is not None:
        yield below


def jpeg(x: "Tensor", quality: int, optimize: bool) -> bytes:
    """The JPEG file of one image (3, H, W) in [0, 1]: baseline, 4:2:0, Pillow's default quantisation tables.

    Args:
        x: the image, rounded to 8 bits.
        quality: Pillow's setting.
        optimize: with Huffman tables fitted to the file (True) or the standard's tables.
    """
    return _jpeg(_pixels(x), quality, optimize)


def _jpeg(pixels: Pixels, quality: int, optimize: bool) -> bytes:
    return _save(pixels, "JPEG", {"quality": quality, "subsampling": "4:2:0", "optimize": optimize})


def jpeg_psnr(
    images: Sequence["Tensor"], optimize: bool, bpp: float, qualities: Sequence[int] = QUALITIES
) -> float:
    """PSNR in dB of JPEG at a rate, as by `psnr_at` between the two qualities around it.

    NaN where no quality has such a rate.

    Args:
        images: (3, H, W) in [0, 1], of any sizes; rounded to 8 bits before coding and before comparing.
        optimize: see `jpeg`.
        bpp: bits per pixel of all files together, with headers; the PSNR is the mean of the images'.
        qualities: settings that are tried.
    """
    tried = _Search([_pixels(x) for x in images], lambda x, quality: _jpeg(x, int(quality), optimize))
    at_rate(qualities, tried.rate, bpp)
    below = max((q for q in tried.files if tried.rate(q) < bpp), default=None)
    above = min((q for q in tried.files if tried.rate(q) >= bpp), default=None)
    return psnr_at([tried.point(q) for q in (below, above) if q is not None], bpp)


def psnr_at(points: Sequence[Point], bpp: float) -> float:
    """PSNR in dB of a codec at a rate, interpolated linearly in log(bpp) between neighbouring qualities.

    NaN outside the curve: an extrapolated codec does not exist.
    """
    ordered = sorted(points, key=lambda point: point.bpp)
    if not ordered or not ordered[0].bpp <= bpp <= ordered[-1].bpp:
        return math.nan
    rates, values = [math.log(point.bpp) for point in ordered], [point.psnr for point in ordered]
    return float(np.interp(math.log(bpp), rates, values))


def points_near(codec: Classical, images: Sequence["Tensor"], bpp: float) -> list[Point]:
    """Settings of a codec that `at_rate` tries on images (3, H, W) in [0, 1], by increasing rate.

    Among them are the settings on both sides of ``bpp``, so that `psnr_at` interpolates between neighbours. ``bpp`` is
    of all files together.

    Raises:
        InputError: the format cannot hold an image.
    """
    tried = _Search([_pixels(x) for x in images], codec.encode)
    place = codec.steps.index(at_rate(codec.steps, tried.rate, bpp)[0])
    for setting in codec.steps[max(0, place - 1) : place + 2]:
        tried.rate(setting)
    return sorted(map(tried.point, tried.files), key=lambda point: point.bpp)


class _Search:
    """Files of images at the settings that were asked for; each image is coded once at a setting.

    Args:
        pixels: the images, (H, W, 3) of 8 bits.
        encode: file of an image at a setting.
    """

    def __init__(self, pixels: Sequence[Pixels], encode: Callable[[Pixels, float], bytes]) -> None:
        self.pixels, self.encode = pixels, encode
        self.files: dict[float, list[bytes]] = {}

    def rate(self, setting: float) -> float:
        """Bits per pixel at a setting, of all images together."""
        if setting not in self.files:
            self.files[setting] = [self.encode(one, setting) for one in self.pixels]
        total = sum(one.shape[0] * one.shape[1] for one in self.pixels)
        return 8 * sum(map(len, self.files[setting])) / total

    def point(self, setting: float) -> Point:
        """Rate at a setting, and the mean of the images' PSNR in dB."""
        from gcn.metrics.fidelity import psnr

        rate = self.rate(setting)
        pairs = zip(self.pixels, self.files[setting], strict=True)
        values = [float(psnr(_tensor(one), _tensor(decode(file, grey=False)))) for one, file in pairs]
        return Point(setting, rate, sum(values) / len(values))


def _tensor(pixels: Pixels) -> "Tensor":
    """Pixels (H, W, 3) of 8 bits as (1, 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
