"""Validation of a generator without an original: its samples against real crops, as two sets."""

import torch

from gcn.data.loader import Crops, Data, Whole
from gcn.game.streams import Streams
from gcn.metrics.realism import Slicing, sliced_wasserstein
from gcn.models.dcgan import DCGAN
from gcn.training.validate import SEED, Decoded, Evaluation

NUMBER = 256  # of samples, of real crops, and of the other real crops of the floor
SLICING = Slicing(patches=32, directions=256)
PURPOSE = 2**63  # a seed that no run has, so that the real crops are none of the training


class RealCrops:
    """Real crops that samples are compared with, drawn and augmented as training crops are; the same in every run.

    Attributes:
        images: named crops (1, 3, P, P) in [0, 1].
        floor: sliced Wasserstein distance between them and as many other crops of the same images. Samples that cannot
            be told from real crops have this distance.
    """

    def __init__(self, data: Data) -> None:
        ours, others = (
            Crops(data.sources, crop=data.crop, seed=PURPOSE + i, batch=1, augment=data.augment)
            for i in range(2)
        )
        self.images = [Whole(f"crop {i}", ours[i]) for i in range(NUMBER)]
        real, other = [image.x[0] for image in self.images], [others[i][0] for i in range(NUMBER)]
        self.floor = sliced_wasserstein(real, other, SEED, SLICING)["mean"]


def evaluate_samples(generator: DCGAN, reals: RealCrops) -> Evaluation:
    """Samples of fixed noise beside the real crops.

    Args:
        generator: a copy in eval mode.
        reals: what the samples are compared with.

    Returns:
        For each crop a sample, which is no reconstruction of it; ``swd``, the sliced Wasserstein distance between both
        sets, and ``swd_floor``.
    """
    x_hats = generator.sample(len(reals.images), Streams(SEED).at("validation")).cpu()
    pairs = zip(reals.images, x_hats, strict=True)
    images = [Decoded(name, x[0], x_hat, 0.0, None, torch.zeros(0)) for (name, x), x_hat in pairs]
    swd = sliced_wasserstein([image.x for image in images], list(x_hats), SEED, SLICING)["mean"]
    return Evaluation(images, {"swd": swd, "swd_floor": reals.floor})
