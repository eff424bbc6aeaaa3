"""Conversion of an image of any colour mode and depth to upright 8-bit sRGB, in strips."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from gcn.data.profiles import CONVERTED, UNUSABLE, to_srgb

Pixels = NDArray[np.uint8]  # (H, W, 3), sRGB

_GREY = {"1": "bilevel", "L": "grayscale", "LA": "grayscale", "La": "grayscale", "F": "floating-point grey"}
_NAMES = {"P": "palette", "PA": "palette", **_GREY}
_PLAIN = ("RGB", "RGBA", "RGBX", "RGBa")
_FEW_BITS = {"L;2": 85, "L;4": 17}  # levels between two neighbouring values
_STRIP = 2**20  # pixels converted at once: no step needs a second image's worth of memory


class BadImage(Exception):
    """A file that cannot be used as an image; the message is a reason of a few words."""


class Decoded(NamedTuple):
    """Pixels, and notes about unusual properties in a fixed wording, so that they can be counted.

    ``grey``: the source has one channel of colour, and was not laid over a coloured background.
    """

    pixels: Pixels
    notes: tuple[str, ...]
    grey: bool = False


def orientation(image: Image.Image, pixels_last: bool = False) -> int:
    """The camera's rotation as EXIF numbers it, 1 for upright.

    Args:
        image: opened.
        pixels_last: no metadata follow the pixels of its file: else Pillow decodes a PNG image to find them.
    """
    try:
        exif = Image.Image.getexif(image) if pixels_last else image.getexif()
        found = int(exif.get(0x0112, 1))
    except Exception:  # unreadable metadata says nothing about the pixels
        return 1
    return found if 1 <= found <= 8 else 1


def to_rgb(image: ImageFile.ImageFile, data: bytes, behind: tuple[int, int, int], background: str) -> Decoded:
    """The pixels of an opened image.

    Args:
        image: not yet loaded.
        data: its file.
        behind, background: colour behind transparent parts, and its name for the notes.

    Raises:
        BadImage: a mode that cannot be read right.
    """
    raw = _raw_mode(image)
    _mend(image, raw)
    ends = _black_and_white(image, raw)
    grey = raw == "LA;16B" or image.mode in _GREY or image.mode.startswith("I")  # the first comes as RGBA
    kind = _kind(image, raw, data, grey)
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # phones put previews into MPO
        notes.append("first frame of several")
    if orientation(image) != 1:
        notes.append("turned upright")
        ImageOps.exif_transpose(image, in_place=True)
    image.load()
    profile, space = _profile(image, grey)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows, clear = max(1, _STRIP // image.width), False
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        colours, alpha = _parts(strip, *ends)
        colours = colours.convert(space)
        if profile == CONVERTED:
            colours.info["icc_profile"] = image.info["icc_profile"]
            colours = to_srgb(colours).image
        colours = colours.convert("L" if grey else "RGB").convert("RGB")
        if alpha is not None and alpha.getextrema() != (255, 255):
            clear = True
            colours.putalpha(alpha)
            colours = Image.alpha_composite(Image.new("RGBA", colours.size, (*behind, 255)), colours)
        pixels[top : top + rows] = np.asarray(colours.convert("RGB"))
    last = (profile, f"transparent over {background}" if clear else None)
    tinted = clear and len(set(behind)) > 1
    return Decoded(pixels, tuple(filter(None, (*notes, *kind, *last))), grey and not tinted)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for the pixel layout in the file, None if unknown; available before the pixels load."""
    found = image.tile[0][3] if image.tile else ""
    return str(found[0]) if isinstance(found, tuple) and found else str(found)


