"""What cannot be read is refused in a few words that say whose fault it is, and never waited for."""

import os

import pytest
from PIL import Image, ImageFile

from gcn.data.images import BadImage, decode, read_size
from gcn.data.scan import scan


@pytest.fixture
def place(tmp_path):
    """A folder with things that are no image files."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked.png").symlink_to("pipe.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    return tmp_path


@pytest.mark.parametrize("read", [decode, read_size])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder.png", "a folder"),
        ("pipe.png", "a device or a pipe"),
        ("linked.png", "a device or a pipe"),
        ("device.png", "a device or a pipe"),
        ("circle.png", "cannot be read (Too many levels of symbolic links)"),
        ("x" * 300 + ".png", "cannot be read (File name too long)"),
        ("file/a.png", "cannot be read (Not a directory)"),
        ("none/a.png", "file is missing"),
    ],
)
def test_what_is_no_file(place, read, name, reason):
    with pytest.raises(BadImage) as caught:
        read(place / name)
    assert str(caught.value) == reason


def test_a_link_to_a_pipe_does_not_hold_up_a_scan(place):
    Image.new("RGB", (4, 4)).save(place / "a.png")
    found = scan(place, bad_share=1)
    assert [entry.path.name for entry in found.entries] == ["a.png"]
    assert ("linked.png", "a device or a pipe") in [(path.name, reason) for path, reason in found.bad]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "not enough memory to decode it"),
        (OSError(5, "Input/output error"), "cannot be read (Input/output error)"),
        (OSError("broken data stream"), "damaged: broken data stream"),
        (OSError("image file is truncated (3 bytes not processed)"), "truncated"),
        (ZeroDivisionError(), "damaged: ZeroDivisionError"),
    ],
)
def test_the_machine_s_troubles_are_no_damage(tmp_path, monkeypatch, error, reason):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.bmp")

    def fail(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(BadImage) as caught:
        decode(tmp_path / "a.bmp")
    assert str(caught.value) == reason
