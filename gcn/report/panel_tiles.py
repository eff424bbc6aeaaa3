"""Originals and reconstructions cut out of a panel, whose file says where they are."""

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gcn.errors import InputError

KEY = "gcn.tiles"  # of the PNG's text
LARGEST = 1 << 26  # pixels of a panel


class Tile(NamedTuple):
    """Place of an image in a panel: its caption and two boxes (left, top, right, bottom) in pixels."""

    caption: str
    original: tuple[int, int, int, int]
    reconstruction: tuple[int, int, int, int]


class Pair(NamedTuple):
    """An image of a panel: caption, and PNG files of original and reconstruction."""

    caption: str
    original: bytes
    reconstruction: bytes


def written(tiles: Sequence[Tile]) -> Any:
    """The text that a panel's file carries."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(KEY, json.dumps(tiles))
    return info


def pairs(panel: Path) -> list[Pair]:
    """The images of a panel; none if its file does not say where they are, as of a run before version 0.3.

    Raises:
        InputError: no picture, or one that is damaged or too large.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(panel, formats=["PNG"]) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > LARGEST:
                raise InputError(f"more than {LARGEST} pixels")
            image.load()
            said = getattr(image, "text", {}).get(KEY)
            return [] if said is None else [_pair(image, tile) for tile in _tiles(said, image.size)]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError("not a whole PNG file") from None


def _tiles(said: str, size: tuple[int, int]) -> list[Tile]:
    found = []
    for caption, *boxes in json.loads(said)[:16]:
        for box in boxes:
            left, top, right, bottom = (int(number) for number in box)
            if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
                raise InputError("its images are said to lie outside of it")
        found.append(Tile(str(caption), *(tuple(box) for box in boxes)))
    return found


def _pair(image: Any, tile: Tile) -> Pair:
    return Pair(tile.caption, *(_png(image.crop(box)) for box in (tile.original, tile.reconstruction)))


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
