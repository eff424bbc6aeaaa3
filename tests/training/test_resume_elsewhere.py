"""A run is resumed from its folder alone: elsewhere, without the run that it began from, with images that moved or
changed."""

import json
import os
import shutil

import pytest
import yaml
from PIL import Image, ImageOps
from runs import checkpoint, copied_at, differences, planned, quickly, run, words

from gcn.config import assemble
from gcn.config.parse import Config, parse, save
from gcn.errors import InputError
from gcn.report.metrics_table import MetricsTable
from gcn.training.fit import train

OFTEN = (
    "steps=4 val_every=2 panel_every=4 checkpoint_every=2 freeze=encoder init_from=first data.cache_bytes=0"
)


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory):
    """A working directory with a run that was killed after update 2, and the same run in one go; all paths relative."""
    place = tmp_path_factory.mktemp("there")
    shutil.copytree(data, place / "images")
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        patch.chdir(place)
        run(place / "first", *words("images", "steps=1 loss=none"))
        copied_at(4, patch, place / "reference", place / "killed")
        run(place / "reference", *words("images", OFTEN))
    return place


@pytest.fixture
def there(prepared, tmp_path, monkeypatch, quick):
    """A copy of all that, and this process in another working directory."""
    shutil.copytree(prepared, tmp_path / "there")
    config = tmp_path / "there" / "killed" / "config.yaml"
    config.write_text(config.read_text().replace(str(prepared), str(tmp_path / "there")))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "there"


def resume(folder, *said):
    """What ``scripts/train.py resume=FOLDER`` does."""
    cfg = Config({**parse([f"resume={folder}", *said]), "run_dir": str(folder)})
    save(cfg, folder)
    return train(assemble.plan(cfg))


def assert_same_training(folder, reference):
    """Checkpoints and rows; the configurations differ in what was said."""
    assert (folder / "metrics.csv").read_text() == (reference / "metrics.csv").read_text()
    one, other = checkpoint(folder), checkpoint(reference)
    for key in ("state_dict", "optimizer_states", "gcn", "callbacks"):
        assert list(differences(one[key], other[key])) == []


def test_elsewhere_and_without_the_run_that_it_began_from(there, capsys):
    shutil.rmtree(there / "first")
    resume(there / "killed")
    assert_same_training(there / "killed", there / "reference")
    assert "changed" not in capsys.readouterr().err


def test_a_run_folder_of_an_older_version_that_kept_relative_paths(there):
    folder = there / "killed"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"]["root"], config["init_from"] = "images", "first"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / ".hydra").mkdir()
    record = {
        "hydra": {"run": {"dir": "outputs/${stamp:}"}, "runtime": {"cwd": str(there)}}
    }  # as Hydra writes it
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(record))
    resume(folder)
    assert_same_training(folder, there / "reference")


def test_with_the_same_images_in_other_folders_and_other_ways_to_load_them(there, capsys):
    (there / "images" / "train").rename(there / "moved")
    (there / "images" / "val").rename(there / "held out")
    said = [
        "data.root=../there/moved",
        "data.val_root='../there/held out'",
        "data.workers=1",
        "data.cache_bytes=1e6",
    ]
    resume(there / "killed", *said)
    assert_same_training(there / "killed", there / "reference")
    assert "changed" not in capsys.readouterr().err
    stored = yaml.safe_load((there / "killed" / "config.yaml").read_text())["data"]
    assert (stored["root"], stored["workers"], stored["cache_bytes"]) == (str(there / "moved"), 1, 1_000_000)


@pytest.mark.parametrize(
    "said", ["data.crop=16", "data.batch=4", "data.flip=false", "data=photos", "data.val_limit=1"]
)
def test_what_changes_numbers_stays(said, there):
    with pytest.raises(
        InputError, match=r"a resumed run keeps its configuration; only .*data\.root.* may change"
    ):
        parse([f"resume={there / 'killed'}", said])


def added(val):
    shutil.copy(val / "0.png", val / "00.png")


def removed(val):
    (val / "0.png").unlink()


def changed(val):
    with Image.open(val / "0.png") as image:
        ImageOps.mirror(image).save(val / "0.png")


def of_another_size(val):
    with Image.open(val / "1.png") as image:
        image.resize((200, 208)).save(val / "1.png")


def all_others(val):
    for i in range(2):
        (val / f"{i}.png").rename(val / f"other {i}.png")


@pytest.mark.parametrize(("change", "counts"), [
    (added, "1 added, 0 removed, 0 changed"), (removed, "0 added, 1 removed, 0 changed"),
    (changed, "0 added, 0 removed, 1 changed"), (of_another_size, "0 added, 0 removed, 1 changed"),
    (all_others, "2 added, 2 removed, 0 changed"),
])  # fmt: skip
def test_after_validation_images_changed_the_training_is_the_same_and_a_line_says_what_is_not(
    change, counts, there, capsys
):
    change(there / "images" / "val")
    resume(there / "killed")
    lines = [line for line in capsys.readouterr().err.splitlines() if "images changed" in line]
    assert len(lines) == 1
    assert f"validation images changed at update 2 ({counts}): " in lines[0]
    one, other = checkpoint(there / "killed"), checkpoint(there / "reference")
    for key in ("state_dict", "optimizer_states", "gcn"):
        assert list(differences(one[key], other[key])) == []
    rows, expected = (MetricsTable(there / name / "metrics.csv").rows() for name in ("killed", "reference"))
    for row, wanted in zip(rows, expected, strict=True):
        assert {k: v for k, v in row.items() if "val/" not in k} == {
            k: v for k, v in wanted.items() if "val/" not in k
        }
    first = next(row for row in rows if row["step"] > 2 and row["val/psnr"] is not None)
    assert (first.get("val/jitter") is None) == (change is all_others)
    assert json.loads((there / "killed" / "summary.json").read_text())["changes"] == lines
    assert checkpoint(there / "killed", "best.ckpt")["global_step"] > 2


@pytest.mark.parametrize("change", [removed, changed])
def test_other_training_images_are_said(change, there, capsys):
    change(there / "images" / "train")
    resume(there / "killed")
    lines = [line for line in capsys.readouterr().err.splitlines() if "images changed" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"training images changed at update 2 (7 before, {6 if change is removed else 7} now): "
    )


def test_a_checkpoint_that_knows_nothing_of_its_images_is_resumed(there, monkeypatch):
    """One of an older version, after a validation image was added."""
    import torch

    for file in (there / "killed" / "checkpoints").glob("last.ckpt*"):
        content = torch.load(file, weights_only=True)
        del content["callbacks"]["SameData"]
        content["callbacks"]["Record"]["before"] = list(content["callbacks"]["Record"]["before"].values())
        torch.save(content, file)
    added(there / "images" / "val")
    resume(there / "killed")
    assert list(planned(there / "killed").data.val_names) == ["0.png", "00.png", "1.png"]
    assert os.getcwd() == str(there.parent / "here")
