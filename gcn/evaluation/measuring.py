"""Measurement of images one by one through the settings of all codecs: read, code, measure, save, drop.

At no time is more than one image decoded. What stays of an image is of bounded size: its row of numbers, patches for
the sliced Wasserstein distance (``PATCHES`` at most, fewer of each image where there are many), crops for the other
instruments of realism (`gcn.metrics.realism_of_sets`) and, where the network of FID is there, its features.
"""

import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gcn.cli.terminal import reason
from gcn.data.images import BadImage, Decoded
from gcn.errors import InputError, is_memory_error
from gcn.evaluation import SMALLER
from gcn.evaluation.journal import Journal
from gcn.evaluation.settings import Code, Coded, Files, NotTheReconstruction, Setting, classical, stored
from gcn.evaluation.sources import Source, digest
from gcn.metrics.classical import Classical, Pixels
from gcn.metrics.fidelity import decibels, ms_ssim, ms_ssim_scales, squared_error
from gcn.metrics.learned import ImageFeatures, Learned
from gcn.metrics.realism import Patches, Slicing, compare, compare_disjoint, describe
from gcn.metrics.realism_of_sets import CLASSIFIER, FEWEST, Look, crops_of, enough, look, of_sets
from gcn.report.rates.rate_record import ImageRow

SEED = 0  # of patches and directions, the same for every evaluation
PATCHES = 32768  # of all images together on each level: 128 of each up to 256 images

T = TypeVar("T")


class Failure(Exception):
    """An image that cannot be evaluated; the message is a reason of one line."""


@dataclass(frozen=True)
class Image:
    """Name, size and index of an image of the evaluation.

    Attributes:
        index: its place among all images.
        name: which no other has.
        id: digest of its pixels.
        patches, other: two draws of the places.
        look: crops and lattice power.
    """

    index: int
    name: str
    id: str
    width: int
    height: int
    source: Source
    patches: Patches
    other: Patches
    look: Look
    features: ImageFeatures | None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def key(self) -> str:
        """Name for the patches and crops of a reconstruction, whose positions depend on the image's index."""
        return f"{self.index}-{self.id}-{len(self.look.crops)}"


class Measured(NamedTuple):
    """All images through one setting of a codec."""

    setting: Setting
    rows: list[ImageRow]
    values: dict[str, float]  # of all images together

    @property
    def bpp(self) -> float:
        """Bits per pixel: the bits of all files over the pixels of all images."""
        return 8 * sum(r.bytes for r in self.rows) / sum(r.width * r.height for r in self.rows)


def describe_slicing(slicing: Slicing) -> str:
    """The options of the sliced Wasserstein distance, in words."""
    return (
        f"sliced Wasserstein distance over Laplacian pyramids of {slicing.levels} levels, {slicing.patches} patches of"
        f" {slicing.patch}x{slicing.patch} pixels an image and level, {slicing.directions} directions"
    )


