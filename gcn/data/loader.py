"""Training crops as a pure function of (seed, position in the run), and whole images for validation.

Sample ``k`` of a run depends on nothing but the seed and ``k``: not on the worker that makes it, the number of
processes, or the samples before it. A run resumed at any step therefore sees exactly the images it would have seen,
with no state to save. Random numbers are raw Philox words (a counter-based generator: key = seed, counter = position),
for a generator object with state would have to be replayed, and one ``torch.Generator`` a sample costs more than the crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gcn.data.images import Pixels
from gcn.errors import InputError

_CROP, _ORDER = 1, 2  # what a key is for
_WORDS = 8  # random numbers of a sample
_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True)
class Augment:
    """What happens to a crop besides the choice of its place.

    Attributes:
        flip: mirror left and right in half of the crops.
        permute_colours: exchange the colour channels at random.
        downscale: (smallest, largest) factor by which a larger region is shrunk to the crop, or None. HiFiC: .75 to .95.
    """

    flip: bool = True
    permute_colours: bool = False
    downscale: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.downscale is not None:
            low, high = self.downscale
            if not 0 < low <= high <= 1:
                raise InputError(
                    f"data.downscale={list(self.downscale)}: give [low, high] with 0 < low <= high <= 1"
                )


class Source(NamedTuple):
    """A set of images (uint8, H×W×3) and the share of all crops that is taken from it."""

    images: Sequence[Pixels]
    share: float = 1.0


def uniforms(seed: int, purpose: int, position: int, n: int) -> list[float]:
    """``n`` numbers in [0, 1) that depend on the arguments only."""
    return [(int(w) >> 11) * 2.0**-53 for w in _philox(seed, purpose, position).random_raw(n)]


def _philox(seed: int, purpose: int, position: int) -> np.random.Philox:
    mask = 2**64 - 1
    return np.random.Philox(
        key=np.array([seed & mask, purpose], np.uint64), counter=np.array([0, 0, 0, position], np.uint64)
    )


@lru_cache(maxsize=8)
def order(seed: int, purpose: int, epoch: int, n: int) -> np.ndarray:
    """The order of ``n`` images in an epoch: the ranks of raw random words, which no NumPy release may change."""
    return np.argsort(_philox(seed, purpose, epoch).random_raw(n), kind="stable")


class Crops(Dataset[Tensor]):
    """Item ``step`` is this rank's part of all crops of one generator update."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        crop: int,
        seed: int,
        batch: int,
        d_steps: int = 1,
        rank: int = 0,
        world: int = 1,
        augment: Augment | None = None,
    ) -> None:
        if batch % world:
            raise InputError(
                f"data.batch={batch} cannot be split over {world} processes: use a multiple of {world}"
            )
        self.sources = [source for source in sources if source.share > 0]
        total = sum(source.share for source in self.sources)
        self.limits = np.cumsum([source.share / total for source in self.sources])[:-1].tolist()
        self.crop, self.seed, self.batch, self.d_steps = crop, seed, batch, d_steps
        self.rank, self.world, self.augment = rank, world, augment or Augment()

    def __getitem__(self, step: int) -> Tensor:
        """float32 (d_steps · batch / world, 3, P, P) in [0, 1].

        Row block ``i`` is this rank's part of the ``i``-th joint batch, so that joining block ``i`` of all ranks gives
        the batch of one process.
        """
        local = self.batch // self.world
        out = np.empty((self.d_steps * local, self.crop, self.crop, 3), np.uint8)
        for row in range(len(out)):
            block, within = divmod(row, local)
            out[row] = self.sample((step * self.d_steps + block) * self.batch + self.rank * local + within)
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)

    def sample(self, k: int) -> Pixels:
        """Crop ``k`` of the run, uint8 (P, P, 3)."""
        u = uniforms(self.seed, _CROP, k, _WORDS)
        which = sum(u[0] >= limit for limit in self.limits)
        images = self.sources[which].images
        epoch, place = divmod(k, len(images))
        pixels = images[order(self.seed, _ORDER + which, epoch, len(images))[place]]
        side = self.crop
        if self.augment.downscale is not None:
            low, high = self.augment.downscale
            side = max(self.crop, round(self.crop / (low + u[1] * (high - low))))
            side = max(self.crop, min(side, *pixels.shape[:2]))
        pixels = reflect_to(pixels, side)
        top, left = int(u[2] * (pixels.shape[0] - side + 1)), int(u[3] * (pixels.shape[1] - side + 1))
        cut = pixels[top : top + side, left : left + side]
        if side > self.crop:
            size = (self.crop, self.crop)
            cut = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC, reducing_gap=None))
        if self.augment.flip and u[4] < 0.5:
            cut = cut[:, ::-1]
        if self.augment.permute_colours:
            cut = cut[:, :, _PERMUTATIONS[int(u[5] * len(_PERMUTATIONS))]]
        return cut


