"""Which images means are over: the same for every codec at every setting, whatever is infinite or undefined."""

import math
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.evaluation.comparison import bd_rates, image_set, pool
from gcn.report.rates.rate_record import CLASSICAL, LEARNED, EvaluationRecord, ImageRow
from gcn.report.rates.rate_summary import sentences

METRICS = ("psnr", "ms_ssim", "lpips")
NAMES = [("gcn", "low"), ("gcn", "high"), ("JPEG", "5"), ("JPEG", "50")]
KINDS = {name: LEARNED if name[0] == "gcn" else CLASSICAL for name in NAMES}
LEARNED_EXTRA = {"bpp_estimate": 0.1, "bpp_tables": 0.1, "encode_seconds": 1.0, "decode_seconds": 1.0}
ODD = st.sampled_from([math.inf, math.nan])


def image(codec, setting, name, psnr, ms_ssim=0.9, lpips=0.1, scales=5, size=100):
    extra = {"lpips": lpips} | (LEARNED_EXTRA if codec == "gcn" else {})
    mse = 0.0 if psnr == math.inf else 10.0
    return ImageRow(codec, setting, name, 20, 10, size, 8 * size / 200, psnr, ms_ssim, extra, mse, scales)


def pooled(rows):
    return pool(rows, METRICS, KINDS, {name: {"swd": 0.1} for name in NAMES})


@st.composite
def tables(draw):
    """Rows of all images at all settings, with infinities, NaN and numbers of scales in any places."""
    rows = []
    for i in range(draw(st.integers(1, 4))):
        scales = draw(st.integers(0, 5))
        for codec, setting in NAMES:
            psnr = draw(st.floats(5, 60) | ODD)
            ms_ssim = draw(st.floats(0, 1) | ODD) if scales else math.nan
            lpips = draw(st.floats(0, 2) | st.just(math.nan))
            size = draw(st.integers(1, 1000))
            rows.append(image(codec, setting, f"{i}.png", psnr, ms_ssim, lpips, scales, size))
    return draw(st.permutations(rows))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_every_mean_of_a_metric_is_over_the_same_images_for_all(rows):
    table, sets = pooled(rows)
    assert [one.metric for one in sets] == list(METRICS)
    for one in sets:
        assert set(one.images).isdisjoint(one.left_out)
        assert set(one.images) | set(one.left_out) == {row.image for row in rows}
        for row in table:
            over = [
                r for r in rows if (r.codec, r.setting) == (row.codec, row.setting) and r.image in one.images
            ]
            assert len(over) == len(one.images)
            value, rate = row.value(one.metric), row.rate(one.metric)
            if not over:
                assert math.isnan(value)
                continue
            assert value == pytest.approx(fmean(r.value(one.metric) for r in over))
            assert rate == pytest.approx(8 * sum(r.bytes for r in over) / (200 * len(over)))
        kept = [r for r in rows if r.image in one.images]
        assert all(math.isfinite(r.value(one.metric)) for r in kept)
        if one.metric == "ms_ssim":
            assert len({r.scales for r in kept}) <= 1


@settings(max_examples=25, deadline=None)
@given(tables())
def test_what_is_said_of_any_table_has_no_infinite_or_undefined_number(rows):
    table, sets = pooled(rows)
    record = EvaluationRecord("", "", list(rows), table, 0.1, "", [], bd_rates(table), sets)
    said = sentences(record)
    for line in said:
        assert "nan" not in line
        assert "inf dB" not in line
    left_out = [one for one in sets if one.left_out]
    assert len(said) == len(left_out) + 2
    for row in table:
        assert row.exact == sum(r.mse == 0 for r in rows if (r.codec, r.setting) == (row.codec, row.setting))


def test_images_that_one_codec_keeps_exactly_are_in_no_mean_of_psnr():
    """They are easy for all: without them JPEG's mean alone would fall, and with them it would be infinite."""
    rows = [image(codec, setting, "photo.png", 25.0 if codec == "gcn" else 27.0) for codec, setting in NAMES]
    for name in ("white.png", "grey.png"):
        rows += [image(c, s, name, 40.0 if c == "gcn" else math.inf) for c, s in NAMES]
    table, sets = pooled(rows)
    assert {(row.codec, row.psnr) for row in table} == {("gcn", 25.0), ("JPEG", 27.0)}
    assert sets[0].left_out == dict.fromkeys(["white.png", "grey.png"], "kept exactly by JPEG 5, JPEG 50")
    assert {(row.codec, row.exact) for row in table} == {("gcn", 0), ("JPEG", 2)}
    assert [row.images for row in table] == [3] * 4
    record = EvaluationRecord("", "", rows, table, 0.1, "", [], [], sets)
    assert not any("beats" in line for line in sentences(record))
    assert sentences(record)[0].startswith(
        "PSNR is a mean over 1 of 3 images, the same for every codec; left out"
    )


def test_where_every_image_is_exact_somewhere_nothing_is_compared():
    rows = [image(c, s, "white.png", 40.0 if c == "gcn" else math.inf) for c, s in NAMES]
    table, sets = pooled(rows)
    record = EvaluationRecord("", "", rows, table, 0.1, "", [], bd_rates(table), sets)
    assert sentences(record)[0].startswith("PSNR is not compared; left out: white.png (kept exactly by JPEG")
    assert all(math.isnan(row.psnr) for row in table)
    assert all(math.isnan(b.percent) and b.reason for b in bd_rates(table))
    assert math.isnan(table[2].value("overall_psnr"))
    assert table[0].value("overall_psnr") == pytest.approx(38.13, abs=0.01)


def test_ms_ssim_is_a_mean_over_images_of_equally_many_scales():
    scales = {"a.png": 3, "b.png": 5, "c.png": 5, "d.png": 4}
    rows = [image(c, s, name, 30.0, scales=count) for name, count in scales.items() for c, s in NAMES]
    found = image_set(rows, "ms_ssim")
    assert found.images == ["b.png", "c.png"]
    assert found.left_out == {"a.png": "scales: 3, not 5", "d.png": "scales: 4, not 5"}
    assert image_set(rows, "psnr").images == list(scales)


def test_an_image_that_a_setting_lacks_is_compared_nowhere():
    rows = [image(c, s, name, 30.0) for name in ("a", "b") for c, s in NAMES][:-1]
    found = image_set(rows, "psnr")
    assert found.images == ["a"]
    assert found.left_out == {"b": "not coded by JPEG 50"}
