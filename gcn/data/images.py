"""Decoding of one image file to an array of pixels, or a reason why that is impossible.

Every way in which files in the wild differ from an 8-bit RGB picture is handled here, in one place and on
purpose: a library's defaults would turn 16-bit grey into white, drop the alpha channel, ignore the camera's
rotation and decode a damaged JPEG without a word.
"""

import io
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError

from gcn.data.checks import colour
from gcn.data.modes import BadImage, Decoded, Pixels, orientation, tiff_tags, to_rgb

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


class Size(NamedTuple):
    """Size of the upright image in pixels."""

    height: int
    width: int


def load_image(path: str | Path, background: str = "white", max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a file of any colour mode to 8-bit RGB, upright.

    The camera's rotation is applied, transparent parts show ``background``, 16-bit grey is divided by 257,
    floating-point grey in [0, 1] is multiplied by 255, other grey, palette, bilevel, YCbCr and CMYK images
    are converted, as are colours with a profile of their own (``gcn.data.profiles``); of an animation the
    first frame is taken. Colour spaces stated without a profile (PNG's gAMA, cHRM and cICP, AVIF's nclx,
    EXIF's ColorSpace) are taken for sRGB. Beyond the file's bytes and what the decoder takes for itself, this
    needs 7 bytes of memory a pixel, and 8 where the image is turned upright.

    Damage is detected as far as the format allows: a missing end, a wrong PNG checksum, a marker amid JPEG
    data that cannot stand there. Undetected remain flipped bits in JPEG data that still decode, and a JPEG
    file cut short to which an end was added: without a checksum they differ from strange photographs by
    content only.

    Returns:
        uint8 array (H, W, 3).

    Raises:
        BadImage: no image, damaged, not a file that can be read, or more than ``max_pixels`` pixels (checked
            before any pixel is decoded).
    """
    return decode(path, background, max_pixels).pixels


def decode(path: str | Path, background: str = "white", max_pixels: int = MAX_PIXELS) -> Decoded:
    """Pixels as of :func:`load_image`, and notes about what was done to the image."""
    behind = colour(background)
    with _reading(max_pixels):
        _check_kind(path)
        with Image.open(path, formats=FORMATS) as image:
            _sides(image, max_pixels)  # refuse a bomb before its bytes are read
        data = Path(path).read_bytes()
        _check_integrity(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return to_rgb(image, data, behind, background)


def read_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> Size:
    """Size from the head of the file; BadImage as for :func:`load_image`."""
    with _reading(max_pixels):
        _check_kind(path)
        with Image.open(path, formats=FORMATS) as image:
            width, height = _sides(image, max_pixels)
            # other numbers mean nothing and turn nothing
            lying = 5 <= orientation(image, _pixels_are_last(path)) <= 8
            return Size(width, height) if lying else Size(height, width)


def _sides(image: ImageFile.ImageFile, max_pixels: int) -> tuple[int, int]:
    """Width and height as stored; BadImage where these are too many pixels."""
    tags = tiff_tags(image)  # where Pillow has turned the size already, in some versions
    width, height = (tags[256], tags[257]) if tags else image.size
    if width * height > max_pixels:
        raise BadImage(f"{width}×{height} pixels, over the limit of {max_pixels / 1e6:g} million")
    return width, height


def _pixels_are_last(path: str | Path) -> bool:
    """Whether this is a PNG file in which nothing but the end follows the pixels, as the heads of its chunks say."""
    with Path(path).open("rb") as file:
        if file.read(8) != _PNG:
            return False
        begun = False
        while len(head := file.read(8)) == 8:
            kind = head[4:]
            if begun and kind != b"IDAT":
                return kind == b"IEND"
            begun = kind == b"IDAT"
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False


@contextmanager
def _reading(max_pixels: int) -> Iterator[None]:
    """Turn every failure of a decoder in the block into BadImage; our limit of pixels replaces Pillow's."""
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
    except MemoryError:
        raise BadImage("not enough memory to decode it") from None
    except Exception as error:  # decoders raise a dozen types on damaged data
        if isinstance(error, OSError) and error.strerror:  # the system's; those of decoders have no number
            raise BadImage(f"cannot be read ({error.strerror})") from None
        text = " ".join(str(error).split()) or type(error).__name__
        raise BadImage("truncated" if "truncated" in text.lower() else f"damaged: {text[:80]}") from None
    finally:
        Image.MAX_IMAGE_PIXELS = previous


def _check_kind(path: str | Path) -> None:
    """Refuse a path that is no regular file before it is opened: reading a pipe or a device may never end."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise BadImage("a folder")
    if not stat.S_ISREG(mode):
        raise BadImage("a device or a pipe")


def _check_integrity(data: bytes) -> None:
    """Raise BadImage for damage that Pillow would decode without an error."""
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
