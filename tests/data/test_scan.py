import os
import sys

import numpy as np
import pytest
from PIL import Image
from scripting import script

from gcn.data.scan import scan
from gcn.errors import InputError
from gcn.files.names import printable


def test_nested_images_in_an_order_of_their_names(pictures):
    found = scan(pictures)
    names = [entry.path.relative_to(pictures).as_posix() for entry in found.entries]
    assert names == sorted(names)
    assert len(names) == 12
    assert {(entry.height, entry.width) for entry in found.entries} == {(20 + i, 31 - i) for i in range(12)}
    assert found == scan(pictures)
    assert found.report() == "images 12"


def test_the_report_counts_every_peculiarity(pictures, write):
    Image.new("L", (30, 30)).save(pictures / "grey.png")
    Image.new("RGBA", (30, 30)).save(pictures / "clear.png")
    (pictures / "notes.txt").write_text("not an image")
    (pictures / ".hidden.png").write_text("not an image")
    (pictures / "__MACOSX").mkdir()
    (pictures / "__MACOSX" / "x.png").write_text("not an image")
    (pictures / "bad.jpg").write_text("not an image")
    write(pictures / "tiny.png", 3, 30)
    assert scan(pictures, crop=16).report() == (
        "images 15 · 1 skipped: bad.jpg (not an image) · 1 grayscale · 1 other files ignored (.txt)"
        " · 1 smaller than 16 pixels (mirrored) · 1 transparent over white"
    )
    skipping = scan(pictures, crop=16, small="skip")
    assert len(skipping.entries) == 14
    assert "1 smaller than 16 pixels (left out)" in skipping.report()


def test_a_run_among_its_images_does_not_train_on_its_panels(pictures, write):
    before = scan(pictures).entries
    (pictures / "run" / "panels").mkdir(parents=True)
    for name in ("panels/0000004.png", "curves.png"):
        write(pictures / "run" / name, 30, 30)
    assert len(scan(pictures).entries) == len(before) + 2  # no run is there, these are somebody's images
    for name in ("config.yaml", "metrics.csv"):
        (pictures / "run" / name).touch()
    assert scan(pictures).entries == before
    assert "2 drawn by a run (left out)" in scan(pictures).report()


def test_what_is_lost_is_counted_in_the_same_words(pictures):
    for name in "ab":
        Image.fromarray(np.zeros((30, 30), np.uint16)).save(pictures / f"{name}.png")
        Image.new("RGB", (30, 30)).save(pictures / f"{name}.tif", icc_profile=b"no profile")
    assert scan(pictures).report() == ("images 16 · 2 16-bit grey · 2 colour profile unusable, values kept")


def test_a_turned_tiff_counts_with_its_upright_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "a.tif", exif=exif)
    (entry,) = scan(tmp_path, keep_bytes=10**6).entries
    assert (entry.height, entry.width) == (30, 10) == entry.pixels.shape[:2]


def test_one_bad_file_is_always_tolerated_and_more_only_up_to_the_share(pictures):
    (pictures / "a.jpg").write_bytes(b"")
    assert len(scan(pictures).bad) == 1
    (pictures / "b.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 14 images cannot be used: a.jpg \(not an image\), b.jpg"):
        scan(pictures)
    assert [path.name for path, _ in scan(pictures, bad_share=0.2).bad] == ["a.jpg", "b.jpg"]


def test_a_folder_of_which_nothing_is_left_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no usable image \(it is empty\)"):
        scan(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"no usable image \(1 skipped: a.jpg \(not an image\)\)"):
        scan(tmp_path, bad_share=1)


@pytest.mark.parametrize(
    ("root", "message"),
    [(None, "not set"), ("", "not set"), ("missing", "does not exist"), ("file", "not a folder")],
)
def test_what_is_no_folder_is_refused_in_one_line(tmp_path, root, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=message) as caught:
        scan(root and tmp_path / root)
    assert "\n" not in str(caught.value)
    assert "data.root" in str(caught.value)


def test_links_are_followed_once_and_dangling_ones_reported(pictures, tmp_path, write):
    write(tmp_path / "elsewhere" / "far.png")
    (pictures / "linked").symlink_to(tmp_path / "elsewhere")
    (pictures / "circle").symlink_to(pictures)
    (pictures / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = scan(pictures)
    assert len(found.entries) == 13
    assert [(path.name, reason) for path, reason in found.bad] == [("gone.png", "file is missing")]


def test_a_pipe_is_not_opened(pictures):
    os.mkfifo(pictures / "pipe.png")
    assert scan(pictures).report() == "images 12"


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_a_name_of_any_bytes_can_be_read_and_shown(tmp_path, write):
    write(tmp_path / "a.png")
    name = os.fsdecode(b"\xff\x1b[31m.png")
    os.rename(tmp_path / "a.png", tmp_path / name)
    assert len(scan(tmp_path).entries) == 1
    assert printable(name).encode() == "\\udcff\N{REPLACEMENT CHARACTER}[31m.png".encode()


def test_pixels_are_kept_up_to_the_budget(pictures):
    assert all(entry.pixels is None for entry in scan(pictures).entries)
    assert all(entry.pixels is not None for entry in scan(pictures, keep_bytes=10**6).entries)
    found = scan(pictures, keep_bytes=5000)
    kept = [entry.pixels is not None for entry in found.entries]
    assert 0 < sum(kept) < 12
    assert kept == sorted(kept, reverse=True)
    assert sum(entry.pixels.nbytes for entry in found.entries if entry.pixels is not None) <= 5000
    assert "decoded when needed" in found.report()


def test_the_command_prints_the_report(pictures, capsys):
    (pictures / "bad.jpg").write_bytes(b"")
    assert script("scan")(pictures, "--crop", "8", "--bad") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{pictures}/bad.jpg: not an image",
        "images 12 · 1 skipped: bad.jpg (not an image)",
        "sizes 20×31 to 26×25 pixels",
    ]


def test_the_command_refuses_in_one_line_with_status_2(tmp_path, capsys):
    assert script("scan")(tmp_path / "nowhere") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: {tmp_path}/nowhere does not exist: give a folder of images\n"
