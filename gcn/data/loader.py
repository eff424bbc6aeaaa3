"""Training crops as a pure function of (seed, position in the run), and whole images for validation.

Sample ``k`` of a run depends on nothing but the seed and ``k``: not on the worker that makes it, the number
of processes, or the samples before it. A run resumed at any step therefore sees exactly the images it would
have seen, with no state to save. The random numbers are raw words of Philox, a generator without history
(words are a function of key and counter), which is also the cheapest way to a new sequence for each sample.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from gcn.data.batches import TrainLoader
from gcn.data.checks import check_downscale
from gcn.data.images import BadImage, Pixels
from gcn.data.store import Store
from gcn.errors import InputError

_CROP, _ORDER = 1, 2  # purposes of a random sequence; source i orders its images with _ORDER + i
_LEVELS = np.arange(256) / 255
_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True)
class Augment:
    """Random changes of a crop besides the choice of its position.

    Attributes:
        flip: mirror left and right in half of the crops.
        permute_colours: exchange the colour channels at random.
        gamma: largest exponent of a random tone curve x^g, log g uniform on ±log gamma; 1 for none.
        downscale: (low, high), the factors by which a larger region is shrunk to the crop, or None.
            HiFiC: (.75, .95).
    """

    flip: bool = True
    permute_colours: bool = False
    gamma: float = 1.0
    downscale: Sequence[float] | None = None

    def __post_init__(self) -> None:
        check_downscale(self.downscale)


class Source(NamedTuple):
    """A set of images, each uint8 (H, W, 3), and its share of all crops."""

    images: Sequence[Pixels]
    share: float = 1.0


def _words(seed: int, purpose: int, position: int, n: int) -> NDArray[np.uint64]:
    """``n`` random 64-bit numbers that depend on the arguments only."""
    key = np.array([seed % 2**64, purpose], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, 0, position], np.uint64)).random_raw(n)


def uniforms(seed: int, purpose: int, position: int, n: int) -> list[float]:
    """``n`` numbers in [0, 1) that depend on the arguments only."""
    return [(word >> 11) * 2.0**-53 for word in _words(seed, purpose, position, n).tolist()]


@lru_cache(maxsize=8)
def order(seed: int, purpose: int, epoch: int, n: int) -> NDArray[np.int64]:
    """The order of ``n`` images in an epoch, a permutation of range(n)."""
    return np.argsort(_words(seed, purpose, epoch, n), kind="stable")


class Crops(Dataset[Tensor]):
    """Item ``step`` holds this rank's part of all crops of one generator update."""

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
                f"data.batch={batch} does not split over {world} processes: use a multiple of {world}"
            )
        self.sources = [source for source in sources if source.share > 0]
        shares = np.cumsum([source.share for source in self.sources])
        self.limits = (shares[:-1] / shares[-1]).tolist()
        self.crop, self.seed, self.batch, self.d_steps = crop, seed, batch, d_steps
        self.rank, self.world, self.augment = rank, world, augment or Augment()

    def __getitem__(self, step: int) -> Tensor:
        """float32 (d_steps · batch / world, 3, P, P) in [0, 1].

        Block ``i`` of ``batch / world`` rows is this rank's part of the joint batch ``i``: the blocks ``i``
        of all ranks, joined in order of rank, are the batch that one process would see.
        """
        crops = np.stack([self.sample(k) for k in self.positions(step)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)

    def positions(self, step: int) -> list[int]:
        """Numbers k of this rank's crops of one generator update, in the order of the rows."""
        local = self.batch // self.world
        places = [divmod(row, local) for row in range(self.d_steps * local)]
        return [
            (step * self.d_steps + block) * self.batch + self.rank * local + within
            for block, within in places
        ]

    def image_of(self, k: int) -> tuple[int, int]:
        """The image that crop ``k`` is taken from: the index of its source, and its index there."""
        which = self._source(uniforms(self.seed, _CROP, k, 1)[0])
        return which, self._image(which, k)

    def _source(self, u: float) -> int:
        return sum(u >= limit for limit in self.limits)

    def _image(self, which: int, k: int) -> int:
        number = len(self.sources[which].images)
        epoch, place = divmod(k, number)
        return int(order(self.seed, _ORDER + which, epoch, number)[place])

    def new_bad(self) -> dict[str, str]:
        """Images that this process found to have become unreadable since the last call, with the reasons."""
        stores = [source.images for source in self.sources if isinstance(source.images, Store)]
        return {name: reason for store in stores for name, reason in store.new_bad().items()}

    def sample(self, k: int) -> Pixels:
        """Crop ``k`` of the run, uint8 (P, P, 3)."""
        which_u, zoom_u, top_u, left_u, flip_u, colour_u, tone_u = uniforms(self.seed, _CROP, k, 7)
        which = self._source(which_u)
        pixels = self.sources[which].images[self._image(which, k)]
        side = self.crop
        if self.augment.downscale is not None:
            low, high = self.augment.downscale
            wanted = round(self.crop / (low + zoom_u * (high - low)))
            side = max(
                self.crop, min(wanted, *pixels.shape[:2])
            )  # a small image is shrunk less, or not at all
        pixels = mirrored(pixels, side)
        top, left = int(top_u * (pixels.shape[0] - side + 1)), int(left_u * (pixels.shape[1] - side + 1))
        cut = pixels[top : top + side, left : left + side]
        if side > self.crop:
            shrunk = Image.fromarray(cut).resize(
                (self.crop, self.crop), Image.Resampling.BICUBIC
            )  # antialiased
            cut = np.asarray(shrunk)
        if self.augment.flip and flip_u < 0.5:
            cut = cut[:, ::-1]
        if self.augment.permute_colours:
            cut = cut[:, :, _PERMUTATIONS[int(colour_u * len(_PERMUTATIONS))]]
        if self.augment.gamma > 1:
            cut = (255 * _LEVELS ** (self.augment.gamma ** (2 * tone_u - 1))).round().astype(np.uint8)[cut]
        return cut


def mirrored(pixels: Pixels, side: int) -> Pixels:
    """Continue an image by reflection at its lower and right border until no side is below ``side``."""
    height, width = pixels.shape[:2]
    if min(height, width) >= side:
        return pixels
    return np.pad(pixels, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="reflect")


def train_loader(crops: Crops, *, steps: int, start_step: int = 0, workers: int = 0) -> TrainLoader:
    """One tensor per generator update, from ``start_step`` to ``steps - 1``; its length is their number.

    Order and pixels are the same for any number of workers, and nothing is drawn from the global generator.
    """
    return TrainLoader(crops, steps=steps, start_step=start_step, workers=workers)


class Whole(NamedTuple):
    """A whole image and its name."""

    name: str
    x: Tensor  # (1, 3, H, W), float32 in [0, 1]


class WholeImages(Sequence[Whole]):
    """The validation images of one rank: every ``world``-th; none padded, cropped or repeated.

    An iteration leaves out images that went bad since they were scanned, and notes them in ``bad``.
    """

    def __init__(
        self,
        images: Sequence[Pixels],
        names: Sequence[str],
        rank: int = 0,
        world: int = 1,
        bad: dict[str, str] | None = None,
    ) -> None:
        self.images, self.names = images, names
        self.indices = range(rank, len(images), world)
        self.bad = {} if bad is None else bad

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Whole]:
        for index in range(len(self)):
            try:
                yield self[index]
            except BadImage as reason:
                self.bad.setdefault(
                    self.names[self.indices[index]], f"{reason}; validation goes on without it"
                )

    def __getitem__(self, index: int) -> Whole:  # type: ignore[override]
        """An image by its index; raises BadImage if it became unreadable since it was scanned."""
        at = self.indices[index]
        pixels = self.images.exactly(at) if isinstance(self.images, Store) else self.images[at]
        chw = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Whole(self.names[at], torch.from_numpy(chw)[None].to(torch.float32) / 255)


