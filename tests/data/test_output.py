"""Images written: exactly, or not at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from gcn.data.images import decode, load_image
from gcn.data.output import save_image
from gcn.errors import InputError

LOSSLESS = ("png", "webp", "tif", "bmp", "ppm")
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_formats_are_exact(tmp_path, suffix):
    save_image(tmp_path / f"a.{suffix}", PIXELS, grey=False)
    assert np.array_equal(load_image(tmp_path / f"a.{suffix}"), PIXELS)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_jpeg_is_close(tmp_path):
    smooth = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[None, :, None], (16, 24, 3))
    save_image(tmp_path / "a.JPG", smooth, grey=False)
    assert np.abs(load_image(tmp_path / "a.JPG").astype(int) - smooth).max() < 8


@settings(max_examples=30)
@given(pixels=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_any_small_image(tmp_path_factory, pixels):
    path = tmp_path_factory.mktemp("out") / "a.png"
    save_image(path, pixels, grey=False)
    assert np.array_equal(load_image(path), pixels)


def test_grey_is_one_channel(tmp_path):
    save_image(
        tmp_path / "a.png", np.array([[[10, 11, 12], [0, 0, 1], [255, 255, 254]]], np.uint8), grey=True
    )
    assert Image.open(tmp_path / "a.png").mode == "L"
    found = decode(tmp_path / "a.png")
    assert found.grey
    assert found.pixels[0, :, 0].tolist() == [11, 0, 255]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xyz", "no image format"),
        ("a", "no image format"),
        ("none/a.png", "no such folder"),
        ("d.png", "is a folder"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, said):
    (tmp_path / "d.png").mkdir()
    with pytest.raises(InputError, match=said):
        save_image(tmp_path / name, PIXELS, grey=False)


def test_a_format_too_small_for_the_image(tmp_path):
    with pytest.raises(InputError, match="at most 16383"):
        save_image(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8), grey=False)
    assert not list(tmp_path.iterdir())
