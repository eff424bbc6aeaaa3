"""The scripts bench and study: what they print, and bad words."""

import re
from pathlib import Path

import pytest
from scripting import script

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nothing", "name=nothing: must be one of lab, coder, codec, exact, study, step"),
        ("coder height=a", "height=a: must be an integer >= 1"),
        ("coder hight=3", "hight: unknown; nearest: height"),
        ("coder height=16 width=16 channels=1", "at least 1000 symbols"),
        ("codec height=16", "at least 32 pixels"),
        ("codec model_name=zzz", "model=zzz"),
        ("exact run=/nowhere images=x", "not a run folder"),
        ("exact run=x", "images= is missing"),
        ("study arms=99", "arms=99: give 1 to"),
        ("study workers=3 arms=2", "workers=3: give 1 to 2"),
        ("study workers=²", "workers=²"),
    ],
)
def test_bad_words_of_bench(line, said, capsys):
    assert script("bench")(*line.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_the_coder_s_benchmark_compares_the_same_symbols(capsys):
    assert script("bench")("coder", "height=64", "width=64", "channels=64", "repeats=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1024 symbols")
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "encode, CompressAI", "encode, gcn", "decode, CompressAI", "decode, gcn",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "study= is missing"),
        ("study=nothing", "choose distortion_vs_tricks, joint"),
        ("study=distortion_vs_tricks workers=0", "workers=0"),
        ("study=distortion_vs_tricks minutes=soon", "minutes=soon"),
        ("study=distortion_vs_tricks minutes=²", "minutes=²: must be a number"),
        ("study=distortion_vs_tricks seeds=²", "seeds=²: must be an integer >= 1"),
        ("study=distortion_vs_tricks play=maybe", "play=maybe: must be true or false"),
        ("study=distortion_vs_tricks play=false", "no table here"),
        (f"study=distortion_vs_tricks report={__file__}", "is not a folder"),
        ("study=distortion_vs_tricks seed=3", "seed: unknown; nearest: seeds"),
        ("study=distortion_vs_tricks seeds=0", "seeds=0: must be an integer >= 1"),
        ("study=distortion_vs_tricks only.loss=nss", "only.loss=nss: unknown; nearest: ns"),
        ("study=joint grids=tricks", "grids=tricks: unknown"),
    ],
)
def test_bad_words_of_study(line, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert script("study")(*line.split()) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("coarse_figures", "empty_figures")
def test_the_stored_table_has_its_report(tmp_path, capsys):
    """Regenerated from docs/study in seconds, whatever runs it holds by now."""
    table = ROOT / "docs" / "study" / "first" / "distortion_vs_tricks"
    line = f"study=distortion_vs_tricks play=false table={table} report={tmp_path / 'report'}"
    assert script("study")(*line.split()) == 0
    text = (tmp_path / "report" / "README.md").read_text()
    assert "planned runs" in text
    assert "## H1" in text
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<img") == len(list((tmp_path / "report").glob("*.png")))
    assert "Does a distortion loss (pixel-wise MSE) stabilise the game" in page
    heads = [re.findall(r"<th[ >]", head) for head in re.findall(r"<thead>.*?</thead>", page)]
    assert heads
    assert (
        max(map(len, heads)) <= 8
    )  # tables fit the page: cells break into lines, a cell that cannot is short
    assert page.count('<div class="wide texts"') == len(heads)
    assert "What this study may not say" in page
    assert text == (table / "README.md").read_text()
    capsys.readouterr()