class Evaluation:
    """The images of an evaluation, with those that have failed.

    Args:
        sources: of the images.
        learned: metrics of learned features.

    Attributes:
        failed: names of images that are in no number, and why.
    """

    def __init__(self, sources: Sequence[Source], learned: Learned) -> None:
        self.learned = learned
        self.slicing = Slicing(patches=max(1, min(Slicing().patches, PATCHES // max(1, len(sources)))))
        self.crops = crops_of(len(sources))
        self.failed: dict[str, str] = {}
        self.images: list[Image] = []
        self.count, self.files = len(sources), Files()
        for index, source in enumerate(shown(sources, "reading")):
            try:
                self.images.append(self._look(index, source))
            except Failure as problem:
                self.fail(source.name, str(problem))

    def usable(self) -> list[Image]:
        """The images that have passed through every setting so far.

        Raises:
            InputError: there is none.
        """
        left = [image for image in self.images if image.name not in self.failed]
        if not left:
            name, why = next(iter(self.failed.items()))
            raise InputError(f"{len(self.failed)} of {len(self.failed)} images failed; {name}: {why}")
        return left

    def fail(self, name: str, why: str) -> None:
        """Exclude an image, and print the reason."""
        self.failed[name] = why
        print(f"error: {name}: {why}", file=sys.stderr, flush=True)

    def floor(self) -> float:
        """Sliced Wasserstein distance between two draws of patches from the originals."""
        left = self.usable()
        pairs = [image.patches for image in left], [image.other for image in left]
        return compare(*pairs, 3, SEED, self.slicing)["mean"]

    def disjoint_floor(self) -> float:
        """SWD between photographs with different images on the two sides; NaN for fewer than ``FEWEST``."""
        left = [image.patches for image in self.usable()]
        return compare_disjoint(left, left, 3, SEED, self.slicing) if len(left) >= FEWEST else math.nan

    def remarks(self) -> list[str]:
        """Lines about instruments that are left out for these images."""
        left = self.usable()
        said = []
        if problem := enough([image.look for image in left]):
            said.append(f"C2ST and KID of crops left out: {problem}")
        if len(left) < FEWEST:
            said.append(f"SWD with different images left out: {len(left)} images, {FEWEST} are the least")
        return said

    def measure(self, setting: Setting, journal: Journal) -> Measured:
        """All usable images through a setting; those in the journal are not coded again."""
        code: Code | None = None
        left = self.usable()
        known = journal.sets.get((setting.id, self._key(left)))
        rows = {}
        for image in shown(left, f"{setting.series} {setting.name}"):
            row = journal.row(setting.id, image.id, setting.kind)
            if row is None or (known is None and not journal.has_tensors(setting.id, image.key)):
                try:
                    code = code or setting.load()
                    row, tensors = self._through(setting, code, image, row)
                except Failure as problem:
                    self.fail(image.name, str(problem))
                    continue
                journal.add_tensors(setting.id, image.key, tensors)
                if (setting.id, image.id) not in journal.rows:
                    journal.add_row(row)
            rows[image.name] = _named(row, setting, image)
        left = self.usable()
        values = journal.sets.get((setting.id, self._key(left)))
        if values is None:
            values = self._of_all(setting, left, journal)
            journal.add_set(setting.id, self._key(left), values)
        return Measured(setting, [rows[image.name] for image in left], values)

    def rate(self, codec: Classical, value: float, journal: Journal) -> float:
        """Bits per pixel of all usable images at a setting of a classical codec; nothing is decoded."""
        setting, bits = classical(codec, value, self.files), 0
        for image in self.usable():
            size = journal.sizes.get((setting.id, image.id))
            if size is None and (row := journal.row(setting.id, image.id, setting.kind)) is not None:
                size = row.bytes
            if size is None:
                try:
                    file = _guarded(partial(self.files.of, codec, value), self.decode(image))
                except Failure as problem:
                    self.fail(image.name, str(problem))
                    continue
                size = len(file)
                journal.add_size(setting.id, image.id, size)
            bits += 8 * size
        return bits / sum(image.pixels for image in self.usable())

    def decode(self, image: Image) -> Decoded:
        """The image, decoded again; raises Failure if it has changed."""
        decoded = _load(image.source)
        if digest(decoded) != image.id:
            raise Failure("it has changed while it was evaluated")
        return decoded

    def _look(self, index: int, source: Source) -> Image:
        decoded = _load(source)
        height, width = decoded.pixels.shape[:2]

        def kept(image: Decoded) -> tuple[Patches, Patches, Look, ImageFeatures | None]:
            eight = tensor(stored(image))
            x = eight.float() / 255
            first, second = (describe(x, index, seed, self.slicing) for seed in (SEED, SEED + 1))
            return first, second, look(x, index, SEED, self.crops), self.learned.features(eight, self.count)

        return Image(index, source.name, digest(decoded), width, height, source, *_guarded(kept, decoded))

    def _through(
        self, setting: Setting, code: Code, image: Image, row: ImageRow | None
    ) -> tuple[ImageRow, dict[str, Tensor]]:
        """The row of an image through a setting (``row`` if saved), and tensors for distances between sets."""
        decoded = self.decode(image)

        def measured(decoded: Decoded) -> tuple[ImageRow, dict[str, Tensor]]:
            coded = code(decoded)
            eight = tensor(coded.pixels)
            x_hat = eight.float() / 255
            patches = describe(x_hat, image.index, SEED, self.slicing)
            tensors = {f"level_{level}": part for level, part in enumerate(patches)}
            tensors |= look(x_hat, image.index, SEED, self.crops)._asdict()
            features = self.learned.features(eight, self.count)
            if features is not None:
                tensors |= features._asdict()
            found = self._row(setting, image, stored(decoded), coded) if row is None else row
            return found, tensors

        return _guarded(measured, decoded)

    def _row(self, setting: Setting, image: Image, original: Pixels, coded: Coded) -> ImageRow:
        error = squared_error(original, coded.pixels)
        x, x_hat = (tensor(pixels).float() / 255 for pixels in (original, coded.pixels))
        return ImageRow(
            setting.series, setting.name, image.name, image.width, image.height, coded.file_bytes,
            8 * coded.file_bytes / image.pixels, decibels(error), float(ms_ssim(x[None], x_hat[None])),
            coded.numbers | self.learned.of_pair(x, x_hat), error, ms_ssim_scales(image.height, image.width),
            setting.id, image.id,
        )  # fmt: skip

    def _of_all(self, setting: Setting, images: Sequence[Image], journal: Journal) -> dict[str, float]:
        saved = [journal.tensors(setting.id, image.key) or {} for image in images]
        fake = [[one[f"level_{i}"] for i in range(len(one)) if f"level_{i}" in one] for one in saved]
        patches = [image.patches for image in images]
        values = {"swd": compare(patches, fake, 3, SEED, self.slicing)["mean"]}
        looks = [Look(one["crops"], one["lattice"]) for one in saved]
        values |= of_sets([image.look for image in images], looks)
        if len(images) >= FEWEST:
            values["swd_disjoint"] = compare_disjoint(patches, fake, 3, SEED, self.slicing)
        real = [image.features for image in images if image.features is not None]
        features = [ImageFeatures(one["whole"], one["patches"]) for one in saved if "whole" in one]
        return values | self.learned.of_sets(real, features)

    def _key(self, images: Sequence[Image]) -> str:
        """Name for a set of images and for what is measured on it."""
        options = self.slicing, self.learned.inception is not None, self.crops, CLASSIFIER
        text = repr((*options, [image.key for image in images]))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def tensor(pixels: Pixels) -> Tensor:
    """The pixels of an image as they are stored, uint8 (3, H, W)."""
    if pixels.ndim == 2:
        return torch.from_numpy(pixels).expand(3, -1, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def shown(items: Sequence[T], what: str) -> Iterable[T]:
    """Iterator over the items, with a progress bar on a terminal."""
    if not sys.stderr.isatty() or len(items) < 2:
        return items
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    return track(items, escape(what), console=Console(stderr=True), transient=True)


def _load(source: Source) -> Decoded:
    try:
        return source.load()
    except BadImage as problem:
        raise Failure(str(problem)) from None


def _guarded(work: Callable[[Decoded], T], image: Decoded) -> T:
    """The result of ``work`` on an image; raises Failure if the image or too little memory is the cause."""
    try:
        return work(image)
    except NotTheReconstruction:
        raise
    except (InputError, FloatingPointError, MemoryError, RuntimeError) as problem:
        if isinstance(problem, RuntimeError) and not is_memory_error(problem):
            raise
        raise Failure(reason(problem, SMALLER)) from None


def _named(row: ImageRow, setting: Setting, image: Image) -> ImageRow:
    """A saved row under the present names of image and setting."""
    return replace(row, codec=setting.series, setting=setting.name, image=image.name)
