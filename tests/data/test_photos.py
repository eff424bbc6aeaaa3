"""The demonstration data need no network, are always the same, and keep validation apart."""

import inspect
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gcn.data.folder import Folder
from gcn.data.leaves import dead_leaves
from gcn.data.photos import COLOUR, GREY, VAL, Photos, photograph, tinted
from gcn.errors import InputError

SMALL = {"dead_leaves": 2, "scales": [0.5, 0.25]}


@pytest.fixture(scope="module")
def photos():
    return Photos(**SMALL)


def test_training_and_validation_photographs_are_different():
    assert not set(VAL) & {*COLOUR, *GREY}


def test_no_network_and_no_cache_folder(monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKIMAGE_DATADIR", str(tmp_path / "cache"))
    for name in (*COLOUR, *GREY, *VAL):
        assert min(photograph(name).shape[:2]) >= 300
    assert not list(tmp_path.iterdir())


def test_a_missing_photograph_is_one_line():
    with pytest.raises(InputError, match=r"nobody\.png of scikit-image cannot be used \(file is missing\)"):
        photograph("nobody.png")


def test_crops_and_whole_images_come_out(photos):
    (batch,) = photos.train_loader(seed=0, steps=1, d_steps=2)
    assert batch.shape == (16, 3, 64, 64)
    assert [(name, tuple(x.shape)) for name, x in photos.val_images()] == [
        ("chelsea", (1, 3, 300, 451)),
        ("coffee", (1, 3, 400, 600)),
    ]


def test_it_says_what_it_is_in_one_line(photos):
    assert photos.report() == (
        "demonstration data: 8 free photographs and 2 dead-leaves images, validation on chelsea and coffee; "
        "for results give your own: data=folder data.root=FOLDER"
    )


def test_the_same_data_every_time(photos):
    again = Photos(**SMALL)
    for ours, theirs in zip(photos.sources, again.sources, strict=True):
        assert ours.share == theirs.share
        assert all(np.array_equal(a, b) for a, b in zip(ours.images, theirs.images, strict=True))


def test_options_are_taken(photos):
    assert len(photos.sources[0].images) == 16
    assert len(Photos(grey=False, dead_leaves=0, scales=[0.5]).sources[0].images) == 4
    assert len(Photos(leaves_share=0, scales=[0.5]).sources) == 1
    with pytest.raises(InputError, match=r"data\.scales=\[\]"):
        Photos(scales=[])


def test_a_tint_is_fixed_and_mild():
    grey = np.full((2, 2, 3), 128, np.uint8)
    assert np.array_equal(tinted(grey, 1), tinted(grey, 1))
    assert not np.array_equal(tinted(grey, 1), tinted(grey, 2))
    assert np.abs(tinted(grey, 1).astype(int) - 128).max() < 64


@pytest.fixture(scope="module")
def leaves():
    return dead_leaves([photograph("astronaut.png"), photograph("grass.png")], 8, size=128, seed=1)


def test_dead_leaves_depend_on_the_seed_and_nothing_else(leaves):
    sources = [photograph("astronaut.png"), photograph("grass.png")]
    np.random.seed(0)
    assert np.array_equal(leaves[0], dead_leaves(sources, 1, size=128, seed=1)[0])
    assert not np.array_equal(leaves[0], dead_leaves(sources, 1, size=128, seed=2)[0])
    assert all(image.shape == (128, 128, 3) and image.dtype == np.uint8 for image in leaves)


def test_dead_leaves_have_the_spectrum_of_photographs(leaves):
    """Power falls like 1/f^a with a near 2 to 3; noise has 0, a ramp of colours 4 and more."""
    window = np.hanning(128)[:, None] * np.hanning(128)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128) * 128, np.fft.fftfreq(128) * 128)).round()
    grey = [image.astype(float).mean(2) for image in leaves]
    power = np.mean([np.abs(np.fft.fft2((g - g.mean()) * window)) ** 2 for g in grey], axis=0)
    frequencies = np.arange(3, 48)
    profile = [power[radius == f].mean() for f in frequencies]
    slope = np.polyfit(np.log(frequencies), np.log(profile), 1)[0]
    assert -3.5 < slope < -1.8


@pytest.mark.parametrize("name", ["photos", "folder"])
def test_the_yaml_names_every_option_with_its_default(name):
    config = OmegaConf.to_container(OmegaConf.load(Path(__file__).parents[2] / "conf/data" / f"{name}.yaml"))
    cls = {"photos": Photos, "folder": Folder}[name]
    assert config.pop("_target_") == f"{cls.__module__}.{cls.__qualname__}"
    options = inspect.signature(cls).parameters
    assert set(config) == set(options)
    for option, value in config.items():
        default = options[option].default
        if value != "???":  # must be given
            assert value == (list(default) if isinstance(default, tuple) else default)


def test_hydra_builds_it(pictures):
    data = instantiate({"_target_": "gcn.data.folder.Folder", "root": str(pictures), "downscale": [0.5, 1]})
    (batch,) = data.train_loader(seed=0, steps=1)
    assert isinstance(batch, torch.Tensor)