def reflect_to(pixels: Pixels, side: int) -> Pixels:
    """Mirror an image at its lower and right border until neither side is shorter than ``side``."""
    height, width = pixels.shape[:2]
    if min(height, width) >= side:
        return pixels
    return np.pad(pixels, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="reflect")


def train_loader(crops: Crops, *, steps: int, start_step: int = 0, workers: int = 0) -> DataLoader[Tensor]:
    """One tensor per generator update, for the steps ``start_step`` to ``steps - 1``; its length is their number.

    The order and the pixels are the same for any number of workers. Nothing is drawn from the global generator.
    """
    for source in crops.sources:
        if workers and hasattr(
            source.images, "lost"
        ):  # so that a lost file is reported once, not once a worker
            source.images.lost = torch.zeros(len(source.images), dtype=torch.uint8).share_memory_()
    return DataLoader(
        crops,
        batch_size=None,
        sampler=range(start_step, max(start_step, steps)),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),  # the loader seeds its workers from it; they draw nothing
    )


class Whole(NamedTuple):
    """A whole image and its name."""

    name: str
    x: Tensor  # (1, 3, H, W), float32 in [0, 1]


class WholeImages(Dataset[Whole]):
    """The validation images of one rank: every ``world``-th, none padded, repeated or cropped."""

    def __init__(self, images: Sequence[Pixels], names: Sequence[str], rank: int = 0, world: int = 1) -> None:
        self.images, self.names = images, list(names)
        self.indices = range(rank, len(images), world)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Whole:
        at = self.indices[index]  # raises IndexError at the end, which ends a for loop
        return Whole(self.names[at], to_tensor(self.images[at]))


def to_tensor(pixels: Pixels) -> Tensor:
    """uint8 (H, W, 3) to float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(torch.float32) / 255


class Data:
    """What training needs of a data set; ``conf/data/*.yaml`` instantiate the subclasses.

    A subclass sets ``sources``, ``val``, ``val_names``, ``augment`` and writes :meth:`report`.
    """

    sources: Sequence[Source]
    val: Sequence[Pixels]
    val_names: Sequence[str]
    augment: Augment

    def __init__(self, crop: int, batch: int, workers: int) -> None:
        for name, value, least in (("crop", crop, 1), ("batch", batch, 1), ("workers", workers, 0)):
            if not isinstance(value, int) or value < least:
                raise InputError(f"data.{name}={value}: give a whole number of at least {least}")
        self.crop, self.batch, self.workers = crop, batch, workers

    def train_loader(
        self, *, seed: int, steps: int, start_step: int = 0, d_steps: int = 1, rank: int = 0, world: int = 1
    ) -> DataLoader[Tensor]:
        """Crops (d_steps · batch / world, 3, P, P) for each update from ``start_step`` on; see :class:`Crops`."""
        crops = Crops(
            self.sources, crop=self.crop, seed=seed, batch=self.batch, d_steps=d_steps, rank=rank, world=world,
            augment=self.augment,
        )  # fmt: skip
        return train_loader(crops, steps=steps, start_step=start_step, workers=self.workers)

    def val_images(self, rank: int = 0, world: int = 1) -> WholeImages:
        """Whole validation images of this rank, by name."""
        return WholeImages(self.val, self.val_names, rank, world)

    def report(self) -> str:
        """What the data are, a line or two, for the user."""
        raise NotImplementedError
