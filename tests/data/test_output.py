"""Images written: exactly, or not at all."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from gcn.data.images import Size, decode, load_image
from gcn.data.output import check_target, save_image
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


ANY = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@settings(max_examples=60)
@given(pixels=ANY, suffix=st.sampled_from(LOSSLESS))
def test_any_small_image(tmp_path_factory, pixels, suffix):
    path = tmp_path_factory.mktemp("out") / f"a.{suffix}"
    save_image(path, pixels, grey=False)
    assert np.array_equal(load_image(path), pixels)


@settings(max_examples=60)
@given(pixels=ANY, suffix=st.sampled_from(LOSSLESS))
def test_any_small_grey_image(tmp_path_factory, pixels, suffix):
    path = tmp_path_factory.mktemp("out") / f"a.{suffix}"
    save_image(path, pixels, grey=True)
    mean = np.rint(pixels.mean(axis=2)).astype(np.uint8)  # thirds are never halfway
    found = decode(path)
    assert np.array_equal(found.pixels, np.repeat(mean[:, :, None], 3, axis=2))
    assert found.grey == (suffix != "webp")  # which knows no single channel
    save_image(path, found.pixels, grey=True)  # equal channels: exact
    assert np.array_equal(load_image(path), found.pixels)


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
        ("a.xyz", "not written with this ending"),
        ("a", "not written with this ending"),
        ("none/a.png", "no such folder"),
        ("d.png", "is a folder"),
        ("pipe.png", "is a device, a pipe or a socket"),
        ("file/a.png", "not a folder"),
        ("astray.png", "no such folder"),
        ("x" * 300 + ".png", "cannot be written (File name too long)"),
        ("new\nline.xyz", "not written with this ending"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, said):
    (tmp_path / "d.png").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "astray.png").symlink_to(tmp_path / "nowhere" / "a.png")
    before = sorted(tmp_path.iterdir())
    for refused in (
        lambda: save_image(tmp_path / name, PIXELS, grey=False),
        lambda: check_target(tmp_path / name),
    ):
        with pytest.raises(InputError, match=re.escape(said)) as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_the_known_endings_are_named(tmp_path):
    with pytest.raises(InputError, match=r"\.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff, \.bmp, \.ppm"):
        check_target(tmp_path / "a.psd")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), KeyboardInterrupt()]
)
def test_what_was_there_survives_a_failure(tmp_path, monkeypatch, error):
    save_image(tmp_path / "a.png", PIXELS, grey=False)

    def fail(self, file, *_, **__):
        file.write(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match="No space left on device" if expected is InputError else None):
        save_image(tmp_path / "a.png", 255 - PIXELS, grey=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(load_image(tmp_path / "a.png"), PIXELS)


def test_a_link_stays_one_and_the_longest_name_is_no_trouble(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "a.png").symlink_to(tmp_path / "far" / ("x" * 251 + ".png"))
    save_image(tmp_path / "a.png", PIXELS, grey=False)
    assert (tmp_path / "a.png").is_symlink()
    assert np.array_equal(load_image(tmp_path / "a.png"), PIXELS)
    assert len(list((tmp_path / "far").iterdir())) == 1


def test_others_may_read_it_as_any_new_file(tmp_path):
    (tmp_path / "usual").write_text("")
    save_image(tmp_path / "a.png", PIXELS, grey=False)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "a.png")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(("suffix", "largest"), [("jpg", 65500), ("webp", 16383)])
@pytest.mark.parametrize("turned", [False, True])
def test_the_largest_sides_of_a_format(tmp_path, suffix, largest, turned):
    line = np.zeros((1, largest + 1, 3), np.uint8)
    line = line.transpose(1, 0, 2) if turned else line
    with pytest.raises(InputError, match=f"at most {largest} pixels a side; use .png"):
        save_image(tmp_path / f"a.{suffix}", line, grey=False)
    assert not list(tmp_path.iterdir())
    fits = line[:largest, :largest]
    save_image(tmp_path / f"a.{suffix}", fits, grey=False)
    assert load_image(tmp_path / f"a.{suffix}").shape == fits.shape


@pytest.mark.parametrize("suffix", ["tif", "bmp"])
def test_files_of_4_gigabytes_are_not_begun(tmp_path, suffix):
    path, square = tmp_path / f"a.{suffix}", Size(40_000, 40_000)
    vast = np.broadcast_to(np.zeros(3, np.uint8), (*square, 3))  # takes no memory
    for refused in (lambda: check_target(path, square), lambda: save_image(path, vast, grey=False)):
        with pytest.raises(InputError, match=r"at most 4 GB; use \.png"):
            refused()
    check_target(path, square, grey=True)
    check_target(tmp_path / "a.png", square)


@pytest.mark.parametrize(("suffix", "largest"), [("jpg", 65500), ("webp", 16383)])
def test_a_size_known_beforehand_is_refused_beforehand(tmp_path, suffix, largest):
    check_target(tmp_path / f"a.{suffix}", Size(1, largest))
    with pytest.raises(InputError, match=f"at most {largest} pixels a side"):
        check_target(tmp_path / f"a.{suffix}", Size(1, largest + 1))


def test_a_folder_without_permission_is_refused_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match="is read-only"):
        check_target(tmp_path / "a.png")


def test_writers_in_one_folder_do_not_meet(tmp_path):
    images = [np.full((200, 200, 3), value, np.uint8) for value in range(40)]
    with ThreadPoolExecutor(8) as pool:
        paths = [tmp_path / f"{value}.png" for value in range(40)]
        list(pool.map(lambda path, pixels: save_image(path, pixels, grey=False), paths, images))
    assert all(np.array_equal(load_image(path), pixels) for path, pixels in zip(paths, images, strict=True))
    assert len(list(tmp_path.iterdir())) == 40
