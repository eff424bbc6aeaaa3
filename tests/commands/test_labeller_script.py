"""scripts/labeller.py: from a folder of images to a file that labeller=patches reads."""

import numpy as np
import pytest
import torch
from PIL import Image

from gcn.commands.labeller import main
from gcn.config.assemble import game
from gcn.config.parse import parse
from gcn.models.labeller import Patches


@pytest.fixture
def folder(tmp_path):
    """An image of four colours, in blocks of 8×8 pixels."""
    colours = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]], dtype=np.uint8)
    blocks = colours[np.arange(64).reshape(8, 8) % 4]
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).save(images / "four.png")
    return images


def test_four_colours_are_four_classes(folder, tmp_path, capsys):
    out = tmp_path / "four.safetensors"
    words = [f"data.root={folder}", "classes=4", f"out={out}"]
    assert main(words) == 0
    assert (
        "64 patches of 1 images in 4 classes of 25.00% to 25.00%; 0.0% of the variance"
        in capsys.readouterr().out
    )
    x = torch_image(folder / "four.png")
    labels = Patches(4, str(out))(x)[0]
    assert (labels[:, :4] == labels[:, 4:]).all()
    assert sorted(labels[0, :4].tolist()) == [0, 1, 2, 3]
    cfg = parse(["loss=oasis", "discriminator=unet", "discriminator.width=2", "labeller=patches", "mse=1",
                 f"labeller.file={out}", "labeller.classes=4"])  # fmt: skip
    assert game(cfg)[0].discriminator.classes == 4
    assert main(words) == 2, "the file is not replaced"
    assert "overwrite=true" in capsys.readouterr().err


def torch_image(path):
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float() / 255


def test_fewer_distinct_patches_than_classes(folder, tmp_path, capsys):
    assert main([f"data.root={folder}", "classes=5", f"out={tmp_path / 'five'}"]) == 2
    assert "only 4 distinct patches" in capsys.readouterr().err
    assert not (tmp_path / "five").exists()