def _kind(image: ImageFile.ImageFile, raw: str, data: bytes, grey: bool) -> list[str]:
    """Notes about the colour mode and its depth."""
    if grey:
        return [_GREY.get(image.mode, "16-bit grey")]
    bits = 8
    if image.format == "AVIF":  # the flags of its configuration box (AV1-ISOBMFF, 2.3.3)
        bits = {0x40: 10, 0x60: 12}.get(data[data.find(b"av1C") + 6] & 0x60, 8)
    elif image.format == "JPEG2000":  # Ssiz of the first component (ITU-T T.800, A.5.1)
        bits = (data[data.find(b"\xff\x4f\xff\x51") + 42] & 0x7F) + 1
    elif image.format == "PPM" and isinstance(image.tile[0][3], tuple):
        bits = image.tile[0][3][-1].bit_length()
    elif image.format in ("PNG", "TIFF") and "16" in raw:
        bits = 16
    named = [] if image.mode in _PLAIN else [_NAMES.get(image.mode, image.mode)]
    return [*named, f"{bits}-bit colour"] if bits > 8 else named


def _mend(image: ImageFile.ImageFile, raw: str) -> None:
    """Convert the transparent colour to Pillow's form, and refuse images that Pillow would turn into noise."""
    clear = image.info.get("transparency")
    if raw in _FEW_BITS and isinstance(clear, int):
        image.info["transparency"] = clear * _FEW_BITS[raw]
    elif raw == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    tags = tiff_tags(image)
    if len(raw) == 1 and max(tags.get(258, (1,))) > 8:
        raise BadImage("16-bit colour in separate planes")
    if tags.get(254, 0) & 1 and 330 in tags:  # a reduced image, and others hidden behind it
        raise BadImage("begins with a preview, as a camera's raw file does")


def tiff_tags(image: ImageFile.ImageFile) -> Mapping[int, Any]:
    """The tags of a TIFF file (TIFF 6.0); empty for other formats."""
    return image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]


def _black_and_white(image: ImageFile.ImageFile, raw: str) -> tuple[int, int]:
    """Values of black and white in an image of integers."""
    white = 4095 if raw == "I;12" else 65535
    return (white, 0) if tiff_tags(image).get(262) == 0 else (0, white)


def _profile(image: Image.Image, grey: bool) -> tuple[str | None, str]:
    """A note about the embedded colour profile, and the mode in which it is applied."""
    space = "L" if grey else "CMYK" if image.mode == "CMYK" else "RGB"
    if "icc_profile" not in image.info or image.mode == "LAB":  # LAB needs no profile
        return None, space
    icc = image.info["icc_profile"]
    if not icc or not isinstance(icc, bytes):  # Pillow could not even read it
        return UNUSABLE, space
    if grey and _effect(icc, "L") == UNUSABLE and _effect(icc, "RGB") != UNUSABLE:
        space = "RGB"  # grey from a program that works in RGB
    return _effect(icc, space), space


@lru_cache(maxsize=64)  # the images of a folder share a few
def _effect(icc: bytes, mode: str) -> str | None:
    probe = Image.new(mode, (1, 1))
    probe.info["icc_profile"] = icc
    return to_srgb(probe).note


def _parts(strip: Image.Image, black: int, white: int) -> tuple[Image.Image, Image.Image | None]:
    """Pixels of colours, integers or floating-point numbers in 8 bits, and alpha (None if there is none)."""
    if strip.mode == "F":
        return _from_floats(np.asarray(strip)), None
    if strip.mode.startswith("I"):
        values = np.asarray(strip)
        clear = strip.info.get("transparency")
        alpha = None if clear is None else Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
        return _from_integers(values, black, white), alpha
    if not strip.has_transparency_data:
        return strip, None
    strip = strip.convert("RGBA")
    return strip.convert("RGB"), strip.getchannel("A")


def _from_integers(values: NDArray[np.generic], black: int, white: int) -> Image.Image:
    wide, most = values.astype(np.int64), max(black, white)
    if wide.min() < 0 or wide.max() > most:
        raise BadImage("integer values beyond 16 bits")
    wide = black - wide if black else wide
    return Image.fromarray(((wide * 255 + most // 2) // most).astype(np.uint8))  # to the nearest


def _from_floats(values: NDArray[np.generic]) -> Image.Image:
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all() or wide.min() < 0 or wide.max() > 1:
        raise BadImage("floating-point values outside [0, 1]")
    return Image.fromarray(np.rint(wide * 255).astype(np.uint8))
