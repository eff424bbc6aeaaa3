"""The crops that studies validate on: whole squares of the images, in turn, or one line where there are none."""

import pytest
import torch

from gcn.errors import InputError
from gcn.study.ground import SIDE, _val_crops


def test_images_without_a_whole_crop_are_told_in_one_line():
    with pytest.raises(InputError, match=rf"none has {SIDE}x{SIDE} pixels.*data=digits data.crop={SIDE}"):
        _val_crops([torch.zeros(3, 32, 32)] * 2, 4)


def test_crops_are_taken_from_the_images_in_turn():
    images = [torch.full((3, 2 * SIDE, SIDE), 1.0), torch.zeros(3, 32, 32), torch.full((3, SIDE, SIDE), 2.0)]
    assert _val_crops(images, 9)[:, 0, 0, 0].tolist() == [1, 2, 1]
