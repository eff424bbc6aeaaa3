"""One image file becomes an array of pixels, or a named reason why it does not.

Every way in which files in the wild differ from an 8-bit RGB picture is handled here, in one place and on
purpose: a library's defaults would turn 16-bit grey into white, drop the alpha channel, ignore the camera's
rotation and decode a damaged JPEG without a word.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageFile, ImageOps, UnidentifiedImageError

from gcn.data.profiles import CONVERTED, UNUSABLE, to_srgb
from gcn.errors import InputError

Pixels = NDArray[np.uint8]  # (H, W, 3), sRGB

MAX_PIXELS = 100_000_000
# Documents and vector formats are left out: some start other programs to be read (EPS starts Ghostscript).
_WANTED = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "TGA", "QOI")
Image.init()
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
EXTENSIONS = frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS)

# Codes of the segments of a JPEG stream before its end (ITU-T T.81, table B.1).
_JPEG_SEGMENTS = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE} - {0xC8}
_PNG = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")

_GREY = {"1": "bilevel", "L": "grayscale", "LA": "grayscale", "La": "grayscale", "F": "floating-point grey"}
_NAMES = {"P": "palette", "PA": "palette", **_GREY}
_PLAIN = ("RGB", "RGBA", "RGBX", "RGBa")
_FEW_BITS = {"L;2": 85, "L;4": 17}  # levels between two neighbouring values
_STRIP = 2**20  # pixels converted at once: no step needs a second image's worth of memory


class BadImage(Exception):
    """A file that cannot be used as an image; the message is a reason of a few words."""


class Decoded(NamedTuple):
    """Pixels, and the peculiarities met on the way in a fixed wording, so that they can be counted.

    ``grey``: the source has one channel of colour, and was not laid over a coloured background.
    """

    pixels: Pixels
    notes: tuple[str, ...]
    grey: bool = False


class Size(NamedTuple):
    """Size of the upright image in pixels."""

    height: int
    width: int


def colour(background: str) -> tuple[int, int, int]:
    """The RGB triple of a colour such as ``white`` or ``#808080``; InputError if there is no such colour."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(background)
    except ValueError:
        raise InputError(
            f"data.background={background!r} is no colour: use a name (white) or #rrggbb"
        ) from None
    return red, green, blue


