"""The report of an evaluation: what is stored, said and drawn."""

import csv
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.report.rates.crops import SIDE, STEP, Column, Crop, choose, errors
from gcn.report.rates.published import CURVES, of
from gcn.report.rates.rate_record import (
    BDRate,
    EvaluationRecord,
    ImageRow,
    ImageSet,
    PooledRow,
    markdown,
    read,
    write,
)
from gcn.report.rates.rate_report import Crops, write_report
from gcn.report.rates.rate_summary import at, sentences


def row(codec, bpp, psnr, kind="classical", **values):
    return PooledRow(codec, f"{bpp}", kind, 2, bpp, psnr, **values)


JPEG = [row("JPEG", 0.1, 20.0, ms_ssim=0.8, swd=0.2), row("JPEG", 0.4, 30.0, ms_ssim=0.95, swd=0.1)]
AVIF = [row("AVIF", 0.1, 26.0, ms_ssim=0.9, swd=0.15), row("AVIF", 0.4, 34.0, ms_ssim=0.97, swd=0.05)]
OURS = [
    row("gcn", 0.2, 27.0, "learned", ms_ssim=0.93, swd=0.12),
    row("gcn", 0.05, 20.0, "learned", ms_ssim=0.7, swd=0.3),
]
RECORD = EvaluationRecord(
    title="2 images: <cats> & dogs",
    command="python scripts/evaluate.py run='<a>'",
    images=[
        ImageRow("gcn", "low", "a<b>.png", 100, 90, 123, 0.11, 27.0, math.nan, {"bpp_tables": 0.1}, 130.0, 0),
        ImageRow(
            "gcn", "low", "flat.png", 9, 9, 40, 4.0, math.inf, 1.0, {"lpips": math.nan}, 0.0, 0, "c", "i"
        ),
    ],
    pooled=[*OURS, *JPEG, *AVIF],
    swd_floor=0.04,
    swd_options="some patches",
    notes=["LPIPS left out: put it <there>"],
    bd_rates=[
        BDRate("gcn", "JPEG", -12.5, None),
        BDRate("gcn", "AVIF", math.nan, "the curves share no quality"),
    ],
)


