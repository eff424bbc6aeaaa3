"""compress and decompress as a user types them, with the models that ship."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripting import RNG, ROOT, compress, decompress, error_of, picture

from gcn.codec.container import OVERHEAD, parse, write
from gcn.coding import transcode
from gcn.data.images import decode, load_image
from gcn.errors import InputError
from gcn.models import package

SIZES = [
    *((1, 1), (1, 2), (2, 1), (1, 16), (16, 1), (1, 300), (300, 1), (15, 15), (16, 16), (17, 17), (31, 33)),
    *((40, 160), (160, 40), (64, 64), (65, 63), (100, 400), (127, 129), (200, 50), (255, 257), (3, 500)),
    *((int(h), int(w)) for h, w in RNG.integers(1, 80, (30, 2))),
]


def test_fifty_awkward_sizes(tmp_path, monkeypatch):
    """The decoded image is the model's own reconstruction, and the file costs what the tables say."""
    assert len(SIZES) == 50
    monkeypatch.setattr(package, "load", cache(package.load))
    codec = transcode.model({})
    for i, (height, width) in enumerate(SIZES):
        source = tmp_path / f"{i}.png"
        picture(height, width).save(source)
        transcode.compress(codec, source, tmp_path / f"{i}.gcn")
        transcode.decompress(
            tmp_path / f"{i}.gcn", tmp_path / f"{i}_out.png", lambda file: transcode.for_file(file, {})
        )
        x = torch.from_numpy(load_image(source)).permute(2, 0, 1)[None]
        own = codec.reconstruct(x / 255).x_hat.clamp(0, 1).mul(255).round().to(torch.uint8)
        found = load_image(tmp_path / f"{i}_out.png")
        assert np.array_equal(found, own[0].permute(1, 2, 0).numpy()), (height, width)
        size, bits = (tmp_path / f"{i}.gcn").stat().st_size, codec.count(x).bits
        assert abs(size - bits / 8) < 0.01 * bits / 8 + 40, (height, width)


def test_the_smallest_file_is_small(tmp_path):
    picture(1, 1).save(tmp_path / "a.png")
    assert compress(tmp_path / "a.png") == 0
    assert (tmp_path / "a.gcn").stat().st_size < OVERHEAD + 60


MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16")