class Data:
    """A data set for training and validation; ``conf/data/*.yaml`` name the subclasses.

    A subclass sets ``sources``, ``val``, ``val_names`` and ``augment``, and writes :meth:`report`.

    Attributes:
        bad: names of images that went bad after the scan, with the reasons; filled while images are read.
        bad_share: share of all images up to which that is tolerated; one always is.
    """

    sources: Sequence[Source]
    val: Sequence[Pixels]
    val_names: Sequence[str]
    augment: Augment

    def __init__(self, crop: int, batch: int, workers: int) -> None:
        self.crop, self.batch, self.workers = crop, batch, workers
        self.bad: dict[str, str] = {}
        self.bad_share = 0.01

    def train_loader(
        self, *, seed: int, steps: int, start_step: int = 0, d_steps: int = 1, rank: int = 0, world: int = 1
    ) -> TrainLoader:
        """Crops (d_steps · batch / world, 3, P, P) for each update from ``start_step`` on.

        Raises:
            InputError: ``batch`` is no multiple of ``world``.
        """
        crops = Crops(
            self.sources,
            crop=self.crop,
            seed=seed,
            batch=self.batch,
            d_steps=d_steps,
            rank=rank,
            world=world,
            augment=self.augment,
        )
        return TrainLoader(crops, steps=steps, start_step=start_step, workers=self.workers, bad=self.bad)

    def val_images(self, rank: int = 0, world: int = 1) -> WholeImages:
        """Whole validation images of this rank, with their names."""
        return WholeImages(self.val, self.val_names, rank, world, self.bad)

    def val_sizes(self) -> list[tuple[int, int]]:
        """Height and width in pixels of all validation images."""
        if isinstance(self.val, Store):
            return [(entry.height, entry.width) for entry in self.val.entries]
        return [(pixels.shape[0], pixels.shape[1]) for pixels in self.val]

    def tolerated(self) -> int:
        """Number of images that may become unreadable during a run."""
        total = len(self.val) + sum(len(source.images) for source in self.sources)
        return max(1, int(self.bad_share * total))

    def report(self) -> str:
        """One or a few lines that tell the user which data are used."""
        raise NotImplementedError
