"""The report of an evaluation: what is stored, said and drawn."""

import csv
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from gcn.report.rates.crops import SIDE, Column, choose
from gcn.report.rates.published import CURVES, of
from gcn.report.rates.record import BDRate, EvaluationRecord, ImageRow, PooledRow, markdown, read, write
from gcn.report.rates.report import write_report
from gcn.report.rates.summary import at, sentences


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
    images=[ImageRow("gcn", "low", "a<b>.png", 100, 90, 123, 0.11, 27.0, math.nan, {"bpp_tables": 0.1})],
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
    assert repr(found) == repr(RECORD)
    assert "NaN" not in (tmp_path / "evaluation.json").read_text()


def test_the_table_has_a_row_for_each_image(tmp_path):
    write(RECORD, tmp_path)
    with (tmp_path / "evaluation.csv").open() as file:
        (found,) = csv.DictReader(file)
    assert found["image"] == "a<b>.png"
    assert found["bytes"] == "123"
    assert found["ms_ssim"] == ""
    assert found["bpp_tables"] == "0.1"


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
    columns = [Column("one", 0.2, [original, original]), Column("two", 0.2, [bad, original])]
    crops = choose([original, original], columns)
    assert crops[0] == (0, 64, 112)
    assert crops == choose([original, original], columns)
    assert choose([original[: SIDE - 1]], [Column("one", 0.2, [original[: SIDE - 1]])]) == []


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    original, bad = pictures()
    columns = [Column("gcn", 0.2, [original]), Column("JPEG <5>", 0.2, [bad])]
    return write_report(RECORD, folder, [original], ["a<b>.png"], columns, published=True)


def test_every_file_is_there(report):
    names = {path.name for path in report}
    figures = {
        f"{name}.{kind}" for name in ("rate_distortion", "rate_realism", "crops") for kind in ("png", "svg")
    }
    assert names == figures | {"evaluation.json", "evaluation.csv", "index.html"}
    assert all(path.stat().st_size > 500 for path in report if path.suffix in (".png", ".svg"))
    assert {path.name for path in report[0].parent.iterdir()} == names


def test_the_page_needs_nothing_else_and_runs_nothing(report):
    page = next(path for path in report if path.name == "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert page.count("<img") == 3
    for text in (
        "&lt;cats&gt; &amp; dogs",
        "a&lt;b&gt;.png",
        "put it &lt;there&gt;",
        "&#x27;&lt;a&gt;&#x27;",
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
