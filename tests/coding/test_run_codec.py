"""The codec of a run folder: written once, used ever after, never lost."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from scripting import ROOT, compress, decompress, error_of, export, picture

from gcn.codec.container import parse
from gcn.coding import run_codec
from gcn.errors import InputError
from gcn.files.atomic import write_bytes
from gcn.models import package

sys.path.insert(0, str(ROOT / "tests" / "training"))
from runs import images, run, words


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two updates, the same trained further to four, and an image."""
    root = tmp_path_factory.mktemp("trained")
    run(root / "run", *words(images(root / "data"), "loss=none steps=2 val_every=9 panel_every=9"))
    shutil.copytree(root / "run", root / "further")
    run(root / "further", steps=4)
    picture(50, 40).save(root / "a.png")
    return root


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """Copies in the working directory."""
    for name in ("run", "further"):
        shutil.copytree(trained / name, tmp_path / name)
    shutil.copy(trained / "a.png", tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_training_to_a_file_and_back(here, capsys):
    """Through the run folder and through an exported model, which are the same codec."""
    assert compress("a.png", "run=run") == 0
    assert decompress("a.gcn", "run=run", "-o", "b.png") == 0
    assert export("run=run", "-o", "model.safetensors", "about=a test") == 0
    card = package.card(Path("model.safetensors"))
    assert card.about["about"] == "a test"
    assert card.latents_id == parse(Path("a.gcn").read_bytes()).latents_id
    assert decompress("a.gcn", "model=model.safetensors", "-o", "c.png") == 0
    assert Path("b.png").read_bytes() == Path("c.png").read_bytes()


def test_the_time_of_a_checkpoint_decides_nothing(here, monkeypatch):
    stored = Path("run", package.OF_RUN)
    before = stored.read_bytes()
    os.utime("run/checkpoints/last.ckpt", (2e9, 2e9))
    os.utime(stored, (1, 1))
    monkeypatch.setattr(run_codec, "trained", None)  # nothing is built
    assert compress("a.png", "run=run") == 0
    assert stored.read_bytes() == before


def test_a_run_without_its_codec_gets_one_from_the_checkpoint(here, capsys):
    stored = Path("run", package.OF_RUN)
    card = package.card(stored)
    stored.unlink()
    assert compress("a.png", "run=run") == 0
    assert package.card(stored) == card
    stored.unlink()
    capsys.readouterr()
    access = os.access
    with pytest.MonkeyPatch.context() as patch:  # root may write anywhere
        patch.setattr(os, "access", lambda path, mode: str(path) != "run" and access(path, mode))
        assert "this folder is read-only" in error_of(capsys, compress("a.png", "run=run", "-o", "b.gcn"))
    assert not Path("b.gcn").exists()


def test_files_of_a_shorter_training_stay_readable(here, capsys):
    assert compress("a.png", "run=run") == 0
    assert decompress("a.gcn", "run=run", "-o", "before.png") == 0
    assert package.card(Path("further", package.OF_RUN)).about["steps"] == 4
    assert decompress("a.gcn", "run=further", "-o", "after.png") == 0
    assert Path("before.png").read_bytes() == Path("after.png").read_bytes()
    assert "another synthesis" not in capsys.readouterr().out
    assert compress("a.png", "run=further", "-o", "b.gcn") == 0
    assert Path("a.gcn").read_bytes() != Path("b.gcn").read_bytes()
    names = {path.name for path in Path("further").glob("codec*")}
    third = package.rounded(package.load(Path("further", package.OF_RUN))).for_coding()
    package.save_of_run(third, Path("further"), {})
    assert {path.name for path in Path("further").glob("codec*")} > names
    assert decompress("a.gcn", "b.gcn", "run=further", "-o", "all/") == 0


def test_training_that_went_on_without_an_end_is_said(here, capsys):
    """The codec that is there is used; export takes the last checkpoint."""
    stored = Path("further", package.OF_RUN)
    shutil.copy(Path("run", package.OF_RUN), stored)
    before = stored.read_bytes()
    assert compress("a.png", "run=further") == 0
    assert "its codec is of update 2, and the run has 4; scripts/export.py" in capsys.readouterr().err
    assert stored.read_bytes() == before
    assert export("run=further", "-o", "later.safetensors") == 0
    ids = [package.card(path).picture_id for path in (stored, Path("later.safetensors"))]
    assert ids[0] != ids[1]
    Path("further/metrics.csv").write_text("step,a\n1,x\n")  # damaged, and of no use for coding
    capsys.readouterr()
    assert compress("a.png", "run=further", "overwrite=true") == 0
    assert capsys.readouterr().err == ""


def test_another_process_may_write_the_codec_first(here, monkeypatch):
    stored = Path("run", package.OF_RUN)
    theirs = stored.read_bytes()
    stored.unlink()
    build = run_codec.trained

    def meanwhile(folder, **named):
        write_bytes(stored, theirs)
        return build(folder, **named)

    monkeypatch.setattr(run_codec, "trained", meanwhile)
    run_codec.of_run(Path("run"))
    assert stored.read_bytes() == theirs


def test_a_codec_that_cannot_be_read_is_kept_as_well(here):
    stored = Path("run", package.OF_RUN)
    codec = package.load(stored)
    write_bytes(stored, b"of another version")
    package.save_of_run(codec, Path("run"), {})
    assert Path("run/codec-unreadable.safetensors").read_bytes() == b"of another version"
    package.load(stored)


def test_export_replaces_nothing_unasked(here, capsys):
    Path("there.safetensors").write_bytes(b"mine")
    Path("link.safetensors").symlink_to("there.safetensors")
    shutil.copy("run/codec.safetensors", "base.safetensors")
    Path("of_run.safetensors").symlink_to("run/codec.safetensors")
    Path("astray.safetensors").symlink_to("a.png")
    Path("loop.safetensors").symlink_to("loop.safetensors")
    os.mkfifo("pipe.safetensors")
    Path("damaged.safetensors").write_bytes(Path("base.safetensors").read_bytes()[:-9])
    before = {path: path.read_bytes() for path in Path().rglob("*.safetensors") if path.is_file()}
    for line, said in {
        "run=run -o there.safetensors": "exists",
        "run=run -o link.safetensors": "exists",
        "run=run -o a.pt": "ends in .safetensors",
        "run=run -o none/a.safetensors": "no such folder",
        "run=run -o pipe.safetensors overwrite=true": "is a device, a pipe or a socket",
        "run=run -o run/codec.safetensors overwrite=true": "the codec of a run",
        "run=run -o of_run.safetensors overwrite=true": "the codec of a run",
        "run=run -o astray.safetensors overwrite=true": "no model file",
        "run=run -o loop.safetensors overwrite=true": "a link to itself",
        "run=run -o base.safetensors base=base.safetensors overwrite=true": "would be overwritten",
        "run=run -o a.safetensors base=none.safetensors": "no such model file",
        "run=run -o a.safetensors base=there.safetensors": "there.safetensors",
        "run=run -o a.safetensors base=damaged.safetensors": "damaged.safetensors",
        "run=run -o there.safetensors half=maybe": "half=maybe",
    }.items():
        assert said in error_of(capsys, export(*line.split())), line
    assert {path: path.read_bytes() for path in Path().rglob("*.safetensors") if path.is_file()} == before
    assert export("run=run", "-o", "link.safetensors", "overwrite=true", "half=true") == 0
    assert Path("link.safetensors").is_symlink()
    assert package.card(Path("there.safetensors")).about["run"] == "run"


def test_a_run_that_was_never_saved_is_named():
    with pytest.raises(InputError, match="run=nowhere: not a run folder"):
        run_codec.of_run(Path("nowhere"))
