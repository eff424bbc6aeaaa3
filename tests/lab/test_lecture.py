"""The lecture's figures: written, reproducible, without traces, and drawn from the losses of the training."""

import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gcn.lab import lecture
from gcn.lab.divergences import generator_costs
from gcn.lab.lecture import COSTS, DPI, FIGURES, played_cost

D = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999])


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_a_figure_is_written_twice(tmp_path, draw):
    before = dict(matplotlib.rcParams)
    path = draw(tmp_path / "deep" / "v1.2")
    assert path == tmp_path / "deep" / "v1.2"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["v1.2.png", "v1.2.svg"]
    assert dict(matplotlib.rcParams) == before

    page = Image.open(path.with_name("v1.2.png")).convert("RGB")
    assert min(page.size) > 3 * DPI
    assert len(page.getcolors(2**24)) > 100
    assert page.getpixel((0, 0)) == (255, 255, 255)

    svg = path.with_name("v1.2.svg").read_text()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert len(svg) > 20_000
    assert "date" not in svg


def test_an_svg_changes_only_with_its_figure(tmp_path):
    first, second = (lecture.piles(tmp_path / name).with_suffix(".svg").read_bytes() for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("name", COSTS)
def test_the_costs_drawn_are_those_of_the_lecture(name):
    loss = COSTS[name][0]
    assert played_cost(loss(), D).cost == pytest.approx(getattr(generator_costs(D), name), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "in_d", "in_logit"),
    [
        ("saturating", lambda d: -1 / (1 - d), lambda d: -d),
        ("non_saturating", lambda d: -1 / d, lambda d: d - 1),
        ("maximum_likelihood", lambda d: -1 / (1 - d) ** 2, lambda d: -d / (1 - d)),
    ],
)
def test_their_slopes(name, in_d, in_logit):
    played = played_cost(COSTS[name][0](), D)
    assert played.slope_d == pytest.approx(in_d(D), rel=1e-9)
    assert played.slope_logit == pytest.approx(in_logit(D), rel=1e-9)


def test_every_cost_is_drawn():
    assert tuple(COSTS) == generator_costs(0.5)._fields
