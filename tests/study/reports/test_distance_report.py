"""The report on distances in the plane: what is computed from the table, and what is said of lost and missing runs."""

import math
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from gcn.errors import InputError
from gcn.study import design, report, table
from gcn.study.reports import contrasts, distance_figures, distance_report

STORED = Path(__file__).parents[3] / "docs" / "study" / "plane"
STEPS = (0, 50, 80, 90, 100)


@pytest.fixture(scope="module")
def study():
    return design.load("plane")


@pytest.fixture(scope="module")
def ask(study):
    return contrasts.load(study.text, study.labels)


def game(data, seed, w1, **levels):
    """A run whose distance is ``w1`` over the last fifth of its updates, and ten times that before."""
    levels = {
        "generator": "noise",
        "loss": "ns",
        "trick": "none",
        "rule": "alternating",
        "distortion": "none",
    } | levels
    name = "_".join([data, *levels.values(), str(seed)])
    rows = [
        {"step": s, "recovered": 8.0, "held": 7.0, "good": 0.5, "w1": w1 if s >= 80 else 10 * w1}
        for s in STEPS
    ]
    return {
        "name": name, "levels": {"data": data, **levels}, "seed": seed, "verdict": "finished", "verdict_reason": "",
        "words": [], "seconds": 60.0, "steps": 100, "rows": rows,
        "responses": {"recovered": 8.0, "held": 7.0 - seed, "good": 0.5, "w1": w1, "w1_of_data": 0.1},
    }  # fmt: skip


def games():
    for seed in range(3):
        yield game("circle", seed, 0.2 + 0.1 * seed)
        yield game("circle", seed, 0.15 + 0.1 * seed, trick="r1")  # nearer with every seed
        yield game("circle", seed, 0.25 if seed < 2 else 0.9, loss="hinge")  # farther with two of three seeds
        yield game("circle", seed, 0.5 + 0.1 * seed, rule="sga")  # farther with every seed
        yield game("circle", seed, math.nan if seed == 1 else 0.3, loss="wgan")
        yield game("line", seed, 0.4)
        yield game("ring", seed, 0.4)
        yield game("ring", seed, 0.3, generator="codec", distortion="mse")


@pytest.fixture(scope="module")
def page(study, coarsely, tmp_path_factory):
    folder = tmp_path_factory.mktemp("distances")
    table.write(games(), folder)
    with coarsely(svg=False):
        files = report.write(study, folder, folder / "report")
    assert all(file.stat().st_size > 1000 for file in files if file.suffix != ".svg")
    return files[0].read_text(encoding="utf-8")


def test_distances_are_means_over_the_last_fifth_of_the_updates():
    found = distance_report.late_distances({"a": game("line", 0, 0.7)["rows"], "b": []}, 0.2)
    assert found == {"a": pytest.approx(0.7)}
    assert distance_report.late_distances({"a": game("line", 0, math.nan)["rows"]}, 0.2) == {"a": math.inf}
    half = distance_report.late_distances({"a": game("line", 0, 0.7)["rows"]}, 0.5)
    assert half["a"] == pytest.approx((7 + 3 * 0.7) / 4)


def test_the_table_has_each_method_once_with_the_range_of_its_seeds(page):
    rows = {line.split(" |")[0][2:]: line for line in page.splitlines() if line.startswith("| ")}
    assert rows["ns"].count("0.50 [0.50, 0.50]") == 2
    assert "0.400 [0.400, 0.400] | 0.50 [0.50, 0.50] | 0.300 [0.200, 0.400] |" in rows["ns"]
    assert "0.250 [0.150, 0.350]" in rows["ns, r1"]
    assert "1 of 3 not finite" in rows["wgan"]
    assert "0.100 [0.100, 0.100]" in rows["floor"]
    assert page.count("\n| ns, r1 |") == page.count("\n| ns |") == 1
    assert "| ns: codec, mse = 1 | 0.30 [0.30, 0.30] | 8.0 [8.0, 8.0] | 6.0 [5.0, 7.0] |" in page


