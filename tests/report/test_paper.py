"""Figures for papers: small files that show what was drawn."""

import numpy as np
import pytest
from PIL import Image

from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, ORANGE


def chart(path, **options):
    """A figure of two lines; its pixels as drawn, before any file."""
    with paper_figure(path, (3, 2), **options) as figure:
        figure.set_layout_engine("none")  # it moves the axes a little with every drawing
        axes = figure.subplots()
        axes.plot(np.sin(np.arange(30)), color=BLUE)
        axes.plot(np.cos(np.arange(30)), color=ORANGE, alpha=0.5)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def read(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image.convert("RGB")).astype(int), image.info["dpi"]


def test_a_chart_has_a_palette_and_looks_as_drawn(tmp_path):
    drawn = chart(tmp_path / "chart", dpi=100)
    mode, shown, dpi = read(tmp_path / "chart.png")
    assert mode == "P"
    assert dpi == pytest.approx((100, 100), abs=0.1)
    assert shown.shape == drawn.shape == (200, 300, 3)
    assert np.sqrt(((shown - drawn) ** 2).mean()) < 4
    assert abs(shown - drawn).max() < 64
    assert (shown[drawn.min(axis=2) == 255] == 255).all()  # paper is white
    assert (tmp_path / "chart.svg").read_text(encoding="utf-8").count("<path") > 2


def test_photographs_keep_every_colour(tmp_path):
    drawn = chart(tmp_path / "chart", colours=None)
    mode, shown, _ = read(tmp_path / "chart.png")
    assert mode == "RGB"
    assert np.array_equal(shown, drawn)


def test_a_palette_is_smaller_and_depends_on_what_is_drawn_alone(tmp_path):
    for name, colours in (("a", 256), ("b", 256), ("all", None)):
        chart(tmp_path / name, colours=colours)
    sizes = {name: (tmp_path / f"{name}.png").stat().st_size for name in ("a", "all")}
    assert sizes["a"] < 0.6 * sizes["all"]
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
