"""``scripts/table.py``: every run below a folder is a row, in order, and what cannot be read is said."""

import json
import os

import pytest

from gcn.commands.table import main
from gcn.config.parse import parse, save
from gcn.report.verdicts import read_summary, table

SUMMARY = {"verdict": "stable", "verdict_step": 8, "psnr": 26.543, "bpp_actual": 0.25, "swd": 0.1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four runs whose weights sort otherwise as text; the last is not finished."""
    top = tmp_path_factory.mktemp("runs")
    for number, mse in enumerate(("10", "9", "0.5", "null")):
        folder = top / f"run {number}"
        folder.mkdir()
        save(parse(["loss=ns", f"mse={mse}", "seed=3"]), folder)
        if mse != "null":
            (folder / "summary.json").write_text(json.dumps(SUMMARY))
    return top


def cells(out):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]


def test_numbers_are_sorted_by_size_and_an_unfinished_run_is_a_row(runs, capsys):
    assert main([str(runs)]) == 0
    head, _, *rows = cells(capsys.readouterr().out)
    assert head[:5] == ["loss", "mse", "seed", "verdict", "step"]
    assert [row[1] for row in rows] == ["null", "0.5", "9.0", "10.0"]
    assert [row[3] for row in rows] == ["not finished", "stable", "stable", "stable"]
    assert rows[-1][5:8] == ["26.54", "0.250", "0.100"]


def test_other_settings_are_columns(runs, capsys):
    assert main([str(runs), "optim.g.lr", "generator"]) == 0
    head, _, *rows = cells(capsys.readouterr().out)
    assert head[:2] == ["optim.g.lr", "generator"]
    assert rows[0][:2] == ["0.001", "tiny"]


def test_a_misspelt_setting_is_refused_with_the_nearest(runs, capsys):
    assert main([str(runs), "optim.g.lrr"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: optim.g.lrr: no setting of these runs; nearest: optim.g.lr")


@pytest.mark.parametrize(
    "content", ['{"verdict": "sta', "[]", "NaN", "", '{"verdict": "' + "x" * 2**24 + '"}']
)
def test_half_a_summary_is_said_and_the_other_runs_are_shown(runs, tmp_path, content, capsys):
    for name, text in (("whole", json.dumps(SUMMARY)), ("half", content)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text((runs / "run 0" / "config.yaml").read_text())
        (tmp_path / name / "summary.json").write_text(text)
    assert main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert [row[3] for row in cells(out)[2:]] == ["not finished", "stable"]
    assert err.count("\n") == 1
    assert "summary.json is damaged" in err


def test_a_folder_without_runs_and_a_damaged_run_are_one_line_each(runs, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: no run in or below this folder")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.yaml").write_text("a: &a [*a]")
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "summary",
    [
        {"verdict": "stable", "psnr": 10**400, "bpp_actual": -(10**400)},
        {"verdict": ["stable"], "indicators": [1], "psnr": {}},
        {"verdict": "a|b\n\x1b[31m", "verdict_step": "\n", "psnr": "\n|"},
        {"verdict": None, "psnr": float("nan"), "swd": float("inf"), "bpp_actual": True},
    ],
)
def test_a_strange_summary_is_a_row_of_the_table(tmp_path, summary):
    config = {"choices": {"loss": "ns"}, "seed": 0}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    lines = table([(config, read_summary(tmp_path / "summary.json"))], ["loss", "seed"]).split("\n")
    assert len(lines) == 3
    assert "\x1b" not in lines[2]
    assert {line.count(" | ") for line in lines} == {10}


def test_a_summary_that_cannot_be_read_is_none(tmp_path):
    for content in ("[" * 200_000, "[]", '{"psnr": ' + "9" * 5000 + "}", '{"psnr"'):
        (tmp_path / "summary.json").write_text(content)
        assert read_summary(tmp_path / "summary.json") is None
    os.mkfifo(tmp_path / "pipe.json")
    assert read_summary(tmp_path / "pipe.json") is None
