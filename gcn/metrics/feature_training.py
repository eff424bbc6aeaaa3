"""Training of the network of patch features: which degradation of the bank, if any, does a crop have?"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gcn.errors import InputError
from gcn.metrics.degradations import LADDERS, rungs
from gcn.metrics.fidelity import to_uint8
from gcn.metrics.patch_features import DIMENSIONS, PatchFeatures, random_weights

SIDE = 32  # pixels of a crop
FEWEST = 4  # images
TESTED = 4  # every fourth image is for the accuracy alone
BATCH, RATE, DECAY = 128, 3e-3, 1e-4
PHOTOGRAPH = 0  # the class of what is not degraded; ladder k is class k + 1


class Crops(NamedTuple):
    """Crops (N, 3, 32, 32) uint8 with their classes (N,) and the indices (N,) of the images they were cut from.

    Copies of one image at several scales have the same index.
    """

    pixels: Tensor
    label: Tensor
    image: Tensor


class Trained(NamedTuple):
    """Weights, and shares of right answers on crops of images that were not trained on."""

    weights: dict[str, Tensor]
    accuracy: float
    of_ladder: dict[str, float]


def bank(
    images: Sequence[Sequence[Tensor]], seed: int, places: int = 12, watch: Callable[[Sequence], Any] = iter
) -> Crops:
    """Crops of photographs, degraded in every way at every strength; whole images are degraded, then cut.

    Args:
        images: for each photograph one copy or more (3, H, W) in [0, 1], at least 32 pixels a side.
        seed: of places and noise.
        places: where each copy is cut, the same places for every degradation.
        watch: wraps the copies, for a progress bar.
    """
    copies = [(owner, copy) for owner, scales in enumerate(images) for copy in scales]
    names = [one.name for one in LADDERS]
    kinds = [PHOTOGRAPH, *(names.index(one.name) + 1 for one, _ in rungs())]
    pixels = torch.empty(len(copies), len(kinds), places, 3, SIDE, SIDE, dtype=torch.uint8)
    for index, (_, image) in enumerate(watch(copies)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        corners = [
            [int(torch.randint(side - SIDE + 1, (), generator=generator)) for side in image.shape[1:]]
            for _ in range(places)
        ]
        for kind, version in enumerate(_versions(image[None], seed + index)):
            eight = to_uint8(version[0])
            for place, (top, left) in enumerate(corners):
                pixels[index, kind, place] = eight[:, top : top + SIDE, left : left + SIDE]
    label = torch.tensor(kinds)[None, :, None].expand(pixels.shape[:3])
    owner = torch.tensor([owner for owner, _ in copies])[:, None, None].expand(pixels.shape[:3])
    return Crops(pixels.flatten(0, 2), label.flatten(), owner.flatten())


def _versions(x: Tensor, seed: int) -> Iterator[Tensor]:
    """An image (1, 3, H, W), and after it the image degraded in every way at every strength."""
    yield x
    for one, strength in rungs():
        yield one.at(x, strength, seed)


def train(crops: Crops, steps: int, seed: int) -> Trained:
    """Train the network with a linear classifier on its features; each class is equally frequent in a batch.

    Raises:
        InputError: fewer than ``FEWEST`` images.
    """
    if int(crops.image.max()) + 1 < FEWEST:
        raise InputError(
            f"images: {int(crops.image.max()) + 1} are too few to train on; give {FEWEST} or more"
        )
    generator = torch.Generator().manual_seed(seed)
    weights = random_weights(seed)
    head = torch.zeros(len(LADDERS) + 1, DIMENSIONS)
    bias = torch.zeros(len(head))
    layers = [tensor for name, tensor in weights.items() if name != "scale"]
    trained = [tensor.requires_grad_() for tensor in (*layers, head, bias)]
    optimizer = torch.optim.AdamW(trained, weight_decay=DECAY)
    network = PatchFeatures(weights)
    kept = crops.image % TESTED != TESTED - 1
    of_class = [torch.where(kept & (crops.label == label))[0] for label in range(len(head))]
    for step in range(steps):
        labels = torch.randint(len(head), (BATCH,), generator=generator)
        drawn = torch.rand(BATCH, generator=generator)
        chosen = torch.stack(
            [
                of_class[label][int(u * len(of_class[label]))]
                for label, u in zip(labels.tolist(), drawn.tolist(), strict=True)
            ]
        )
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 10 * (step + 1) / steps) * (1 - step / steps)
        logits = F.linear(network(crops.pixels[chosen].float() / 255), head, bias)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    found = {name: tensor.detach() for name, tensor in weights.items()}
    right = (
        F.linear(PatchFeatures(found).of_bytes(crops.pixels), head, bias).argmax(1) == crops.label
    ).float()
    names = ["photograph", *(one.name for one in LADDERS)]
    shares = {name: float(right[~kept & (crops.label == label)].mean()) for label, name in enumerate(names)}
    found["scale"] = scale(found, crops.pixels[kept & (crops.label == PHOTOGRAPH)])
    return Trained(found, sum(shares.values()) / len(shares), shares)


def scale(weights: dict[str, Tensor], photographs: Tensor) -> Tensor:
    """Factor (1,) after which the features of photographs (N, 3, s, s) uint8 have a mean square of 1.

    The kernel of KID, (x·y/d + 1)³, expects such features.
    """
    return PatchFeatures(weights).of_bytes(photographs).square().mean().rsqrt()[None]
