"""Scikit-learn's digits: images beside their labels, the same for any workers, processes and resumption."""

import numpy as np
import pytest
import torch
from PIL import Image

from gcn.config.parse import parse
from gcn.config.preflight import check_run
from gcn.data import digits as module
from gcn.data.digits import Digits, enlarged, table
from gcn.errors import InputError
from gcn.game.labelled import Labelled, images_of, parts_of, with_images


@pytest.fixture(scope="module")
def digits():
    return Digits(batch=4, held_out=20)


def test_the_file_is_what_scikit_learn_documents():
    """The first digit as in its user guide, and the numbers of images of each digit."""
    ink, labels = table()
    assert ink.shape == (1797, 8, 8)
    assert ink[0, :3].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
    ]
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_an_enlarged_digit_has_the_ink_of_each_pixel():
    ink, _ = table()
    pixels = enlarged(ink[0], 32, "nearest")
    assert pixels.shape == (32, 32, 3)
    assert np.array_equal(pixels[::4, ::4, 1], np.rint(ink[0] * 15.9375))
    assert np.array_equal(pixels[3::4, 3::4, 2], pixels[::4, ::4, 0])
    smooth = enlarged(ink[0], 32, "bicubic").astype(float)
    assert abs(smooth.mean() - pixels.mean()) < 2
    assert np.abs(np.diff(smooth[..., 0])).max() < np.abs(np.diff(pixels[..., 0].astype(float))).max()


def test_each_image_has_its_own_label_in_every_batch(digits):
    known = {
        image.tobytes(): label for image, label in zip(digits.sources[0].images, digits.labels, strict=True)
    }
    seen = set()
    for batch in digits.train_loader(seed=3, steps=8, d_steps=2):
        assert batch.x.shape == (8, 3, 32, 32)
        for x, label in zip(batch.x, batch.labels.tolist(), strict=True):
            pixels = (x * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            assert known[pixels.tobytes()] == label
            seen.add(label)
    assert len(seen) == 10


def test_validation_images_are_held_out_with_their_digit_in_the_name(digits):
    assert len(digits.labels) == 1797 - 20
    assert len(digits.val) == 20
    training = {image.tobytes() for image in digits.sources[0].images}
    assert not any(image.tobytes() in training for image in digits.val)
    assert [name.rpartition("_")[2] for name in digits.val_names] == [
        str(label) for label in digits.val_labels
    ]
    assert next(iter(digits.val_images())).x.shape == (1, 3, 32, 32)


def test_fewer_classes():
    two = Digits(classes=2, held_out=10, crop=16)
    assert set(two.labels) == set(two.val_labels) == {0, 1}
    (batch,) = two.train_loader(seed=0, steps=1)
    assert batch.x.shape == (8, 3, 16, 16)


def test_a_later_start_workers_and_processes_change_nothing(digits):
    whole = list(digits.train_loader(seed=1, steps=4, d_steps=2))
    later = list(digits.train_loader(seed=1, steps=4, start_step=2, d_steps=2))
    other = Digits(batch=4, held_out=20, workers=1)
    with other.train_loader(seed=1, steps=4, start_step=2, d_steps=2) as loader:
        worked = list(loader)
    for found in (later, worked):
        for ours, theirs in zip(whole[2:], found, strict=True):
            assert torch.equal(ours.x, theirs.x)
            assert torch.equal(ours.labels, theirs.labels)
    ranks = [list(digits.train_loader(seed=1, steps=4, d_steps=2, rank=r, world=2)) for r in range(2)]
    for step, joint in enumerate(whole):
        blocks = [parts_of(ranks[r][step], 2) for r in range(2)]
        for i, turn in enumerate(parts_of(joint, 2)):
            assert torch.equal(turn.labels, torch.cat([blocks[r][i].labels for r in range(2)]))
            assert torch.equal(turn.x, torch.cat([blocks[r][i].x for r in range(2)]))


def test_parts_and_functions_of_a_batch():
    x, labels = torch.arange(4.0).reshape(4, 1, 1, 1), torch.tensor([3, 1, 4, 1])
    first, second = parts_of(Labelled(x, labels), 2)
    assert second.labels.tolist() == [4, 1]
    assert torch.equal(first.x, x[:2])
    doubled = with_images(second, torch.Tensor.double)
    assert doubled.x.dtype == torch.float64
    assert doubled.labels is second.labels
    assert images_of(x) is x
    assert [part.shape[0] for part in parts_of(x, 4)] == [1, 1, 1, 1]


def test_without_scikit_learn_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"data=digits needs scikit-learn: pip install .*\[digits\].*data=photos"
    ):
        table()
    monkeypatch.setattr("gcn.config.preflight.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"data=digits needs scikit-learn: pip install .*\[digits\]"):
        check_run(parse(["data=digits", "mse=1"]), ["data=digits", "mse=1"])


@pytest.mark.parametrize("content", [b"no numbers", b"1,2,3\n", b"0,1\n" * 10])
def test_a_damaged_file_is_one_line(monkeypatch, tmp_path, content):
    name = "digits.csv"
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(module, "FILE", tmp_path / name)
    with pytest.raises(InputError) as refusal:
        table()
    assert "digits.csv of scikit-learn cannot be used" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_side_that_is_no_multiple_of_eight_is_refused():
    with pytest.raises(InputError, match=r"data\.crop=20"):
        Digits(crop=20)
    with pytest.raises(InputError, match=r"data\.crop=20: a digit has 8 pixels a side.*data\.crop=32"):
        parse(["data=digits", "mse=1", "data.crop=20"])


@pytest.mark.parametrize("mode", ["bicubic", "nearest"])
def test_a_blank_digit_stays_black(mode):
    assert not enlarged(np.zeros((8, 8), np.uint8), 16, mode).any()
    assert (
        Image.fromarray(enlarged(np.full((8, 8), 16, np.uint8), 16, mode)).getextrema() == ((255, 255),) * 3
    )
