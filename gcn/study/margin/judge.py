"""The judge of a margin: a classifier that is trained after the decoder on crops of images the decoder never saw.

A run *holds* as long as a fresh classifier tells its reconstructions from photographs hardly better than it tells those
of the same decoder trained by distortion alone, the reference. So a run is never compared with its own start. *Hardly*
is said of the classifier's log-loss, 1 - bits, and not of the bits: these cannot exceed 1, so where the reference has
.85 bits a fixed number of bits more would be out of reach.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gcn.data.loader import Data, order
from gcn.errors import InputError
from gcn.metrics.c2st import C2ST, FEWEST, Classifier, c2st
from gcn.models.codec import Codec
from gcn.study.arms import MarginPlan
from gcn.study.ground import Decoder

TILE = 32  # pixels; larger crops are cut into tiles of this side
MANY = 8  # images from which whole images are held out; of fewer, a part of each is
_PLACES = 73  # a purpose of random numbers
BATCH = 128  # patches of each kind in an update of the classifier
LEAST = 1e-6  # log-loss in bits that is told from none
PART = 8  # crops that are decoded at once; from 16 on, a 1x1 convolution takes twice as long


class Reference(NamedTuple):
    """What the judge says of the decoder trained by distortion alone, and whether this judge can be used.

    Attributes:
        bits: mean over its judged looks, b₀.
        delta: δ, octaves by which the log-loss of a run may be below that of the reference.
        noise: standard deviation of the judge's log-loss between looks at equally good decoders, octaves.
        failed: octaves by which the log-loss falls for a decoder that has failed by any standard: trained by the
            distortion alone at the highest learning rate of the search. None: it is not finite.
    """

    bits: float
    delta: float
    noise: float = 0.0
    failed: float | None = None

    @property
    def limit(self) -> float:
        """Bits above which a run fails."""
        return 1 - (1 - self.bits) * 2**-self.delta

    @property
    def better(self) -> float:
        """Bits below which a run is better than the reference."""
        return 1 - (1 - self.bits) * 2**self.delta

    @property
    def problem(self) -> str | None:
        """Why this judge cannot be used; None if it can."""
        if self.failed is not None and self.failed <= self.delta:
            return (
                "the classifiers do not see that a decoder has failed: trained by the distortion alone at the highest "
                f"learning rate, it lowers their log-loss by {self.failed:.2f} octaves, and {self.delta:g} are allowed"
            )
        if 2 * self.noise > self.delta:
            return (
                f"chance alone changes the classifiers' log-loss by {self.noise:.2f} octaves (standard deviation), too "
                f"much for the {self.delta:g} that are allowed"
            )
        return None


class Look(NamedTuple):
    """Result of the judge for one decoder: means over the classifiers of ``C2ST.bits`` and ``C2ST.auc``."""

    bits: float
    auc: float


@dataclass(frozen=True)
class Judge:
    """Crops that are judged, with their latents.

    Attributes:
        x: (J, 3, c, c) uint8.
        y_hat: latents (J, M, h, w).
        held_out: (J,) bool: crops that the classifier is tested on and never trained on.
        options: size and budget of the classifier.
    """

    x: Tensor
    y_hat: Tensor
    held_out: Tensor
    options: Classifier

    @torch.no_grad()
    def reconstruct(self, generator: Decoder) -> Tensor:
        """Reconstructions (J, 3, c, c) of the crops, not clamped."""
        return torch.cat([generator.decode(part) for part in self.y_hat.split(PART)])

    def look(self, generator: Decoder, seeds: int) -> Look | None:
        """Mean bits and AUC of so many classifiers, seeds from 0 on; None where reconstructions are not finite.

        All decoders are judged by classifiers of the same seeds. Most of a classifier's luck is its own, whatever it
        judges, and cancels where the bits of two decoders are compared.
        """
        found = self.each(generator, seeds)
        if found is None:
            return None
        return Look(sum(one.bits for one in found) / seeds, sum(one.auc for one in found) / seeds)

    def each(self, generator: Decoder, seeds: int) -> list[C2ST] | None:
        """The results of :meth:`look` one by one."""
        x_hat = self.reconstruct(generator)
        if not bool(x_hat.isfinite().all()):
            return None
        real, fake, held_out = tiles(self.x.float() / 255), tiles(x_hat), self.held_out
        held_out = held_out.repeat_interleave(len(real) // len(held_out))
        return [c2st(real, fake, held_out, seed, self.options) for seed in range(seeds)]


def reference_of(
    looks: Sequence[Sequence[float]], judges: int, delta: float, failed: float | None = None
) -> Reference:
    """The reference from the bits of several classifiers at several looks.

    The looks are those of equally good decoders, so that a classifier's differences between them are what chance does.

    Args:
        looks: for each look the bits of every classifier, in the order of their seeds; two looks or more.
        judges: how many of the classifiers judge a run: the first ones, whose bits b₀ is the mean of.
        delta: δ, octaves.
        failed: bits of these classifiers for a decoder that has failed; None: it is not finite.
    """
    own = [sum(octaves) / len(looks) for octaves in zip(*map(_octaves, looks), strict=True)]
    squares = sum((one - mean) ** 2 for bits in looks for one, mean in zip(_octaves(bits), own, strict=True))
    noise = math.sqrt(squares / ((len(looks) - 1) * len(own)) / judges)
    bits = sum(sum(one[:judges]) / judges for one in looks) / len(looks)
    fall = None if failed is None else _octaves([bits])[0] - _octaves([failed])[0]
    return Reference(bits, delta, noise, fall)


def _octaves(bits: Sequence[float]) -> list[float]:
    """Logarithms to base 2 of log-losses; a classifier that is always right has a small one instead of none."""
    return [math.log2(max(1 - one, LEAST)) for one in bits]


def tiles(x: Tensor) -> Tensor:
    """Crops (N, 3, c, c) cut into tiles (N·k, 3, TILE, TILE); as they are where c is no multiple of ``TILE``."""
    side = x.shape[-1]
    if side % TILE:
        return x
    return x.unfold(2, TILE, TILE).unfold(3, TILE, TILE).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


@torch.no_grad()
def prepare(codec: Codec, data: Data, crop: int, plan: MarginPlan, seed: int) -> Judge:
    """The judge of a seed, from the validation images.

    Every third image is held out from the classifier. Of fewer than ``MANY`` images, the right third of each is.

    Args:
        codec: whose latents the crops have.
        data: images that the decoder is not trained on are its validation images.
        crop: side of the training crops, pixels; a multiple of what the codec needs.
        plan: size of the classifier, and how many tiles of 32 pixels (or crops) it is trained and tested on at most.
        seed: of the places in the images.

    Raises:
        InputError: too few crops.
    """
    images = data.val_images()
    wanted = {False: plan.judge_train, True: plan.judge_test}
    if crop % TILE == 0:
        wanted = {side: -(-number * TILE**2 // crop**2) for side, number in wanted.items()}
    sides: dict[bool, list[list[Tensor]]] = {False: [], True: []}
    for i, image in enumerate(images):
        for side, cells in _cells(image.x[0], crop, i, len(images)).items():
            places = order(seed, _PLACES, 2 * i + side, len(cells)).tolist() if cells else []
            most = -(-wanted[side] // max(1, len(images) // 3)) if len(images) >= MANY else len(cells)
            sides[side].append([cells[k] for k in places[:most]])
    chosen = {side: _in_turn(sides[side])[: wanted[side]] for side in sides}
    counts = [len(tiles(torch.stack(c))) if c else 0 for c in chosen.values()]
    if min(counts) < FEWEST:
        raise InputError(
            f"validation images: {counts[0]} crops to train the judging classifier on and {counts[1]} to test "
            f"it on, at least {FEWEST} each are needed; give more or larger images, or a smaller data.crop"
        )
    x = torch.stack([*chosen[False], *chosen[True]])
    held_out = torch.tensor([False] * len(chosen[False]) + [True] * len(chosen[True]))
    y_hat = torch.cat([codec.quantise(codec.analyse(part)).y_hat for part in x.split(PART)])
    options = Classifier(plan.judge_side, plan.judge_width, plan.judge_epochs, BATCH, plan.judge_rate)
    return Judge((x * 255).round().to(torch.uint8), y_hat, held_out, options)


def _cells(image: Tensor, crop: int, number: int, images: int) -> dict[bool, list[Tensor]]:
    """Crops (3, c, c) of an image side by side: those for training the classifier, and those held out from it."""
    rows, columns = (n // crop for n in image.shape[-2:])
    found: dict[bool, list[Tensor]] = {False: [], True: []}
    for i in range(rows):
        for j in range(columns):
            held_out = number % 3 == 2 if images >= MANY else 3 * j >= 2 * columns
            found[held_out].append(image[:, i * crop : (i + 1) * crop, j * crop : (j + 1) * crop])
    return found


def _in_turn(lists: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    longest = max(map(len, lists), default=0)
    return [cells[k] for k in range(longest) for cells in lists if k < len(cells)]