@pytest.mark.parametrize("mode", MODES)
def test_modes(tmp_path, mode, capsys):
    source = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image = picture(37, 50, "L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    image.save(source)
    assert compress(source, "-o", tmp_path / "a.gcn") == 0
    assert decompress(tmp_path / "a.gcn", "-o", tmp_path / "out.png") == 0
    one_channel = mode in ("L", "LA", "1", "I;16")
    assert Image.open(tmp_path / "out.png").mode == ("L" if one_channel else "RGB")
    before, after = decode(source), decode(tmp_path / "out.png")
    assert np.abs(before.pixels.astype(int) - after.pixels).mean() < (
        130 if mode == "1" else 25
    )  # a dithered image is all noise
    said = capsys.readouterr().out
    assert all(note in said for note in before.notes)


def test_the_camera_s_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(20, 60).save(tmp_path / "a.jpg", exif=exif)
    compress(tmp_path / "a.jpg")
    decompress(tmp_path / "a.gcn")
    assert Image.open(tmp_path / "a.png").size == (20, 60)


def test_several_files_into_a_folder(tmp_path):
    for name in "abc":
        picture(20, 20).save(tmp_path / f"{name}.png")
    (tmp_path / "out").mkdir()
    assert compress(*(tmp_path / f"{name}.png" for name in "abc"), "-o", tmp_path / "out", "model=low") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.gcn", "b.gcn", "c.gcn"]


def test_a_frozen_synthesis_draws_the_same_latents(tmp_path, capsys):
    cards = package.shipped()
    pairs = [(n, f"{n}-gan") for n in cards if f"{n}-gan" in cards]
    assert pairs
    picture(90, 70).save(tmp_path / "a.png")
    for plain, gan in pairs:
        assert cards[plain].latents_id == cards[gan].latents_id
        compress(tmp_path / "a.png", f"model={plain}", "-o", tmp_path / "a.gcn", "overwrite=true")
        compress(tmp_path / "a.png", f"model={gan}", "-o", tmp_path / "b.gcn", "overwrite=true")
        one, other = (parse((tmp_path / name).read_bytes()) for name in ("a.gcn", "b.gcn"))
        assert one.coded == other.coded
        assert (
            decompress(tmp_path / "a.gcn", f"model={gan}", "-o", tmp_path / "as_gan.png", "overwrite=true")
            == 0
        )
        assert "another synthesis" in capsys.readouterr().out
        assert decompress(tmp_path / "b.gcn", "-o", tmp_path / "gan.png", "overwrite=true") == 0
        assert (tmp_path / "as_gan.png").read_bytes() == (tmp_path / "gan.png").read_bytes()


def test_shipped_files_are_small_and_say_what_they_are():
    cards = package.shipped()
    assert {"low", "mid", "high"} <= set(cards)
    assert sum(card.path.stat().st_size for card in cards.values()) < 8e6
    for card in cards.values():
        assert card.about["about"]


def test_a_file_from_another_day_decodes(tmp_path):
    """Written by the shipped model when the format was made: this file must always decode to these latents."""
    stored = Path(__file__).parent / "cat.gcn"
    codec = transcode.model({})
    file = parse(stored.read_bytes())
    assert file.latents_id == codec.latents_id
    codec.latents(file.coded)  # compares the checksum of the symbols
    assert decompress(stored, "-o", tmp_path / "cat.png") == 0
    pixels = load_image(tmp_path / "cat.png")
    from skimage import data

    original = data.chelsea()[40:168, 150:310]
    error = ((pixels.astype(float) - original) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 26


CASES = {
    "none.png": "none.png: no such file",
    "text.png": "text.png: not an image",
    "modl=mid good.png": "modl: unknown; nearest: model",
    "model=nosuch good.png": "nosuch: neither a file nor one of the models that ship",
    "run=nowhere good.png": "nowhere: not a run folder",
    "model=mid run=x good.png": "exclude each other",
    "model=text.png good.png": "text.png: not a model file",
    "good.png -o nofolder/a.gcn": "no such folder",
    "good.png -o": "-o needs a value behind it",
    "good.png out=": "out=: must be a path",
    "good.png run=": "run=: must be a path",
    "good.png jobs=0": "jobs=0: must be an integer >= 1 and <= 256 (processes)",
    "good.png -x": "-x: unknown",
    "good.png device=toaster": "device=toaster",
    "good.png other.png -o one.gcn": "not a folder",
    "good.png good.png": "given twice",
    "done.gcn -o done.gcn": "overwritten",
    "background=nocolour good.png": "no colour",
    "": "files= is missing",
}


@pytest.mark.parametrize("line", CASES)
def test_bad_input_of_compress(tmp_path, monkeypatch, capsys, line):
    monkeypatch.chdir(tmp_path)
    picture(10, 10).save("good.png")
    picture(10, 10).save("other.png")
    Path("text.png").write_text("no image")
    Path("done.gcn").write_bytes(b"GCN")
    before = sorted(tmp_path.rglob("*"))
    assert CASES[line] in error_of(capsys, compress(*line.split()))
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_input_of_decompress(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture(10, 10).save("a.png")
    compress("a.png", "model=low")
    data = Path("a.gcn").read_bytes()
    Path("cut.gcn").write_bytes(data[:-3])
    Path("empty.gcn").write_bytes(b"")
    capsys.readouterr()
    for line, said in {
        "a.png -o b.png": "does not begin with 'GCN'",
        "cut.gcn": "cut.gcn: the file is damaged",
        "empty.gcn": "empty.gcn: not a compressed image",
        "none.gcn": "none.gcn: no such file",
        "a.gcn -o b.xyz": "not written with this ending",
        "a.gcn model=mid -o b.png": "written by model",
    }.items():
        assert said in error_of(capsys, decompress(*line.split())), line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gcn", "a.png", "cut.gcn", "empty.gcn"]


def test_a_model_that_does_not_ship_is_named(tmp_path, capsys, spread_generator):
    codec = spread_generator("hyperprior").for_coding()
    (tmp_path / "a.gcn").write_bytes(write(codec, torch.rand(1, 3, 20, 20)))
    assert codec.latents_id.hex() in error_of(capsys, decompress(tmp_path / "a.gcn"))
    package.save(codec, tmp_path / "model.safetensors", {})
    assert decompress(tmp_path / "a.gcn", f"model={tmp_path / 'model.safetensors'}") == 0


def test_a_codec_that_gives_no_numbers_says_so(tmp_path):
    codec = transcode.model({})
    with torch.no_grad():
        codec.g_a[0].weight.mul_(1e30)
    picture(20, 20).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: the encoder gives latents that are not finite"):
        transcode.compress(codec, tmp_path / "a.png", tmp_path / "a.gcn")
    assert not (tmp_path / "a.gcn").exists()


@pytest.mark.slow
def test_help_and_refusals_need_no_torch(tmp_path):
    picture(8, 8).save(tmp_path / "a.png")
    (tmp_path / "a.gcn").write_bytes(b"GCN")
    code = (
        "import sys, runpy\n"
        "def said(*words):\n"
        "    sys.argv = list(words)\n"
        "    try: runpy.run_path(f'scripts/{words[0]}.py', run_name='__main__')\n"
        "    except SystemExit as end: return end.code\n"
        f"image, file = {str(tmp_path / 'a.png')!r}, {str(tmp_path / 'a.gcn')!r}\n"
        "assert said('compress', '--help') == 0\n"
        "assert said('compress', image) == 2\n"
        "assert said('compress', image, '-o', 'b.gcn', 'model=none') == 2\n"
        "assert said('decompress', file) == 2\n"
        "assert said('export', 'run=nowhere', '-o', 'a.safetensors') == 2\n"
        "assert said('scan', 'nowhere') == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "Examples\n  python scripts/compress.py" in done.stdout
