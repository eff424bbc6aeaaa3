"""The photographs embedded in scikit-image's wheel: something to train on before any data set is at hand.

Two of them are kept for validation, the others are made to go further: copies at several scales, exchanged colour
channels, mirrored crops, and dead-leaves images drawn from their colours and textures.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gcn.data.images import BadImage, Pixels, load_image
from gcn.data.leaves import dead_leaves
from gcn.data.loader import Augment, Data, Source
from gcn.errors import InputError

TRAIN = ("astronaut.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg")
VAL = ("chelsea.png", "coffee.png")
_SEED = 2024  # of the dead leaves; the data are the same for every seed of a run


class Photos(Data):
    """Demonstration data: photographs in the public domain or under CC0, no download.

    Args:
        crop: side of the training crops in pixels.
        batch: crops of a batch, over all processes together.
        workers: processes that make crops; everything is in memory, so 0 is fastest.
        scales: factors at which copies of the training photographs are added.
        dead_leaves: number of dead-leaves images.
        leaves_share: share of the crops that is taken from them.
        flip, permute_colours, downscale: see :class:`~gcn.data.loader.Augment`.
    """

    def __init__(
        self,
        crop: int = 64,
        batch: int = 8,
        workers: int = 0,
        scales: Sequence[float] = (1.0, 0.71, 0.5, 0.35),
        dead_leaves: int = 60,
        leaves_share: float = 0.5,
        flip: bool = True,
        permute_colours: bool = True,
        downscale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(crop, batch, workers)
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise InputError(
                f"data.scales={list(scales)}: give at least one factor, each above 0 and at most 1"
            )
        if dead_leaves < 0:
            raise InputError(f"data.dead_leaves={dead_leaves}: give 0 for none, or their number")
        if not 0 <= leaves_share < 1:
            raise InputError(f"data.leaves_share={leaves_share}: give a share of at least 0 and below 1")
        self.augment = Augment(
            flip, permute_colours, None if downscale is None else (downscale[0], downscale[1])
        )
        self.val = [photograph(name) for name in VAL]
        self.val_names = [Path(name).stem for name in VAL]
        originals = [photograph(name) for name in TRAIN]
        self._leaves = dead_leaves if leaves_share else 0
        self.sources = [Source([scaled(p, scale) for p in originals for scale in scales], 1 - leaves_share)]
        if self._leaves:
            self.sources.append(Source(make_leaves(originals, self._leaves, seed=_SEED), leaves_share))

    def report(self) -> str:
        """One line that says what these data are good for."""
        train, val = (", ".join(Path(name).stem for name in names) for names in (TRAIN, VAL))
        return (
            f"demonstration data: {len(TRAIN)} free photographs ({train}) and {self._leaves} dead-leaves images, "
            f"validation on {val}; for results use data=folder data.root=FOLDER"
        )


def make_leaves(photographs: Sequence[Pixels], count: int, seed: int) -> list[Pixels]:
    """Dead-leaves images in the colours of the photographs."""
    return dead_leaves([scaled(p, min(1.0, 512 / max(p.shape))) for p in photographs], count, seed=seed)


def photograph(name: str) -> Pixels:
    """A photograph of scikit-image by its file name, straight from the installed package.

    ``skimage.data`` itself would look into a cache in the home folder and, failing a checksum, download.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise InputError(
            "data=photos needs the photographs of scikit-image: pip install scikit-image, or use data=folder"
        )
    try:
        return load_image(Path(spec.origin).parent / "data" / name)
    except BadImage as reason:
        raise InputError(
            f"data=photos: {name} of the installed scikit-image cannot be used ({reason}): reinstall it or use data=folder"
        ) from None


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """A copy at a smaller scale, antialiased."""
    if factor == 1:
        return pixels
    height, width = (max(1, round(n * factor)) for n in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
