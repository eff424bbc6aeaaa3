"""Realism of a set of reconstructions by instruments that need no download.

* C2ST: how well a fresh classifier tells crops of reconstructions from crops of photographs;
* KID on features of random convolutions, and of a small network that has learned to see degradations;
* the lattice index: regular patterns that upsampling leaves.

(The fourth, SWD with different images on the two sides, is in `gcn.metrics.realism`.)

Images are looked at one by one, and what is kept of each is of bounded size. `docs/study/margin/instruments` has what
each instrument sees of degradations of known strength.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from gcn.metrics.c2st import C2ST, Classifier, c2st
from gcn.metrics.fidelity import to_uint8
from gcn.metrics.lattice import PERIODS, lattice_index, lattice_power
from gcn.metrics.mmd import paired_mmd
from gcn.metrics.patch_features import PatchFeatures, random_weights, trained_weights

SIDE = 32  # pixels of a crop
GRID = 16  # pixels between places of crops
FEWEST = 10  # images, from which numbers of whole sets are stated: five are trained on, five tested
CROPS = 256  # of all images together, from which they are stated
TOTAL = 8192  # crops of all images together, at most, but for one of each image
TARGET = 1600  # crops that a set of images should have
MOST = 64  # crops of an image
CLASSIFIER = Classifier()
SEEDS = 3  # classifiers for each number
QUANTILE = 1.96  # standard errors of a 95 % interval


class Look(NamedTuple):
    """All that is kept of an image, or of a reconstruction.

    Attributes:
        crops: (K, 3, 32, 32) uint8, at places that depend on the image's index; none of images smaller than that.
        lattice: (2, 4), see `lattice_power`.
    """

    crops: Tensor
    lattice: Tensor


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Classified(NamedTuple):
    """Result of the classifier two-sample test with every image held out once.

    Attributes:
        auc: mean over classifiers.
        bits: mean over images and seeds, with its 95 % interval over both.
        of_seeds: standard deviation of the bits from seed to seed; NaN for one seed.
        of_images: standard error of the bits over images.
    """

    auc: float
    bits: Interval
    of_seeds: float
    of_images: float


def crops_of(images: int) -> int:
    """Number of crops of each image, for a number of images."""
    return max(1, min(MOST, -(-TARGET // max(1, images)), TOTAL // max(1, images)))


def look(image: Tensor, index: int, seed: int, count: int) -> Look:
    """Crops and lattice power of an image (3, H, W) in [0, 1], as a file of 8 bits holds it.

    Crops begin at multiples of 16 pixels, as the latents of a codec do: then patterns that upsampling leaves lie at the
    same pixels of every crop, where a classifier finds them.

    Args:
        image: clamped and rounded here.
        index: of the image; the places depend on it, on the seed and on the image's size.
        seed: key of the places.
        count: of crops, see `crops_of`; fewer in an image that is too small for so many.
    """
    eight = to_uint8(image)
    if min(eight.shape[-2:]) < SIDE:
        return Look(eight.new_zeros(0, 3, SIDE, SIDE), lattice_power(eight.float() / 255))
    digest = hashlib.blake2b(repr((seed, "crops", index)).encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    rows, columns = ((size - SIDE) // GRID + 1 for size in eight.shape[-2:])
    chosen = torch.randperm(rows * columns, generator=generator)[:count]
    places = [(int(k) // columns * GRID, int(k) % columns * GRID) for k in chosen]
    crops = [eight[:, top : top + SIDE, left : left + SIDE] for top, left in places]
    return Look(torch.stack(crops), lattice_power(eight.float() / 255))


def enough(looks: Sequence[Look]) -> str | None:
    """Why these images are too few for C2ST, KID and SWD of disjoint images, in a line; None where they are enough."""
    useful = [len(one.crops) for one in looks if len(one.crops)]
    if len(useful) < FEWEST:
        return f"{len(useful)} images of at least {SIDE} pixels a side, {FEWEST} are the least"
    if sum(useful) < CROPS:
        return f"{sum(useful)} crops of {SIDE} pixels, {CROPS} are the least"
    return None


def classify(
    real: Sequence[Look], fake: Sequence[Look], seeds: Iterable[int], options: Classifier = CLASSIFIER
) -> Classified:
    """Result of the classifier two-sample test in which every image is tested by classifiers that have not seen it.

    Images of even index are tested by a classifier trained on those of odd index, and the other way round, for each
    seed. The interval is over images and over seeds.

    Args:
        real, fake: of the same images in the same order; at least ``FEWEST`` of them have crops.
        seeds: of the classifiers.
        options: their size.
    """
    both = [(a.crops, b.crops) for a, b in zip(real, fake, strict=True) if len(a.crops)]
    x, x_hat = (torch.cat([pair[side] for pair in both]) for side in (0, 1))
    owner = torch.cat([torch.full((len(crops),), index) for index, (crops, _) in enumerate(both)])
    aucs, of_image, of_seed = [], [], []
    for seed in seeds:
        folds: list[tuple[Tensor, C2ST]] = []
        for parity in (0, 1):
            held_out = owner % 2 == parity
            folds.append((owner[held_out], c2st(x, x_hat, held_out, seed, options)))
        aucs += [found.auc for _, found in folds]
        own = torch.zeros(len(both), dtype=torch.double)
        for owners, found in folds:
            own.index_add_(0, owners, found.of_crop)
        of_image.append(own / torch.bincount(owner).double())
        of_seed.append(float(of_image[-1].mean()))
    mean = torch.stack(of_image).mean(0)
    of_images = float(mean.std()) / math.sqrt(len(mean))
    of_seeds = math.nan if len(of_seed) < 2 else float(torch.tensor(of_seed, dtype=torch.double).std())
    variance = of_images**2 + (0.0 if math.isnan(of_seeds) else of_seeds**2 / len(of_seed))
    value, error = max(0.0, float(mean.mean())), QUANTILE * math.sqrt(variance)
    bits = Interval(value, max(0.0, value - error), min(1.0, value + error))
    return Classified(sum(aucs) / len(aucs), bits, of_seeds, of_images)


def kernel_distances(real: Sequence[Look], fake: Sequence[Look]) -> dict[str, Interval]:
    """KID on random and on trained features of crops, by name of the features; the interval is over images."""
    both = [(a.crops, b.crops) for a, b in zip(real, fake, strict=True) if len(a.crops)]
    x, x_hat = (torch.cat([pair[side] for pair in both]) for side in (0, 1))
    image = torch.cat([torch.full((len(crops),), index) for index, (crops, _) in enumerate(both)])
    found = {}
    for name in ("random", "trained"):
        network = _network(name)
        value, error = paired_mmd(network.of_bytes(x), network.of_bytes(x_hat), image)
        found[name] = Interval(value, value - QUANTILE * error, value + QUANTILE * error)
    return found


@cache
def _network(name: str) -> PatchFeatures:
    return PatchFeatures(random_weights() if name == "random" else trained_weights())


def lattices(real: Sequence[Look], fake: Sequence[Look]) -> dict[int, Interval]:
    """The lattice index of each period, with an interval over images; NaN without an image of 64 pixels a side."""
    found = lattice_index([one.lattice for one in real], [one.lattice for one in fake])
    wide = found.factor**QUANTILE
    return {
        period: Interval(float(ratio), float(ratio / factor), float(ratio * factor))
        for period, ratio, factor in zip(PERIODS, found.ratio, wide, strict=True)
    }


def of_sets(
    real: Sequence[Look], fake: Sequence[Look], seeds: Iterable[int] = range(SEEDS)
) -> dict[str, float]:
    """Numbers of all images together: those of the instruments that have enough images, with their intervals.

    ``c2st`` (bits), ``c2st_auc``, ``kid_random``, ``kid_trained``, each but the AUC with ``_low`` and ``_high``;
    ``lattice_2`` to ``lattice_16``, and ``lattice``, the largest of these.
    """
    found: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    if enough(real) is None:
        classified = classify(real, fake, seeds)
        found["c2st_auc"] = classified.auc
        intervals["c2st"] = classified.bits
        intervals |= {f"kid_{name}": one for name, one in kernel_distances(real, fake).items()}
    for name, one in intervals.items():
        found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    ratios = {f"lattice_{period}": one.value for period, one in lattices(real, fake).items()}
    return found | ratios | {"lattice": max(ratios.values())}
