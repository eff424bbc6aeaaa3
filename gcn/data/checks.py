"""Options of the data that can be refused by themselves; without torch, for early errors."""

from collections.abc import Sequence
from pathlib import Path

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
