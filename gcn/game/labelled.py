"""Batches of images with a label each, for discriminators and terms that are given the class of an image."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Labelled(NamedTuple):
    """Images and the class of each.

    Attributes:
        x: images (B, 3, H, W) in [0, 1].
        labels: integers (B,), the number of each image's class.
    """

    x: Tensor
    labels: Tensor


Batch = Tensor | Labelled  # images (B, 3, H, W), with or without labels


def images_of(batch: Batch) -> Tensor:
    """The images (B, 3, H, W) of a batch."""
    return batch.x if isinstance(batch, Labelled) else batch


def with_images(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with a function of its images (B, 3, H, W) in their place; labels stay."""
    return batch._replace(x=function(batch.x)) if isinstance(batch, Labelled) else function(batch)


def parts_of(batch: Batch, count: int) -> list[Batch]:
    """A batch in ``count`` equal parts, in order, each with its own labels."""
    if isinstance(batch, Labelled):
        return [Labelled(*part) for part in zip(*(whole.chunk(count) for whole in batch), strict=True)]
    return list(batch.chunk(count))
