"""Pixels to an image file, whole or not at all."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gcn.data.images import Pixels
from gcn.data.scan import printable
from gcn.errors import InputError


class _Format(NamedTuple):
    name: str
    options: dict[str, Any]
    largest: int  # pixels a side


# Of JPEG's 65535, libjpeg writes 65500. WebP cannot store one channel: a grey image has three equal ones.
_FORMATS = {
    ".png": _Format("PNG", {}, 2**31 - 1),
    ".jpg": _Format("JPEG", {"quality": 95}, 65500),
    ".jpeg": _Format("JPEG", {"quality": 95}, 65500),
    ".webp": _Format("WEBP", {"lossless": True}, 16383),
    ".tif": _Format("TIFF", {}, 2**31 - 1),
    ".tiff": _Format("TIFF", {}, 2**31 - 1),
    ".bmp": _Format("BMP", {}, 2**31 - 1),
    ".ppm": _Format("PPM", {}, 2**31 - 1),
}


def check_target(path: Path) -> None:
    """Raise InputError where no image can be written, before any work is done."""
    shown = printable(path)
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{shown}: no image format has this ending; use one of {', '.join(_FORMATS)}")
    try:
        if path.is_dir():
            raise InputError(f"{shown} is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise InputError(f"{shown} is a device or a pipe; name a file")
        if not path.absolute().parent.is_dir():
            raise InputError(f"{printable(path.parent)}: no such folder; make it first")
    except OSError as problem:  # a name too long, a folder that may not be looked into
        raise InputError(f"{shown}: cannot be written ({problem.strerror})") from None


def save_image(path: Path, pixels: Pixels, grey: bool) -> None:
    """Write pixels (H, W, 3) in the format of the path's ending: JPEG at quality 95, all others without loss.

    Args:
        path: of the file; an existing one is replaced, a link stays one.
        pixels: sRGB.
        grey: write one channel, the mean of the three to the nearest.

    Raises:
        InputError: an unknown format, one that cannot hold an image of this size, or a place that cannot be
            written. What was there before is untouched.
    """
    check_target(path)
    kind = _FORMATS[path.suffix.lower()]
    if max(pixels.shape[:2]) > kind.largest:
        raise InputError(
            f"{printable(path)}: {kind.name} holds at most {kind.largest} pixels a side; use .png"
        )
    image = Image.fromarray(_mean(pixels) if grey else pixels)
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{os.getpid()}.partial")  # a name that is never too long
    try:
        image.save(partial, kind.name, **kind.options)
        os.replace(partial, target)
    except OSError as problem:
        raise InputError(f"{printable(path)}: cannot be written ({problem.strerror or problem})") from None
    finally:
        partial.unlink(missing_ok=True)


def _mean(pixels: Pixels) -> np.ndarray:
    total = pixels.sum(axis=2, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)  # to the nearest
