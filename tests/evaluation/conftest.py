"""Evaluations that take a moment: codecs that only round, small images, no figures."""

import functools

import pytest
import torch
from PIL import Image
from rounding import Rounding, photo

from gcn.evaluation import job, measuring
from gcn.metrics.realism import Slicing
from gcn.report.rates import rate_report
from gcn.report.rates.rate_record import read


@pytest.fixture
def codecs(monkeypatch):
    """Two settings instead of the learned codecs, and reports without figures and without crops."""
    made = [Rounding(8), Rounding(32)]
    monkeypatch.setattr(job, "members", lambda options: made)
    monkeypatch.setattr(job, "remarks", lambda found, own: [])
    monkeypatch.setattr(job, "_crops", lambda *_: (None, []))
    monkeypatch.setattr(measuring, "Slicing", functools.partial(Slicing, patches=8, directions=8, levels=2))
    monkeypatch.setattr(rate_report, "rate_figures", lambda *_: [])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
    return made


@pytest.fixture
def images(tmp_path):
    """Four images of different sizes."""
    root = tmp_path / "images"
    root.mkdir()
    for i in range(4):
        Image.fromarray(photo(20 + i, 24, i)).save(root / f"{i}.png")
    return root


@pytest.fixture
def evaluate(tmp_path):
    """Evaluate a folder; status and record."""

    def run(root, out=tmp_path / "out", compare="", **keywords):
        options = {"data.root": str(root), "compare": compare, "out": str(out)}
        status = job.evaluate(options, "command", **keywords)
        return status, read(out / "evaluation.json")

    return run
