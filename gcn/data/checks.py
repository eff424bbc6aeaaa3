"""Options of the data that can be refused by themselves; without torch and numpy, for early errors."""

from collections.abc import Sequence
from pathlib import Path

from PIL import ImageColor

from gcn.errors import InputError
from gcn.files.names import printable


def check_downscale(factors: Sequence[float] | None) -> None:
    """Refuse ``data.downscale`` unless it is None or [low, high] with 0 < low <= high <= 1."""
    if factors is not None and not (len(factors) == 2 and 0 < factors[0] <= factors[1] <= 1):
        raise InputError(
            f"data.downscale={list(factors)}: give [low, high] with 0 < low <= high <= 1, or null"
        )


def check_apart(top: Path, held_out: Path) -> None:
    """Refuse a folder of training images that lies in that of the validation images."""
    if top.resolve().is_relative_to(held_out.resolve()):
        raise InputError(
            f"data.root={printable(top)} lies in data.val_root: nothing would be left to train on"
        )


def colour(background: str) -> tuple[int, int, int]:
    """The RGB triple of a colour such as ``white`` or ``#808080``; InputError if there is no such colour."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(background)
    except ValueError:
        raise InputError(
            f"data.background={background!r} is no colour: use a name (white) or #rrggbb"
        ) from None
    return red, green, blue