def test_a_method_is_nearer_or_farther_only_if_it_is_so_with_each_seed(page):
    said = " ".join(page.split())
    assert "Circle: of 4 methods nearer to the data than `ns`: 1 (ns, r1); farther: 1 (ns, sga)." in said
    assert "Four lines: of" not in said  # none was trained there
    assert (
        "Circle, smallest mean distances: ns, r1 0.250; ns 0.300; hinge 0.467; ns, sga 0.600; wgan inf."
        in said
    )
    assert "of 25 on the grid" not in said
    assert "of 8 on the ring: GAN 6.0 [5.0, 7.0]; codec, mse = 1 6.0 [5.0, 7.0]." in said
    assert "24 of 462 planned games" in said


def test_a_page_names_what_was_not_verified(page, ask):
    assert re.search(r"What has a \* is from memory and was not verified", page)
    marked = [row for row in ask.content["deviations"] if "*" in row[1]]
    assert len(marked) >= 6
    assert all("*" not in row[2] for row in ask.content["deviations"])


def test_methods_of_a_family_begin_with_the_plain_one(ask):
    rows = [table.row(one) for one in games()]
    family = {"title": "Losses", "each": "loss", "methods": [{"loss": "wgan", "trick": "clip"}]}
    found = distance_report.methods(rows, family, ask)
    assert [method.name for method in found] == ["ns", "hinge", "wgan"]
    assert all(row["trick"] == "none" for method in found for row in method.rows)


def test_every_planned_arm_has_a_place_in_the_report(study, ask):
    """A method that is trained and not shown would be lost on the reader."""
    rows = [{**arm.levels, "name": arm.name} for arm in study.arms]
    shown = [m for family in ask.content["families"] for m in distance_report.methods(rows, family, ask)]
    names = {row["name"] for method in [*shown, *distance_report.modes(rows, ask)] for row in method.rows}
    assert names == {arm.name for arm in study.arms}


def test_the_published_page_is_that_of_the_stored_table(study, ask):
    rows, points = table.read(STORED), table.read_curves(STORED)
    planned = {run for arm in study.arms for run in arm.runs}
    assert {row["name"] for row in rows} <= planned
    assert all(row["steps"] == study.protocol.updates for row in rows)
    late = distance_report.late_distances(points, ask.content["late"])
    assert late.keys() == {row["name"] for row in rows}
    said = (STORED / "README.md").read_text(encoding="utf-8")
    tables = [
        distance_report._distances(
            distance_report._once(distance_report._families(rows, ask)), late, rows, ask
        ),
        distance_report._modes(distance_report.modes(rows, ask), late, ask),
    ]
    for _, body in filter(None, tables):
        for line in body:
            assert f"| {' | '.join(line)} |" in said


def test_an_unknown_kind_of_report_is_refused(study, tmp_path, monkeypatch):
    table.write([game("line", 0, 0.5)], tmp_path)
    kept = contrasts.load(study.text, study.labels)
    monkeypatch.setitem(kept.content, "report", "distances")
    monkeypatch.setattr(contrasts, "load", lambda *_: kept)
    with pytest.raises(InputError, match="report: distances is unknown"):
        report.write(study, tmp_path, tmp_path / "out")


def test_an_axis_of_distances_spans_a_factor_of_five_or_more_about_its_middle():
    assert distance_figures._widened(1, 1.21) == pytest.approx((1.1 / 5**0.5, 1.1 * 5**0.5))
    assert distance_figures._widened(0.1, 10) == pytest.approx((0.1, 10))


def test_the_look_before_all_updates_does_not_set_the_scale():
    axes = Figure().subplots()
    axes.fill_between([0, 100, 200], [0, 0, 0], [1.0, 0.02, 0.1])
    distance_figures._without_first_look(axes)
    assert axes.get_ylim() == pytest.approx((-0.004, 0.106))
