"""The images that a small model is fitted to: a folder's, or scikit-image's photographs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def images(
    root: str | None, chosen: Callable[[list[Path]], Sequence[Path]] = list
) -> list[tuple[str, list["Tensor"]]]:
    """Name and copies, (3, H, W) in [0, 1], of each image.

    Args:
        root: folder of images; None: the free photographs of scikit-image, four copies of each.
        chosen: which of the folder's images are used, and in which order.
    """
    from gcn.data.images import decode
    from gcn.data.photos import COLOUR, GREY, copies_of
    from gcn.data.scan import scan
    from gcn.evaluation.measuring import tensor

    if root is None:
        pixels = [(name, copies_of(name)) for name in sorted(COLOUR + GREY)]
    else:
        found = scan(Path(root), crop=32, keep_bytes=0)
        paths = chosen([entry.path for entry in found.entries])
        pixels = [(path.name, [decode(path).pixels]) for path in paths]
    return [(name, [tensor(one.copy()).float() / 255 for one in copies]) for name, copies in pixels]
