"""scripts/evaluate.py from codecs to the page."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripting import script
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from gcn.codec.container import write
from gcn.evaluation import settings
from gcn.models import package
from gcn.report.rates.rate_record import read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two crops of photographs of one name, and a file that is no image."""
    root = tmp_path_factory.mktemp("photos")
    for name, picture in (("cats", data.chelsea()[:180, :200]), ("cups", data.coffee()[100:290, 100:270])):
        (root / name).mkdir()
        Image.fromarray(picture).save(root / name / "1.png")
    (root / "junk.png").write_bytes(b"junk")
    return root


def run(*words):
    """The command in this process: its status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
        return script("evaluate")(*words)


@pytest.fixture(scope="module")
def words(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "out"
    return ["model=low,mid", "data=folder", f"data.root={folder}", "compare=jpeg", f"out={out}"]


@pytest.fixture(scope="module")
def report(words, coarsely):
    """Status, folder and record; nothing is drawn on the figures, at which no test here looks."""
    with coarsely(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.draw", lambda figure, renderer: None)
        status, out = run(*words), Path(words[-1].removeprefix("out="))
    return status, out, read(out / "evaluation.json")


def test_the_numbers_are_those_of_real_files(report, folder):
    _, out, record = report
    assert set(record.series()) == {"gcn", "JPEG"}
    by_name = {(r.codec, r.setting, r.image): r for r in record.images}
    codec = package.load(package.shipped()["mid"].path)
    for name in ("cats/1.png", "cups/1.png"):
        pixels = np.asarray(Image.open(folder / name))
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        own = by_name["gcn", "mid", name]
        assert own.bytes == len(write(codec, x))
        x_hat = codec.reconstruct(x / 255).x_hat[0].clamp(0, 1).mul(255).round().byte()
        expected = peak_signal_noise_ratio(pixels, x_hat.permute(1, 2, 0).numpy())
        assert own.psnr == pytest.approx(expected, abs=1e-9)
        assert own.bpp == pytest.approx(8 * own.bytes / pixels[..., 0].size)
        assert own.extra["bpp_tables"] == pytest.approx(own.bpp, rel=0.01, abs=8 * 40 / pixels[..., 0].size)
    pooled = next(r for r in record.pooled if r.setting == "mid")
    total = sum(by_name["gcn", "mid", name].bytes for name in ("cats/1.png", "cups/1.png"))
    assert pooled.bpp == pytest.approx(8 * total / (180 * 200 + 190 * 170))
    assert pooled.value("bpp_estimate") == pytest.approx(pooled.bpp, rel=0.1)
    assert (out / "index.html").stat().st_size > 10_000
    rates = sorted(r.bpp for r in record.series()["JPEG"])
    assert rates[-1] > 1.3 * record.series()["gcn"][-1].bpp


def test_a_bad_image_is_named_and_the_status_says_so(report):
    status, out, record = report
    assert status == 2
    assert record.failed == {"junk.png": "not an image"}
    assert "junk.png (not an image)" in (out / "index.html").read_text()
    assert {row.images for row in record.pooled} == {2}


def test_two_files_of_one_name_are_told_apart(report):
    assert {row.image for row in report[2].images} == {"cats/1.png", "cups/1.png"}


@pytest.mark.usefixtures("empty_figures")
def test_the_same_command_takes_up_what_is_saved(report, words, monkeypatch, capsys):
    _, out, record = report
    monkeypatch.setattr("gcn.evaluation.job.crops", lambda *_: None)
    monkeypatch.setattr(settings, "through_file", lambda *_: pytest.fail("an image was coded again"))
    assert run(*words) == 2
    said = capsys.readouterr()
    assert f"{len(record.images)} rows" in said.out
    assert "2 done, 1 failed" in said.out
    assert said.err.count("\n") == 1
    assert read(out / "evaluation.json").images == record.images


def test_another_evaluation_is_not_replaced_without_a_word(report, words, capsys):
    _, out, _ = report
    before = (out / "evaluation.json").read_bytes()
    assert run("model=low", *words[1:]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert (out / "evaluation.json").read_bytes() == before


@pytest.mark.usefixtures("empty_figures")
def test_a_series_of_one_s_own_from_the_command_line(folder, tmp_path):
    low = package.shipped()["low"].path
    run(f"series.mine={low}", f"data.root={folder / 'cats'}", "compare=", f"out={tmp_path}")
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["pooled"][0]["codec"] == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare=jpgg"], "jpgg"),
        (["model=none"], "none: neither a file nor"),
        (["run=/nowhere"], "run=/nowhere: no such folder"),
        (["data=folder"], "data.root"),
        (["data=photos", "data.root=x"], "data=photos"),
        (["data.root=/nowhere"], "/nowhere"),
        (["weights=/nowhere"], "/nowhere"),
        (["published=maybe"], "published=maybe"),
        (["overwrite=maybe"], "overwrite=maybe"),
        (["background=none"], "none"),
        (["stray"], "stray"),
        (["model="], "model=: must be"),
        (["run="], "run=: must be"),
        (["out="], "out=: must be a path"),
        (["series.x="], "series.x=: must be"),
        (["series.=low"], "series.: unknown; nearest: series.NAME"),
        (["series.JPEG=low"], "series.JPEG=: the curve"),
        ([f"out={__file__}"], "is not a folder"),
        (["out=/proc/x"], "/proc/x: cannot be made"),
        (["modle=low"], "modle: unknown; nearest: model"),
    ],
)
def test_bad_input(words, said, tmp_path, monkeypatch, capsys):
    """Found before an image is decoded, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gcn.evaluation.job.Evaluation", lambda *_: pytest.fail("work has begun"))
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
