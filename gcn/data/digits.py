"""Handwritten digits that come with scikit-learn: images with labels, without a download."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gcn.cli.extras import install
from gcn.data.batches import TrainLoader
from gcn.data.images import Pixels
from gcn.data.labelled_crops import LabelledCrops
from gcn.data.loader import Augment, Crops, Data, Source
from gcn.errors import InputError

SIDE = 8  # pixels a side of a digit in the file
INK = 16  # its largest value
FILE = Path("datasets", "data", "digits.csv.gz")
RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}


class Digits(Data):
    """The 1797 grey digits of scikit-learn, 8×8 pixels, enlarged by an integer; the label of an image is its digit.

    They are the test set of UCI's optical recognition of handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0),
    written by 13 people. The last images of the file are held out for validation. There is no augmentation: a mirrored
    digit is none.

    Args:
        crop: side of the enlarged images in pixels, a multiple of 8; a crop is a whole image.
        batch: images of a batch, over all processes together.
        workers: processes that make batches; everything is in memory, so 0 is fastest.
        classes: use the digits 0 to ``classes`` - 1.
        held_out: number of validation images.
        resampling: ``bicubic`` (smooth strokes) or ``nearest`` (squares).

    Attributes:
        labels: of the training images, in the order of ``sources[0].images``.
        val_labels: of the validation images.

    Raises:
        InputError: scikit-learn is not installed, or its file is not as it should be.
    """

    def __init__(
        self,
        crop: int = 32,
        batch: int = 8,
        workers: int = 0,
        classes: int = 10,
        held_out: int = 50,
        resampling: str = "bicubic",
    ) -> None:
        super().__init__(crop, batch, workers)
        if crop % SIDE:
            raise InputError(
                f"data.crop={crop}: the digits have {SIDE} pixels a side; give a multiple of {SIDE}"
            )
        ink, labels = table()
        ink, labels = ink[labels < classes], labels[labels < classes]
        images = [enlarged(digit, crop, resampling) for digit in ink]
        self.augment = Augment(flip=False)
        self.sources = [Source(images[:-held_out])]
        self.labels, self.val_labels = labels[:-held_out].tolist(), labels[-held_out:].tolist()
        self.val = images[-held_out:]
        self.val_names = [f"{i}_digit_{label}" for i, label in enumerate(self.val_labels)]
        self.classes = classes

    def train_loader(
        self, *, seed: int, steps: int, start_step: int = 0, d_steps: int = 1, rank: int = 0, world: int = 1
    ) -> TrainLoader:
        """Labelled batches (d_steps · batch / world) for each update from ``start_step`` on; see :class:`Data`."""
        crops = Crops(
            self.sources, crop=self.crop, seed=seed, batch=self.batch, d_steps=d_steps, rank=rank, world=world,
            augment=self.augment,
        )  # fmt: skip
        labelled = LabelledCrops(crops, [self.labels])
        return TrainLoader(labelled, steps=steps, start_step=start_step, workers=self.workers, bad=self.bad)

    def report(self) -> str:
        """One line that says what these data are, and which discriminators are given the labels."""
        return (
            f"scikit-learn's handwritten digits 0 to {self.classes - 1}, {len(self.labels)} for training and "
            f"{len(self.val)} for validation; discriminator=projection and auxiliary are given the labels"
        )


def table() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All digits (1797, 8, 8), ink from 0 to 16, and their labels (1797,), in the order of the file.

    Straight from the installed package: importing ``sklearn.datasets`` would take a second.

    Raises:
        InputError: scikit-learn is not installed, or its file is not as it should be.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise InputError(f"data=digits needs scikit-learn: {install('digits')}, or use data=photos")
    file = Path(spec.origin).parent / FILE
    try:
        rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
        ink, labels = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1]
        if ink.min() < 0 or ink.max() > INK or set(labels.tolist()) != set(range(10)):
            raise ValueError("other values than digits have")
    except (OSError, ValueError, IndexError, EOFError) as problem:
        reason = " ".join(str(problem).split())[:150]
        raise InputError(
            f"data=digits: {FILE.name} of scikit-learn cannot be used ({reason}): reinstall it, or use data=photos"
        ) from None
    return ink.astype(np.uint8), labels


def enlarged(digit: NDArray[np.uint8], side: int, resampling: str) -> Pixels:
    """A digit (8, 8), ink from 0 to 16, as a grey image in RGB, uint8 (side, side, 3): white on black."""
    grey = (digit * (255 / INK)).round().astype(np.uint8)
    large = np.asarray(Image.fromarray(grey).resize((side, side), RESAMPLING[resampling]))
    return np.repeat(large[:, :, None], 3, axis=2)
