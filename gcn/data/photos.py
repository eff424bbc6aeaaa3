"""Photographs that come with scikit-image: training data that need no download.

Two of them are kept for validation, the others are made to go further: copies at several scales, exchanged
colour channels, mirrored crops, and dead-leaves images drawn with their colours and textures.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gcn.cli.extras import install
from gcn.data.images import BadImage, Pixels, load_image
from gcn.data.leaves_cache import drawn_once
from gcn.data.loader import Augment, Data, Source
from gcn.errors import InputError

COLOUR = ("astronaut.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg")
GREY = ("camera.png", "brick.png", "grass.png", "gravel.png")  # given a tint of their own at each scale
VAL = ("chelsea.png", "coffee.png")
SCALES = (1.0, 0.71, 0.5, 0.35)  # of the copies of each training photograph
_SEED = 2024  # of tints and leaves: the data are the same whatever the seed of a run


class Photos(Data):
    """Demonstration data: photographs in the public domain or under CC0, without a download.

    Args:
        crop: side of the training crops in pixels.
        batch: crops of a batch, over all processes together.
        workers: processes that make crops; everything is in memory, so 0 is fastest.
        grey: use the grey photographs too.
        scales: factors at which there are copies of the training photographs.
        dead_leaves: number of dead-leaves images.
        leaves_share: share of the crops that is taken from them.
        flip, permute_colours, gamma, downscale: see :class:`~gcn.data.loader.Augment`.

    Raises:
        InputError: an option is out of range, or scikit-image is not installed as it should be.
    """

    def __init__(
        self,
        crop: int = 64,
        batch: int = 8,
        workers: int = 0,
        grey: bool = True,
        scales: Sequence[float] = SCALES,
        dead_leaves: int = 60,
        leaves_share: float = 0.5,
        flip: bool = True,
        permute_colours: bool = True,
        gamma: float = 1.0,
        downscale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(crop, batch, workers)
        if not scales:
            raise InputError("data.scales=[]: give one factor or more")
        self.augment = Augment(flip, permute_colours, gamma, downscale)
        self.val = [photograph(name) for name in VAL]
        self.val_names = [Path(name).stem for name in VAL]
        names = COLOUR + GREY if grey else COLOUR
        originals = [photograph(name) for name in names]
        by_photograph = [
            copies_of(name, scales, original) for name, original in zip(names, originals, strict=True)
        ]
        copies = [copy for one_scale in zip(*by_photograph, strict=True) for copy in one_scale]
        self.sources = [Source(copies, 1 - leaves_share if dead_leaves else 1)]
        if dead_leaves and leaves_share:
            self.sources.append(Source(leaves_of(originals, dead_leaves), leaves_share))
        self._made_of = f"{len(names)} free photographs"
        if len(self.sources) > 1:
            self._made_of += f" and {dead_leaves} dead-leaves images"

    def report(self) -> str:
        """One line that says what these data are and what they are for."""
        return (
            f"demonstration data: {self._made_of}, validation on {' and '.join(self.val_names)}; "
            "for results give your own: data=folder data.root=FOLDER"
        )


def photograph(name: str) -> Pixels:
    """A photograph of scikit-image by its file name, straight from the installed package.

    ``skimage.data`` itself would look into a cache in the home folder and download what it misses.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise InputError(f"data=photos needs scikit-image: {install('train')}, or use data=folder")
    try:
        return load_image(Path(spec.origin).parent / "data" / name)
    except BadImage as reason:
        raise InputError(
            f"data=photos: {name} of scikit-image cannot be used ({reason}): reinstall it, or use data=folder"
        ) from None


def copies_of(name: str, scales: Sequence[float] = SCALES, original: Pixels | None = None) -> list[Pixels]:
    """Copies of a training photograph, one for each scale; those of a grey photograph have a tint each.

    Args:
        name: file name of the photograph.
        scales: factors of its height and width.
        original: its pixels; None: they are read.
    """
    original = photograph(name) if original is None else original
    smaller = [scaled(original, scale) for scale in scales]
    return [tinted(copy, seed) for seed, copy in enumerate(smaller)] if name in GREY else smaller


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """A copy at a smaller scale, antialiased."""
    if factor == 1:
        return pixels
    height, width = (max(1, round(n * factor)) for n in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def tinted(grey: Pixels, seed: int) -> Pixels:
    """A grey image under coloured light: each channel has a gain and an offset of its own."""
    rng = np.random.Generator(np.random.Philox(key=[_SEED, seed]))
    gain, offset = rng.normal(1, 0.1, 3), rng.normal(0, 8, 3)
    return (grey * gain + offset).clip(0, 255).round().astype(np.uint8)


def leaves_of(photographs: Sequence[Pixels], count: int) -> list[Pixels]:
    """Dead-leaves images from the photographs, scaled down where they are so large that texture would be lost."""
    return drawn_once([scaled(p, min(1, 512 / max(p.shape))) for p in photographs], count, seed=_SEED)
