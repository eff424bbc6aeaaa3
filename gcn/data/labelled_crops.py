"""Crops of one generator update together with the labels of the images that they are taken from."""

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from gcn.data.loader import Crops
from gcn.game.labelled import Labelled


class LabelledCrops(Dataset[Labelled]):
    """Item ``step`` holds this rank's crops of a generator update and their labels.

    Args:
        crops: the crops; their images lie in memory, so that none is replaced by another.
        labels: number of the class of each image, a sequence for each source of the crops.
    """

    def __init__(self, crops: Crops, labels: Sequence[Sequence[int]]) -> None:
        self.crops, self.labels = crops, labels
        self.rank, self.world, self.d_steps = crops.rank, crops.world, crops.d_steps

    def __getitem__(self, step: int) -> Labelled:
        """Crops as of :class:`gcn.data.loader.Crops`, and labels (d_steps · batch / world,), int64."""
        images = [self.crops.image_of(k) for k in self.crops.positions(step)]
        return Labelled(self.crops[step], torch.tensor([self.labels[which][at] for which, at in images]))

    def new_bad(self) -> dict[str, str]:
        """An empty dictionary: images in memory do not become unreadable."""
        return {}
