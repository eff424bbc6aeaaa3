"""Sheet of samples: real crops on the left, samples of a generator on the right."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from gcn.files.atomic import make_folder, replacing
from gcn.report.plots import to_pixels

ROWS = 8  # and as many columns on each side
GAP = 2  # pixels between images
HEAD = 16  # pixels of the line of text above them


def sheet(path: str | Path, reals: Sequence[Tensor], samples: Sequence[Tensor], title: str) -> None:
    """Write a PNG with up to 64 real crops and 64 samples, each (3, P, P), clamped to [0, 1], at their own pixels."""
    left, right = (_grid(images) for images in (reals, samples))
    width = left.width + right.width + 4 * GAP
    page = Image.new("RGB", (width, HEAD + left.height), "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, 2), "real crops", fill="black")
    draw.text((left.width + 4 * GAP, 2), f"samples, {title}", fill="black")
    page.paste(left, (0, HEAD))
    page.paste(right, (left.width + 4 * GAP, HEAD))
    make_folder(Path(path).parent)
    with replacing(path) as partial:
        page.save(partial, format="PNG")


def _grid(images: Sequence[Tensor]) -> Image.Image:
    shown = images[: ROWS**2]
    side = shown[0].shape[-1] + GAP
    page = Image.new("RGB", (ROWS * side - GAP, -(-len(shown) // ROWS) * side - GAP), "white")
    for i, image in enumerate(shown):
        page.paste(Image.fromarray(to_pixels(image)), (i % ROWS * side, i // ROWS * side))
    return page
