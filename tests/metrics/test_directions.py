"""Which way numbers of a run are better, and what a diverged run counts as."""

import math

import pytest

from gcn.metrics.directions import better, worst


@pytest.mark.parametrize(
    ("name", "way", "diverged"),
    [
        ("psnr", "higher", -math.inf), ("val/ms_ssim", "higher", -math.inf), ("train/psnr", "higher", -math.inf),
        ("val/swd", "lower", math.inf), ("bpp_actual", "lower", math.inf), ("train/g/ms_ssim", "lower", math.inf),
    ],
)  # fmt: skip
def test_a_diverged_run_is_worse_than_any_other(name, way, diverged):
    assert (better(name), worst(name)) == (way, diverged)


def test_a_number_that_is_better_neither_way_is_not_declared():
    assert [better(name) for name in ("steps", "train/d/logit_gap", "parameters", "val/nothing")] == [
        None
    ] * 4
