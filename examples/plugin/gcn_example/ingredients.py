"""The classes that the files in ``conf/`` name: each is of a kind that gcn builds in that place."""

import numpy as np
from torch import Tensor
from torch.nn.functional import relu

from gcn.data.loader import Augment, Data, Source
from gcn.game.slots import Term
from gcn.game.turn import Turn
from gcn.losses.adversarial import Adversarial
from gcn.models.blocks import synthesis
from gcn.models.factorized import Factorized


class SquaredHinge(Adversarial):
    """D: relu(1 - t)², relu(1 + t)²; G: -t. The hinge loss with a gradient that is continuous at the margin."""

    def real(self, t: Tensor) -> Tensor:
        return relu(1 - t).square()

    def fake(self, t: Tensor) -> Tensor:
        return relu(1 + t).square()

    def generator(self, t: Tensor) -> Tensor:
        return -t


class Edges(Term):
    """E |∇x - ∇x_hat|, the mean difference of neighbouring pixels' differences (Mathieu et al. 2016, α = 1)."""

    def forward(self, turn: Turn) -> Tensor:
        error = turn.x_hat - turn.x  # (B, 3, H, W)
        down, right = error.diff(dim=-2).abs(), error.diff(dim=-1).abs()
        return turn.mean(down) + turn.mean(right)


class Lopsided(Factorized):
    """A codec with a factorised prior whose decoder has other numbers of channels than its encoder.

    Args:
        N, decoder, M: channels of the encoder's layers, of the decoder's layers, of the latents.
    """

    def __init__(self, N: int, decoder: int, M: int) -> None:
        super().__init__(N, M, 5, "gdn", 0, "transposed", "noise", init_scale=2.0, speed=10.0, gain=2.0)
        self.architecture = {"N": N, "decoder": decoder, "M": M}  # what a model file needs to build it again
        self.g_s = synthesis(decoder, M, 5, "gdn", 0, 2.0, "transposed")


class Stripes(Data):
    """Images of coloured stripes in random directions, drawn from a fixed seed; two of them for validation.

    Args:
        crop, batch, workers: as of every data set.
        count: training images.
        side: of an image in pixels; MS-SSIM needs 161 or more.
    """

    def __init__(self, crop: int, batch: int, workers: int, count: int, side: int) -> None:
        super().__init__(crop, batch, workers)
        images = [stripes(side, seed) for seed in range(count + 2)]
        self.sources, self.augment = [Source(images[2:])], Augment()
        self.val, self.val_names = images[:2], ["stripes-0", "stripes-1"]

    def report(self) -> str:
        """One line that says what these data are."""
        return f"stripes: {len(self.sources[0].images)} images of coloured stripes, two for validation"


def stripes(side: int, seed: int) -> np.ndarray:
    """An image (side, side, 3), uint8."""
    random = np.random.Generator(np.random.Philox(key=[1, seed]))
    angle, period = random.uniform(0, np.pi), random.uniform(6, 40)
    row, column = np.mgrid[:side, :side]
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (np.cos(angle) * row + np.sin(angle) * column) / period)
    dark, light = random.uniform(0, 255, (2, 3))
    return (dark + wave[..., None] * (light - dark)).astype(np.uint8)
