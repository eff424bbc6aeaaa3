"""``objective=``: which numbers a sweep may improve, and what a finished run returns for them."""

import csv
import json
import math
from pathlib import Path

import pytest

from gcn.config import objective
from gcn.config.parse import parse
from gcn.errors import InputError


def test_the_word_is_taken_from_the_others():
    assert objective.named(["mse=1", "+objective=[val/swd,psnr]"]) == (["val/swd", "psnr"], ["mse=1"])
    assert objective.named(["objective=val/swd,psnr"]) == (["val/swd", "psnr"], [])
    assert objective.named(["objective=null", "mse=1"]) == ([], ["mse=1"])
    for words in (["objective="], ["objective=[]"], ["objective=psnr", "objective=swd"]):
        with pytest.raises(InputError, match=r"names nothing|given twice"):
            objective.named(words)


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        ("mse=1", "val/sdw", "val/swd"), ("mse=1", "verdict", "one of psnr, ms_ssim"),
        ("mse=1", "train/g/l1", "does not measure it"), ("mse=1", "jpeg_psnr", "nearest: psnr"),
        ("mse=1 steps=20 val_every=20", "val/jitter", "does not measure it"),
        ("mse=1 steps=20 log_every=40", "train/psnr", "does not measure it"),
        ("generator=dcgan loss=ns", "val/psnr", "does not measure it; nearest: val/swd"),
    ],
)  # fmt: skip
def test_a_number_that_such_a_run_does_not_have_is_refused(words, name, said):
    with pytest.raises(InputError) as refused:
        objective.check([name], parse(words.split()))
    assert str(refused.value).startswith(f"objective={name}: ")
    assert said in str(refused.value)


def test_a_number_of_the_run_is_accepted():
    objective.check(["val/swd", "bpp_actual", "train/g/l1"], parse(["mse=1", "l1=0"]))
    objective.check(["val/jitter"], parse(["mse=1", "steps=20", "val_every=10"]))
    with pytest.raises(InputError, match="twice"):
        objective.check(["psnr", "psnr"], parse(["mse=1"]))


def test_optuna_is_told_which_way_is_better():
    assert objective.directed(["val/swd"], []) == "hydra.sweeper.direction=minimize"
    assert objective.directed(["bpp", "psnr"], []) == "hydra.sweeper.direction=[minimize,maximize]"
    assert objective.directed(["psnr"], ["hydra.sweeper.direction=maximize"]).endswith("=maximize")
    with pytest.raises(InputError, match="higher is better for psnr"):
        objective.directed(["psnr"], ["hydra.sweeper.direction=minimize"])


def finished(folder, verdict="stable", **numbers):
    Path(folder, "summary.json").write_text(json.dumps({"verdict": verdict, **numbers}))
    with Path(folder, "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["step", "train/psnr", "val/swd"], [1, 20.0, 0.75], [2, 21.0, 0.5], [3, 22.0, ""]]
        )
    return folder


def test_the_value_is_that_of_the_summary_or_the_last_of_its_column(tmp_path):
    folder = finished(tmp_path, psnr=23.5)
    assert objective.value(["psnr"], folder) == 23.5
    assert objective.value(["val/swd", "train/psnr"], folder) == [0.5, 22.0]


def test_a_diverged_run_has_the_worst_value_whatever_it_measured(tmp_path):
    folder = finished(tmp_path, "diverged", psnr=99.0, swd=None)
    assert objective.value(["psnr", "swd", "val/swd"], folder) == [-math.inf, math.inf, math.inf]


def test_a_number_that_was_not_measured_is_no_value(tmp_path):
    with pytest.raises(InputError, match=r"objective=ms_ssim: the run in .* has no such number"):
        objective.value(["ms_ssim"], finished(tmp_path, ms_ssim=None))
