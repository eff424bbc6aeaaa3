"""Validation images too small for a metric or for the discriminator: found before training, and reported."""

from collections.abc import Callable, Sequence

from gcn.codec.container import MOST_PIXELS
from gcn.data.loader import Data
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.metrics.fidelity import ms_ssim_scales
from gcn.metrics.realism import Slicing
from gcn.training.validate import can_discriminate

LARGEST_SIDE = 65_500  # pixels, of a JPEG file; a file of ours takes 35 more
NAMED = 3

Size = tuple[int, int]  # height, width


def check_sizes(data: Data, game: Game) -> list[str]:
    """Remarks about validation images that are too small for a metric or for the discriminator.

    Raises:
        InputError: an image that is too large for a file.
    """
    images = list(zip(data.val_names, data.val_sizes(), strict=True))
    for name, (height, width) in images:
        if max(height, width) > LARGEST_SIDE or height * width > MOST_PIXELS:
            raise InputError(
                f"validation image {name} has {width}x{height} pixels, and the files that are compared hold at most "
                f"{LARGEST_SIDE} a side and {MOST_PIXELS} in all; scale it down, or take it out of the validation"
            )
    patch = Slicing().patch
    takes: dict[str, Callable[[Size], bool]] = {
        "MS-SSIM": lambda size: ms_ssim_scales(*size) > 0,
        "the sliced Wasserstein distance": lambda size: min(size) >= patch,
        "the discriminator's map in panels": lambda size: can_discriminate(game, *size),
    }
    lines = [_line(what, [image for image in images if not fits(image[1])]) for what, fits in takes.items()]
    return [line for line in lines if line]


def _line(what: str, small: Sequence[tuple[str, Size]]) -> str:
    if not small:
        return ""
    named = ", ".join(f"{name} ({width}x{height} pixels)" for name, (height, width) in small[:NAMED])
    more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
    return f"validation: too small for {what}, and left out there: {named}{more}"