def load_image(path: str | Path, background: str = "white", max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a file of any colour mode to 8-bit RGB, upright.

    The camera's rotation is applied, transparent parts show ``background``, 16-bit grey is divided by 257,
    floating-point grey in [0, 1] is multiplied by 255, other grey, palette, bilevel, YCbCr and CMYK images
    are converted, as are colours with a profile of their own (``gcn.data.profiles``); of an animation the
    first frame is taken. Colour spaces stated without a profile (PNG's gAMA, cHRM and cICP, AVIF's nclx, EXIF's
    ColorSpace) are taken for sRGB. Beyond the file's bytes and the decoder's own memory this needs 7 bytes a
    pixel.

    Damage is detected as far as the format allows: a missing end, a wrong PNG checksum, a marker amid JPEG
    data that cannot stand there. Undetected remain flipped bits in JPEG data that still decode, and a JPEG
    file cut short to which an end was added: without a checksum they differ from strange photographs by
    content only.

    Returns:
        uint8 array (H, W, 3).

    Raises:
        BadImage: no image, damaged, or more than ``max_pixels`` pixels (checked before any pixel is decoded).
    """
    return decode(path, background, max_pixels).pixels


def decode(path: str | Path, background: str = "white", max_pixels: int = MAX_PIXELS) -> Decoded:
    """As :func:`load_image`, and says what was done to the image."""
    behind = colour(background)
    read_size(path, max_pixels)  # refuse a bomb before its bytes are read
    with _reading(max_pixels):
        data = Path(path).read_bytes()
        _check_integrity(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _to_rgb(image, data, behind, background)


def read_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> Size:
    """Size from the head of the file; BadImage as for :func:`load_image`."""
    with _reading(max_pixels), Image.open(path, formats=FORMATS) as image:
        tags = _tiff_tags(image)  # where Pillow has turned the size already, in some versions
        width, height = (tags[256], tags[257]) if tags else image.size
        if width * height > max_pixels:
            raise BadImage(f"{width}×{height} pixels, over the limit of {max_pixels / 1e6:g} million")
        lying = _orientation(image) >= 5
        return Size(width, height) if lying else Size(height, width)


@contextmanager
def _reading(max_pixels: int) -> Iterator[None]:
    """Every failure of a decoder becomes a BadImage; Pillow's own pixel limit follows ours."""
    previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is no concern of ours
            yield
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage(f"over the limit of {max_pixels / 1e6:g} million pixels") from None
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except FileNotFoundError:
        raise BadImage("file is missing") from None
    except PermissionError:
        raise BadImage("no permission to read it") from None
    except Exception as error:  # decoders raise a dozen types on damaged data
        text = " ".join(str(error).split()) or type(error).__name__
        raise BadImage("truncated" if "truncated" in text.lower() else f"damaged: {text[:80]}") from None
    finally:
        Image.MAX_IMAGE_PIXELS = previous


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # unreadable metadata says nothing about the pixels
        return 1


def _check_integrity(data: bytes) -> None:
    """Find damage that Pillow would decode without a word."""
    if data[:2] == b"\xff\xd8":
        _check_jpeg(data)
    elif data[:8] == _PNG:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.verify()  # the checksums of the pixel data, which decoding skips


def _check_jpeg(data: bytes) -> None:
    """Walk the segments of a JPEG stream to its end marker (ITU-T T.81, annex B)."""
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if at + 2 > len(data):
            raise BadImage("truncated")
        if data[at] != 0xFF:
            raise BadImage("damaged: no JPEG marker where one must stand")
        marker = data[at + 1]
        if marker == _END_OF_IMAGE:
            return
        if marker not in _JPEG_SEGMENTS:
            raise BadImage(f"damaged: JPEG marker {marker:02x} where none can stand")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:  # coded data, up to the next marker that is not a restart
            found = _MARKER_IN_SCAN.search(data, at)
            if found is None:
                raise BadImage("truncated")
            at = found.end() - 2


def _to_rgb(
    image: ImageFile.ImageFile, data: bytes, behind: tuple[int, int, int], background: str
) -> Decoded:
    raw = _raw_mode(image)
    _mend(image, raw)
    ends = _black_and_white(image, raw)
    grey = raw == "LA;16B" or image.mode in _GREY or image.mode.startswith("I")  # the first comes as RGBA
    kind = _kind(image, raw, data, grey)
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # phones put previews into MPO
        notes.append("first frame of several")
    if _orientation(image) != 1:
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
    """Pillow's name for the layout of the pixels in the file, empty if it has none; known before they load."""
    found = image.tile[0][3] if image.tile else ""
    return str(found[0]) if isinstance(found, tuple) and found else str(found)


def _kind(image: ImageFile.ImageFile, raw: str, data: bytes, grey: bool) -> list[str]:
    """Notes on the colour mode and its depth."""
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
    """State the transparent colour as Pillow's pixels have it; refuse what Pillow would turn into noise."""
    clear = image.info.get("transparency")
    if raw in _FEW_BITS and isinstance(clear, int):
        image.info["transparency"] = clear * _FEW_BITS[raw]
    elif raw == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    tags = _tiff_tags(image)
    if len(raw) == 1 and max(tags.get(258, (1,))) > 8:
        raise BadImage("16-bit colour in separate planes")
    if tags.get(254, 0) & 1 and 330 in tags:  # a reduced image, and others hidden behind it
        raise BadImage("begins with a preview, as a camera's raw file does")


def _tiff_tags(image: ImageFile.ImageFile) -> Mapping[int, Any]:
    """The tags of a TIFF file (TIFF 6.0), of another format none."""
    return image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]


def _black_and_white(image: ImageFile.ImageFile, raw: str) -> tuple[int, int]:
    """Values of black and white in an image of integers."""
    white = 4095 if raw == "I;12" else 65535
    return (white, 0) if _tiff_tags(image).get(262) == 0 else (0, white)


def _profile(image: Image.Image, grey: bool) -> tuple[str | None, str]:
    """What becomes of the embedded profile, as a note, and the mode in which it applies."""
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
    """Colours, with integers and floating-point numbers brought to 8 bits, and alpha, None if all is opaque."""
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
