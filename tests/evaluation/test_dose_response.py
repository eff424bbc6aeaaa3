"""Validation of the instruments: every case is measured once, saved, and taken up again."""

import csv
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from gcn.commands.instruments import main
from gcn.data.photos import photograph
from gcn.evaluation import dose_response
from gcn.evaluation.dose_response import Case, Validation
from gcn.metrics.degradations import ladder
from gcn.report import dose_report


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve photographs of 100 pixels, and a validation of few cases."""
    images = tmp_path / "images"
    images.mkdir()
    for i in range(12):
        x = photograph(("chelsea.png", "coffee.png", "astronaut.png")[i % 3])
        at = 60 + 35 * (i // 3)
        Image.fromarray(x[at : at + 100, at : at + 102]).save(images / f"{i:02}.png")
    few = [(ladder("noise"), 1.0), (ladder("noise"), 12.0)]
    monkeypatch.setattr(dose_response, "rungs", lambda names: few)
    monkeypatch.setattr(dose_response, "crops_of", lambda count: 24)
    monkeypatch.setattr(dose_response, "ON_CODEC", (("noise", 6.0),))
    monkeypatch.setattr(dose_response, "SLICING", dose_response.Slicing(patches=8, directions=8))
    return images


def run(images: Path, out: Path, *words: str) -> int:
    return main(
        [f"data.root={images}", "model=low", "side=96", "seeds=2", "ladders=noise", f"out={out}", *words]
    )


@pytest.mark.usefixtures("coarse_pngs")
def test_the_command_writes_tables_and_a_figure_and_resumes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dose_response.CLASSIFIERS["4 channels"]
    monkeypatch.setattr(dose_response, "classify", partial(dose_response.classify, options=small))
    out = tmp_path / "out"
    assert run(folder, out) == 0
    said = capsys.readouterr().out
    assert "12 images, 24 crops of each" in said
    with (out / "instruments.csv").open() as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["photographs", "noise 1", "noise 12", "codec", "codec + noise 6"]
    assert float(rows["photographs"]["c2st"]) == 0
    assert float(rows["noise 1"]["c2st"]) <= float(rows["noise 12"]["c2st"])
    assert float(rows["noise 12"]["psnr"]) == pytest.approx(
        26.6, abs=0.5
    )  # 20 lg (255 / 12), and some is clamped
    assert {p.name for p in out.iterdir()} >= {
        "dose_response.png",
        "dose_response.svg",
        "instruments.json",
        "instruments.md",
    }
    content = json.loads((out / "instruments.json").read_text())
    assert content["command"].startswith("python scripts/instruments.py data.root=")
    assert len(content["rows"]) == 5

    lines = (out / "rows.jsonl").read_text().splitlines()
    (out / "rows.jsonl").write_text("\n".join(lines[:-1]) + "\n")  # stopped before the last case
    monkeypatch.setattr(dose_report, "figure", lambda *_: [])
    measured: list[Case] = []
    original = Validation.measure
    monkeypatch.setattr(
        Validation, "measure", lambda self, case: measured.append(case) or original(self, case)
    )
    assert run(folder, out) == 0
    assert measured == [Case("noise", 6.0, codec=True)]
    assert (out / "rows.jsonl").read_text().splitlines() == lines
    capsys.readouterr()
    assert run(folder, out, "seeds=3") == 2
    assert capsys.readouterr().err.count("given twice") == 1
    words = [f"data.root={folder}", "model=low", "side=96", "seeds=3", "ladders=noise", f"out={out}"]
    assert main(words) == 2
    assert "holds the rows of another command" in capsys.readouterr().err


def test_too_few_or_too_small_images_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [f"data.root={folder}", "side=128", f"out={tmp_path / 'out'}"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert (
        "0 images of at least 32 pixels a side, 10 are the least; give more images of at least 128" in error
    )
    assert error.count("\n") == 1
    assert main([f"data.root={folder}", "ladders=blurr"]) == 2
    assert "ladders=blurr: no such ladder" in capsys.readouterr().err


def test_sizes_of_the_classifier_are_compared_on_the_same_cases(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dose_response, "ON_SIZES", (Case("photographs", 0.0), Case("noise", 12.0)))
    images = [torch.tensor(photograph("chelsea.png")[k : k + 96, k : k + 96]) for k in range(0, 220, 20)]
    load = [partial(dose_response.Source, str(i)) for i in range(len(images))]
    sources = [make(lambda x=x: _Decoded(x.numpy())) for make, x in zip(load, images, strict=True)]
    validation = Validation(sources, 96, None, 2)  # type: ignore[arg-type]
    row = validation.sizes("4 channels")
    assert row["photographs"] == 0
    assert row["noise 12"] > 0.2
    assert row["noise 12, seeds"] > 0


class _Decoded:
    def __init__(self, pixels) -> None:
        self.pixels = pixels
