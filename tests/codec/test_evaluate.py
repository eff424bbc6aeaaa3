"""scripts/evaluate.py from codecs to the page."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from gcn import evaluation
from gcn.codec.container import write
from gcn.errors import InputError
from gcn.models import package
from gcn.report.rates.record import read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two crops of photographs."""
    root = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.chelsea()[:180, :200]).save(root / "cat.png")
    Image.fromarray(data.coffee()[100:290, 100:270]).save(root / "coffee.png")
    return root


def run(monkeypatch, capsys, *words):
    spec = importlib.util.spec_from_file_location("script_evaluate", ROOT / "scripts" / "evaluate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from gcn.words import run as run_words

    words = list(map(str, words))
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *words])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
    code = run_words(words, module.OPTIONS, module.USAGE, "", module.work)
    return code, *capsys.readouterr()


def test_all_of_it(folder, tmp_path, monkeypatch, capsys):
    code, said, _ = run(
        monkeypatch, capsys, "model=low,mid", "data=folder", f"data.root={folder}", "compare=jpeg,webp",
        f"out={tmp_path / 'out'}",
    )  # fmt: skip
    assert code == 0
    assert said.count("left out: ") == 3
    assert "gcn (low) has" in said
    record = read(tmp_path / "out" / "evaluation.json")
    assert set(record.series()) == {"gcn", "JPEG", "WebP"}
    by_name = {(r.codec, r.setting, r.image): r for r in record.images}
    codec = package.load(package.shipped()["mid"].path)
    for name in ("cat.png", "coffee.png"):
        pixels = np.asarray(Image.open(folder / name))
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        own = by_name["gcn", "mid", name]
        assert own.bytes == len(write(codec, x))
        x_hat = (
            codec.reconstruct(x / 255).x_hat[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
        )
        assert own.psnr == pytest.approx(peak_signal_noise_ratio(pixels, x_hat), abs=1e-3)
        assert own.bpp == pytest.approx(8 * own.bytes / pixels[..., 0].size)
        assert own.extra["bpp_tables"] == pytest.approx(own.bpp, rel=0.01, abs=8 * 40 / pixels[..., 0].size)
    pooled = next(r for r in record.pooled if r.setting == "mid")
    assert pooled.bpp == pytest.approx(
        8 * sum(by_name["gcn", "mid", n].bytes for n in ("cat.png", "coffee.png")) / (180 * 200 + 190 * 170)
    )
    assert pooled.value("bpp_estimate") == pytest.approx(pooled.bpp, rel=0.1)
    assert (tmp_path / "out" / "index.html").stat().st_size > 10_000
    rates = sorted(r.bpp for r in record.series()["JPEG"])
    assert rates[-1] > 1.3 * record.series()["gcn"][-1].bpp


def test_series_of_one_s_own(folder, tmp_path, monkeypatch, capsys):
    low = package.shipped()["low"].path
    code, _, _ = run(
        monkeypatch, capsys, f"series.mine={low}", f"data.root={folder}", "compare=jpeg", f"out={tmp_path}"
    )
    assert code == 0
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
        (["stray"], "stray"),
        (["model="], "model=: give a name"),
        (["series.x="], "series.x=: give a name"),
        (["series.=low"], "series.=low: give a name"),
        ([f"out={__file__}"], "is no folder"),
        (["modle=low"], "did you mean model="),
    ],
)
def test_bad_input(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(monkeypatch, capsys, *words)
    assert code == 2
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_the_reconstruction_stops_it(folder, monkeypatch):
    """The evaluation would be worthless, so it does not go on."""
    codec = package.load(package.shipped()["low"].path)
    monkeypatch.setattr(evaluation, "read", lambda codec, data: torch.zeros(1, 3, 180, 200))
    with pytest.raises(RuntimeError, match="own reconstruction"):
        evaluation._through_file(codec, torch.rand(1, 3, 180, 200), "a.png")


def test_members_are_curves():
    found = evaluation.members({"model": "low,mid", "series.other": "low"})
    assert [(m.series, m.setting) for m in found] == [("gcn", "low"), ("gcn", "mid"), ("other", "low")]
    with pytest.raises(InputError):
        evaluation.members({"model": "lowest"})
