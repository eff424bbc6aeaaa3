"""DiffAugment: random colours, shifts and holes in everything that D is given."""

from collections.abc import Callable

import torch
from torch import Tensor

from gcn.game.slots import Perturbation
from gcn.game.streams import Stream

GREY = 0.5  # what comes in from outside of an image, 0 in the authors' images in [-1, 1]
SHIFT, HOLE = 0.125, 0.5  # largest shift and side of a hole, as parts of the image's side


class DiffAugment(Perturbation):
    """T(x) and T(x_hat), T random and differentiable, in D's turn and in G's (Zhao et al. 2020, arXiv 2006.10738).

    Policies, in this order, u and the shifts drawn for each image:

    ===========  =====================================================================================
    color        x + (u - ½)/2; then 2u·x + (1 - 2u)·(mean over channels); then (u + ½)·x + (½ - u)·(mean of x)
    translation  shifted by up to an eighth of each side, whole pixels; grey comes in
    cutout       a grey hole of half of each side, centred anywhere in the image, cut at its border
    ===========  =====================================================================================

    An image and its reconstruction share the draw, so that losses and terms that compare D's outputs on both compare
    the same places. The condition y_hat stays as it is.

    Args:
        policies: ``all``, or names of policies joined by ``_``.
    """

    paired = True

    def __init__(self, policies: str) -> None:
        super().__init__()
        chosen = list(POLICIES) if policies == "all" else policies.split("_")
        self.policies = [name for name in POLICIES if name in chosen]

    def forward(self, images: Tensor, stream: Stream, step: int) -> Tensor:
        """Augmented images, (B, 3, H, W) as ``images``."""
        for name in self.policies:
            images = POLICIES[name](images, stream.child(name))
        return images


def color(images: Tensor, stream: Stream) -> Tensor:
    """Images (B, 3, H, W) with random brightness, saturation and contrast, each uniform around no change."""
    images = images + (_uniform(images, stream, "brightness") - 0.5) / 2
    grey = images.mean(1, keepdim=True)
    images = grey + 2 * _uniform(images, stream, "saturation") * (images - grey)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (_uniform(images, stream, "contrast") + 0.5) * (images - mean)


def translation(images: Tensor, stream: Stream) -> Tensor:
    """Images (B, 3, H, W) shifted by whole pixels, each shift of up to an eighth of a side equally likely."""
    for dim in (2, 3):
        size = images.shape[dim]
        most = int(size * SHIFT + 0.5)
        shift = _integer(images, stream, f"shift {dim}", 2 * most + 1) - most
        source = _places(images, dim) - shift  # (B, 1, H, 1) or (B, 1, 1, W)
        moved = images.gather(dim, source.clamp(0, size - 1).expand_as(images))
        images = torch.where((source >= 0) & (source < size), moved, GREY)
    return images


def cutout(images: Tensor, stream: Stream) -> Tensor:
    """Images (B, 3, H, W) with a grey rectangle of half of each side, less where it crosses the border."""
    cut = torch.ones((), dtype=torch.bool, device=images.device)
    for dim in (2, 3):
        size = images.shape[dim]
        side = int(size * HOLE + 0.5)
        start = _integer(images, stream, f"centre {dim}", size + 1 - side % 2) - side // 2
        places = _places(images, dim)
        cut = cut & (places >= start) & (places < start + side)
    return torch.where(cut, GREY, images)


POLICIES: dict[str, Callable[[Tensor, Stream], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def _uniform(images: Tensor, stream: Stream, name: str) -> Tensor:
    """One value of [0, 1) an image, (B, 1, 1, 1), in fp32 whatever the images are."""
    return stream.child(name).uniform(images.new_empty((len(images), 1, 1, 1), dtype=torch.float32))


def _integer(images: Tensor, stream: Stream, name: str, count: int) -> Tensor:
    """One integer of 0 … count - 1 an image, (B, 1, 1, 1), all equally likely."""
    return (_uniform(images, stream, name) * count).long()


def _places(images: Tensor, dim: int) -> Tensor:
    """Indices 0, 1, … along one dimension, in a shape that broadcasts against ``images``."""
    size = images.shape[dim]
    return torch.arange(size, device=images.device).reshape(*[size if i == dim else 1 for i in range(4)])
