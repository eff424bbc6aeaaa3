"""How far reconstructions move from one validation to the next."""

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor

from gcn.training.validate import Decoded, centre

IMAGES, SIDE = 4, 128


class Jitter:
    """RMS difference, in grey levels, between the last two validations' reconstructions of a few central crops.

    Attributes:
        before: crops (3, h, w) of the last validation's reconstructions, by image; they belong into checkpoints.
    """

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}

    def __call__(self, images: Sequence[Decoded]) -> dict[str, float]:
        """``{"jitter": …}`` of a validation since the one before; empty where no image is in both."""
        crops = {  # copies: a checkpoint would hold the images that views are cut from
            image.name: image.x_hat[:, *centre(image, SIDE)].clone() for image in images[:IMAGES]
        }
        pairs = [(crops[name], self.before[name]) for name in crops if name in self.before]
        moved = [_rms(now - before) for now, before in pairs if now.shape == before.shape]
        self.before = crops
        return {"jitter": 255 * sum(moved) / len(moved)} if moved else {}

    def restore(self, before: Any, names: Sequence[str] = ()) -> None:
        """Continue from the crops of a checkpoint; in older ones they are a list, in the order of ``names``."""
        self.before = before if isinstance(before, dict) else dict(zip(names, before, strict=False))

    def forget(self, changed: Collection[str]) -> None:
        """Forget the crops of images that have changed."""
        self.before = {name: crop for name, crop in self.before.items() if name not in changed}


def _rms(difference: Tensor) -> float:
    return float(difference.square().mean().sqrt())
