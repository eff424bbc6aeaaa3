"""A user's folder: what is trained on, what is held out, what is refused."""

import shutil

import pytest
import torch
from PIL import Image

from gcn.data.folder import Folder
from gcn.errors import InputError


def names(data):
    root = data.sources[0].images.entries
    return {entry.path.name for entry in root}, {name.rsplit("/")[-1] for name in data.val_names}


def test_a_share_is_held_out_by_name(pictures, write):
    data = Folder(pictures, val_share=0.3)
    train, val = names(data)
    assert len(train) + len(val) == 12
    assert val
    assert not train & val
    assert names(Folder(pictures, val_share=0.3)) == (train, val)
    assert f"held out for validation, by a hash of the name: {len(val)} of 12" in data.report()
    for i in range(20, 40):  # more images move none of the others
        write(pictures / f"{i}.png", seed=i)
    more_train, more_val = names(Folder(pictures, val_share=0.3))
    assert train < more_train
    assert val < more_val


def test_a_split_holds_out_another_part_for_each_number(pictures):
    everything = {f"{i:02}.png" for i in range(12)}
    parts = {}
    for split in range(6):
        data = Folder(pictures, val_share=0.25, split=split)
        train, parts[split] = names(data)
        assert len(parts[split]) == 3
        assert len(data.sources[0].images) == 9
        assert (train | parts[split], train & parts[split]) == (everything, set())
        assert names(Folder(pictures, val_share=0.25, split=split)) == (train, parts[split])
        assert f"held out for validation, by data.split={split}: 3 of 12" in data.report()
    assert len({frozenset(part) for part in parts.values()}) >= 5
    assert len(set().union(*parts.values())) > 6  # 12 (1 - (3/4)^6) = 9.9 are expected


def test_a_split_is_of_all_images_below_the_root(tmp_path, write):
    for i in range(8):
        write(tmp_path / ("train" if i < 5 else "val") / f"{i}.png", seed=i)
    train, val = names(Folder(tmp_path, crop=16, val_share=0.5, split=1))
    assert len(train) == len(val) == 4
    assert train | val == {f"{i}.png" for i in range(8)}


def test_a_split_beside_a_validation_folder_is_refused(pictures):
    with pytest.raises(InputError, match=r"^data.split=0: data.val_root=.*deep has .* drop one of the two$"):
        Folder(pictures, val_root=pictures / "deep", split=0)


def test_the_first_images_by_path_can_be_left_out(pictures, write):
    order = [
        "01",
        "02",
        "04",
        "05",
        "07",
        "08",
        "10",
        "11",
        "00",
        "03",
        "06",
        "09",
    ]  # the last four in deep/er
    (pictures / "02.png").write_bytes(b"damaged")  # counted, so that the same files are reserved everywhere
    for options in [{}, {"split": 3}, {"val_root": pictures / "deep"}]:
        data = Folder(pictures, skip=5, **options)
        train, val = names(data)
        assert train | val == {f"{name}.png" for name in order[5:]}
        assert not train & val
        assert "5 left out by data.skip" in data.report()
    with pytest.raises(InputError, match=r"no usable image \(12 left out by data.skip\)"):
        Folder(pictures, skip=20)


@pytest.mark.parametrize("split", [None, 0])
@pytest.mark.parametrize("share", [0.0001, 0.9999])
def test_one_image_at_least_is_on_either_side(pictures, share, split):
    train, val = names(Folder(pictures, val_share=share, split=split))
    assert min(len(train), len(val)) == 1


def test_a_single_image_cannot_be_split(tmp_path, write):
    write(tmp_path / "a.png")
    with pytest.raises(InputError, match="one usable image"):
        Folder(tmp_path)


def test_train_and_val_folders_are_used_if_both_are_there(tmp_path, write):
    write(tmp_path / "train" / "a.png", seed=1)
    write(tmp_path / "train" / "b.png", seed=2)
    write(tmp_path / "val" / "a.png", seed=3)
    data = Folder(tmp_path, crop=16)
    assert names(data) == ({"a.png", "b.png"}, {"a.png"})
    assert data.report().splitlines() == [
        f"training {tmp_path}/train: images 2",
        f"validation {tmp_path}/val: images 1",
    ]
    shutil.rmtree(tmp_path / "val")
    assert "held out" in Folder(tmp_path).report()


def test_a_validation_folder_within_the_root_is_not_trained_on(pictures):
    data = Folder(pictures, val_root=pictures / "deep")
    train, val = names(data)
    assert len(val) == 4
    assert not train & val
    for inside in (pictures, pictures.parent):
        with pytest.raises(InputError, match="nothing would be left to train on"):
            Folder(pictures, val_root=inside)


def test_copies_of_validation_images_are_not_trained_on(pictures, tmp_path):
    (tmp_path / "val").mkdir()
    for name in ("01.png", "02.png"):
        shutil.copy(pictures / name, tmp_path / "val" / f"copy of {name}")
    data = Folder(pictures, val_root=tmp_path / "val", val_limit=1)  # both, though only one is validated on
    assert names(data)[0].isdisjoint({"01.png", "02.png"})
    assert "left out of training, identical to validation: 2" in data.report()
    assert "validation limited to 1 of 2 images" in data.report()
    shutil.copytree(pictures, tmp_path / "same")
    with pytest.raises(InputError, match="every image is also a validation image"):
        Folder(pictures, val_root=tmp_path / "same")


def test_crops_and_whole_images_come_out(pictures):
    data = Folder(pictures, crop=32, batch=4)  # larger than most of the images
    for batch in data.train_loader(seed=0, steps=6, d_steps=2):
        assert batch.shape == (8, 3, 32, 32)
    for name, x in data.val_images():
        with Image.open(pictures / name) as image:
            assert x.shape == (1, 3, image.height, image.width)


def test_what_is_in_memory_changes_nothing(pictures):
    def stream(**options):
        data = Folder(pictures, crop=8, **options)
        return torch.cat(list(data.train_loader(seed=0, steps=10)))

    everything = stream()
    assert torch.equal(everything, stream(cache_bytes=4000))
    assert torch.equal(everything, stream(cache_bytes=0, workers=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": "nocolour"}, "data.background='nocolour'"),
        ({"val_root": "nowhere"}, "data.val_root=nowhere does not exist"),
        ({"downscale": [2, 3]}, "data.downscale"),
        ({"root": None}, "data.root is not set"),
    ],
)
def test_wrong_options_are_refused_by_name(pictures, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Folder(**{"root": pictures} | options)
    assert "\n" not in str(caught.value)
