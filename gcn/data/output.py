"""Writing pixels to an image file, whole or not at all."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gcn.data.images import Pixels, Size
from gcn.errors import InputError
from gcn.files.atomic import check_output, replacing
from gcn.files.names import printable


class _Format(NamedTuple):
    name: str
    options: dict[str, Any]
    largest: int  # pixels a side
    heaviest: int | None = None  # bytes of pixels in all, None for any number


_OFFSETS = 2**32 - 2**21  # BMP and TIFF count bytes in 32 bits; head and tables of strips take less than 2 MB

# Of JPEG's 65535, libjpeg writes 65500. WebP cannot store one channel: a grey image has three equal ones.
_FORMATS = {
    ".png": _Format("PNG", {}, 2**31 - 1),
    ".jpg": _Format("JPEG", {"quality": 95}, 65500),
    ".jpeg": _Format("JPEG", {"quality": 95}, 65500),
    ".webp": _Format("WEBP", {"lossless": True}, 16383),
    ".tif": _Format("TIFF", {}, 2**31 - 1, _OFFSETS),
    ".tiff": _Format("TIFF", {}, 2**31 - 1, _OFFSETS),
    ".bmp": _Format("BMP", {}, 2**31 - 1, _OFFSETS),
    ".ppm": _Format("PPM", {}, 2**31 - 1),
}


def check_ending(path: Path) -> None:
    """Raise InputError for a name that has no ending of an image format."""
    if path.suffix.lower() not in _FORMATS:
        raise InputError(
            f"{printable(path)}: images are not written with this ending; use one of {', '.join(_FORMATS)}"
        )


def check_target(path: Path, size: Size | None = None, grey: bool = False) -> None:
    """Raise InputError, before any work is done, if no image can be written to this path.

    Args:
        path: of the file to be.
        size, grey: of the image, where they are known already.

    Raises:
        InputError: an unknown format, one that cannot hold an image of this size, or a place that cannot be
            written.
    """
    check_ending(path)
    check_output(path, overwrite=True)
    if size is not None:
        check_size(path, size, grey)


def check_size(path: Path, size: Size, grey: bool) -> None:
    """Raise InputError for an image that is too large for the format of the path's ending."""
    kind = _FORMATS[path.suffix.lower()]
    if max(size) > kind.largest:
        raise InputError(
            f"{printable(path)}: {kind.name} holds at most {kind.largest} pixels a side; use .png"
        )
    line = -(-size.width * (1 if grey else 3) // 4) * 4  # BMP fills each up to a multiple of 4
    if kind.heaviest is not None and size.height * line > kind.heaviest:
        raise InputError(f"{printable(path)}: {kind.name} holds at most 4 GB; use .png")


def save_image(path: Path, pixels: Pixels, grey: bool, overwrite: bool = True) -> None:
    """Write pixels (H, W, 3) in the format of the path's ending: JPEG at quality 95, all others without loss.

    Args:
        path: of the file; a link stays one.
        pixels: sRGB.
        grey: write :func:`one_channel`.
        overwrite: replace a file that exists.

    Raises:
        InputError: an unknown format, one that cannot hold an image of this size, or a place that cannot be
            written. What was there before is untouched.
    """
    check_target(path, Size(*pixels.shape[:2]), grey)
    kind = _FORMATS[path.suffix.lower()]
    image = Image.fromarray(one_channel(pixels) if grey else pixels)
    with replacing(path, overwrite) as partial, io.BufferedRandom(_Numberless(partial, "x+")) as file:
        image.save(file, kind.name, **kind.options)


class _Numberless(io.FileIO):
    """File object without a file number: Pillow's own writing reports a full disk only as "encoder error -2"."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("written through Python alone")


def one_channel(pixels: Pixels) -> np.ndarray:
    """The grey image (H, W) that is stored of three channels (H, W, 3): their mean, rounded to the nearest."""
    total = pixels.sum(axis=2, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)  # to the nearest
