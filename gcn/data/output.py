"""Pixels to an image file, whole or not at all."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gcn.data.images import Pixels
from gcn.errors import InputError


class _Format(NamedTuple):
    name: str
    options: dict[str, Any]
    largest: int  # pixels a side


_FORMATS = {
    ".png": _Format("PNG", {}, 2**31 - 1),
    ".jpg": _Format("JPEG", {"quality": 95}, 65535),
    ".jpeg": _Format("JPEG", {"quality": 95}, 65535),
    ".webp": _Format("WEBP", {"lossless": True}, 16383),
    ".tif": _Format("TIFF", {}, 2**31 - 1),
    ".tiff": _Format("TIFF", {}, 2**31 - 1),
    ".bmp": _Format("BMP", {}, 2**31 - 1),
    ".ppm": _Format("PPM", {}, 2**31 - 1),
}


def check_target(path: Path) -> None:
    """Raise InputError where no image can be written, before any work is done."""
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path}: no image format has this ending; use one of {', '.join(_FORMATS)}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path.parent}: no such folder; make it first")


def save_image(path: Path, pixels: Pixels, grey: bool) -> None:
    """Write pixels (H, W, 3) in the format of the path's ending: JPEG at quality 95, all others without loss.

    Args:
        path: of the file; an existing one is replaced.
        pixels: sRGB.
        grey: write one channel, the mean of the three.

    Raises:
        InputError: an unknown format, one that cannot hold an image of this size, or a place that cannot be written.
    """
    check_target(path)
    kind = _FORMATS[path.suffix.lower()]
    if max(pixels.shape[:2]) > kind.largest:
        raise InputError(f"{path}: {kind.name} holds at most {kind.largest} pixels a side; use .png")
    image = Image.fromarray(_mean(pixels) if grey else pixels)
    partial = path.with_name(f".{path.name}.partial")
    try:
        image.save(partial, kind.name, **kind.options)
        os.replace(partial, path)
    except OSError as problem:
        raise InputError(f"{path}: cannot be written ({problem.strerror or problem})") from None
    finally:
        partial.unlink(missing_ok=True)


def _mean(pixels: Pixels) -> np.ndarray:
    total = pixels.sum(axis=2, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)  # to the nearest