def test_the_record_comes_back(tmp_path):
    write(RECORD, tmp_path)
    found = read(tmp_path / "evaluation.json")
    assert math.isnan(found.images[0].ms_ssim)
    assert found.images[1].psnr == math.inf
    assert repr(found) == repr(RECORD)
    text = (tmp_path / "evaluation.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_the_table_has_a_row_for_each_image(tmp_path):
    write(RECORD, tmp_path)
    with (tmp_path / "evaluation.csv").open() as file:
        found, flat = csv.DictReader(file)
    assert found["image"] == "a<b>.png"
    assert found["bytes"] == "123"
    assert found["ms_ssim"] == ""
    assert found["bpp_tables"] == "0.1"
    assert flat["psnr"] == "inf"
    assert flat["lpips"] == flat["bpp_tables"] == ""


def test_rates_in_between_are_interpolated_and_others_are_not():
    assert at(JPEG, 0.2) == pytest.approx(25.0)
    assert math.isnan(at(JPEG, 0.09))
    assert math.isnan(at(JPEG, 0.41))


def test_who_wins_is_said():
    assert sentences(RECORD) == [
        "gcn (0.05) has 20.00 dB at 0.050 bit/pixel: JPEG and AVIF do not reach this rate.",
        "gcn (0.2) has 27.00 dB at 0.200 bit/pixel: it beats JPEG (25.00); loses to AVIF (30.00).",
    ]
    equal = replace(RECORD, pooled=[OURS[0], *(replace(r, psnr=r.psnr + 2.05) for r in JPEG)])
    assert sentences(equal) == ["gcn (0.2) has 27.00 dB at 0.200 bit/pixel: it equals JPEG (27.05)."]


def test_what_a_mean_is_not_over_is_said_before_anything_is_compared():
    left_out = {f"{i}.png": "kept exactly by JPEG 0.4" for i in range(7)} | {"tiny.png": "too small"}
    record = replace(RECORD, sets=[ImageSet("psnr", ["a"], left_out)], failed={"bad.png": "truncated"})
    assert sentences(record)[:2] == [
        "1 of 3 images failed and are in no number: bad.png (truncated).",
        "PSNR is a mean over 1 of 9 images, the same for every codec; left out: 0.png, 1.png, 2.png, 3.png, 4.png and"
        " 2 more (kept exactly by JPEG 0.4); tiny.png (too small).",
    ]
    assert len(sentences(record)) == 4


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_nothing_beats_and_nothing_loses_without_a_number(value):
    ours, theirs = replace(OURS[0], psnr=value), replace(JPEG[1], psnr=value)
    assert sentences(replace(RECORD, pooled=[ours, *JPEG])) == ["gcn (0.2) has 0.200 bit/pixel."]
    assert "beats" not in sentences(replace(RECORD, pooled=[OURS[0], JPEG[0], theirs]))[0]


def test_rates_are_those_of_the_images_that_a_mean_is_over():
    moved = [replace(row, bpp=row.bpp * 3, rates={"psnr": row.bpp}) for row in (OURS[0], *JPEG)]
    expected = sentences(replace(RECORD, pooled=[OURS[0], *JPEG]))
    assert sentences(replace(RECORD, pooled=moved)) == expected == [
        "gcn (0.2) has 27.00 dB at 0.200 bit/pixel: it beats JPEG (25.00)."
    ]  # fmt: skip


def test_markdown_leaves_the_unknown_empty():
    text = markdown([OURS[0]], [("psnr", ".2f"), ("lpips", ".3f")])
    assert text.splitlines()[-1] == "| gcn | 0.2 | 0.200 | 27.00 |  |"


def pictures():
    rng = np.random.default_rng(0)
    original = rng.integers(0, 256, (200, 260, 3), dtype=np.uint8)
    bad = original.copy()
    bad[64:160, 112:208] //= 2
    return original, bad


def test_crops_lie_where_codecs_differ():
    original, bad = pictures()
    grids = [[errors(original, original), errors(original, bad)], [errors(original, original)] * 2]
    crops = choose(grids)
    assert crops[0] == (0, 64, 112)
    assert crops == choose(grids)
    assert choose([[errors(original[: SIDE - 1], original[: SIDE - 1])]]) == []
    assert choose([[]]) == []


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 130), st.integers(1, 130), st.booleans())
def test_errors_of_squares_are_those_of_their_crops(height, width, grey):
    shape = (height, width) if grey else (height, width, 3)
    a, b = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    found = errors(a, b)
    assert found.shape == tuple(max(0, length // STEP - SIDE // STEP + 1) for length in shape[:2])
    for row, column in np.ndindex(found.shape):
        crop = Crop(0, row * STEP, column * STEP)
        x, y = crop.of(a), crop.of(b)
        assert x.base is None
        assert found[row, column] == pytest.approx(((x.astype(float) - y) ** 2).mean(), rel=1e-9)


@pytest.fixture(scope="module")
def report(coarsely, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    original, bad = pictures()
    (folder / "evaluation.csv").write_text("of an earlier report")
    crop = Crop(0, 64, 112)
    x, y = crop.of(original), crop.of(bad)
    columns = [Column("gcn", 0.2, [x, x[..., 0]]), Column("JPEG <5>", 0.2, [y, y[..., 0]])]
    crops = Crops([x, x[..., 0]], ["a<b>.png", "grey.png"], columns)
    with coarsely(svg=False):
        return write_report(RECORD, folder, crops, published=True)


def test_every_file_is_there(report):
    names = {path.name for path in report}
    figures = {
        f"{name}.{kind}" for name in ("rate_distortion", "rate_realism", "crops") for kind in ("png", "svg")
    }
    assert names == figures | {"evaluation.json", "evaluation.csv", "index.html"}
    assert all(path.stat().st_size > 500 for path in report if path.suffix == ".png")
    assert {path.name for path in report[0].parent.iterdir()} == names


@pytest.mark.usefixtures("empty_figures")
def test_a_report_without_crops_leaves_none_of_an_earlier_one(tmp_path):
    (tmp_path / "crops.png").touch()
    write_report(RECORD, tmp_path)
    assert not (tmp_path / "crops.png").exists()


def test_the_page_needs_nothing_else_and_runs_nothing(report):
    page = next(path for path in report if path.name == "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert page.count("<img") == 3
    for text in (
        "&lt;cats&gt; &amp; dogs",
        "a&lt;b&gt;.png",
        "put it &lt;there&gt;",
        "&#39;&lt;a&gt;&#39;",
    ):
        assert text in page, text
    assert "<cats>" not in page
    assert "-12.5 %" in page
    assert "the curves share no quality" in page
    assert "nan" not in page.lower().replace("data:image", "").split("<table")[1].split("</table>")[0]


def test_published_numbers_have_a_source():
    assert {curve.data for curve in CURVES} == {"Kodak", "CLIC2020 test"}
    assert all(curve.source for curve in CURVES)
    assert [curve.codec for curve in of("fid_256")] == ["HiFiC", "MS-ILLM", "CRDR"]
    assert of("psnr", "Kodak")[0].points[0] == (0.183, {"psnr": 27.57, "lpips": 0.0686})
    assert of("swd") == []
