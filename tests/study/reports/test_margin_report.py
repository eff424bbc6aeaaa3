"""The report of a margin study, on tables whose margins are known."""

import math

import pytest

from gcn.study import design, report, table
from gcn.study.margin import margin_exponent
from gcn.study.reports import margin_report
from gcn.study.reports.margin_cells import cells, name_of, rate

LOWEST = 2.0**-20
LEVELS = {
    "stage": "0", "loss": "ns", "mse": "1", "trick": "none", "control": "none", "beta1": "0", "epsilon": "1e-8",
    "ratio": "1", "twin": "none", "search": "grid", "length": "N",
}  # fmt: skip


def runs(octaves, seed=0, method="grid", top=8, **levels):
    """Runs at 2^-20, 2^-19, …: those up to 2^octaves hold."""
    rows = []
    for k in range(top):
        h = LOWEST * 2**k
        holds = float(math.log2(h) <= octaves)
        rows.append(
            {
                "name": f"{len(rows)}{seed}{method}{octaves}{levels}", **LEVELS, **levels, "seed": seed, "axis": "lr",
                "method": method, "updates": 800 if levels.get("length") == "4N" else 200, "run": "", "commit": "abc",
                "verdict": "holds" if holds else "fails", "seconds": 10.0 if holds else 5.0, "h": h, "adv": 1.0,
                "holds": holds, "reach": 0.0, "b0": 0.8, "delta": 0.02, "bits_1": 0.8 if holds else 0.9,
                "bits_2": None, "bits_3": None,
            }
        )  # fmt: skip
    return rows


@pytest.fixture
def study():
    return design.load("margin", ["data.root=x"])


def said(blocks, title):
    (block,) = [block for block in blocks if block.title == title]
    return block


def test_margins_stand_beside_their_twins(study, tmp_path):
    rows = [
        *runs(-17), *runs(-14, twin="yoked"), *runs(-13, twin="distortion_alone"), *runs(-19, mse="0"),
        *runs(-19, mse="0", trick="r1=10"), *runs(-15, trick="r1=10"),
    ]  # fmt: skip
    blocks = margin_report.blocks(study, rows, tmp_path, tmp_path)
    head, body = said(blocks, "Margins").table
    assert head == ["game", "mse=0", "mse=1"]
    assert body == [
        ["ns, beta1=0", "1.9e-06", "7.6e-06 / 6.1e-05 (room +3.0)"],
        ["ns, r1=10, beta1=0", "1.9e-06", "3.1e-05"],
    ]
    short = " ".join(said(blocks, "In short").sentences)
    assert "1 of 1 games fail an octave or more below their yoked twin" in short
    assert "The distortion alone holds up to ≥" not in short
    assert "r1=10 changes h* by +0.0 to +0.0 octaves at mse=0 (0 of 1 games gain 0.5 or more); +2.0" in short
    assert (tmp_path / "bits.png").is_file()
    assert (tmp_path / "margins.png").is_file()


def test_a_game_as_close_as_an_octave_to_its_twin_has_no_room(study, tmp_path):
    blocks = margin_report.blocks(study, [*runs(-17), *runs(-17, twin="yoked")], tmp_path, tmp_path)
    assert any(
        "No room (less than an octave): ns, mse=1, beta1=0" in text
        for text in said(blocks, "In short").sentences
    )


def test_what_holds_again_above_its_margin_is_named(study, tmp_path):
    rows = runs(-17)
    rows[-1] |= {"holds": 1.0, "verdict": "holds"}
    blocks = margin_report.blocks(study, [*rows, *runs(-17, mse="0")], tmp_path, tmp_path)
    (text,) = said(blocks, "Is holding monotone?").sentences
    assert text.startswith("1 of 2 whole grids")
    assert text.endswith("A higher value holds again in: ns, mse=1, beta1=0.")


def test_four_times_the_updates_tell_a_threshold_from_a_drift(study, tmp_path):
    rows = [*runs(-15), *runs(-15, length="4N"), *runs(-15, mse="0"), *runs(-17, mse="0", length="4N")]
    _, body = said(
        margin_report.blocks(study, rows, tmp_path, tmp_path),
        "Is a margin a threshold, or a drift that takes time?",
    ).table
    assert {row[0]: row[-1] for row in body} == {"ns, mse=1, beta1=0": "+0.0", "ns, mse=0, beta1=0": "-2.0"}


def test_spread_over_seeds_is_in_octaves(study, tmp_path):
    rows = [row for seed, octaves in enumerate((-15, -16, -17)) for row in runs(octaves, seed=seed)]
    (text,) = said(margin_report.blocks(study, rows, tmp_path, tmp_path), "Spread over seeds").sentences
    assert "1.00 octaves" in text


def test_seeds_that_were_searched_in_different_ways_are_all_counted():
    rows = [*runs(-17), *runs(-15, seed=2, method="bisection"), *runs(-13, method="bisection")]
    (found,) = cells(rows).values()
    assert found.octaves == {0: -17, 2: -15}


def test_a_grid_is_preferred_to_a_bisection_and_its_own_margin_below_the_grid_is_said():
    rows = [*runs(-17), *runs(-15, method="bisection"), *runs(-30, mse="0")]
    found = cells(rows)
    by_name = {name_of(key): one for key, one in found.items()}
    assert by_name["ns, mse=1, beta1=0"].mean == -17
    assert rate(by_name["ns, mse=0, beta1=0"].mean) == "below the grid"


def test_an_arm_that_failed_is_named_and_stops_nothing(study, tmp_path):
    lost = dict.fromkeys(runs(-17)[0]) | LEVELS | {"name": "lost", "seed": 1, "verdict": "failed"}
    lost |= {"verdict_reason": "killed by signal 9", "seconds": math.nan, "holds": math.nan}
    blocks = margin_report.blocks(study, [*runs(-17), lost], tmp_path, tmp_path)
    assert "Not trained: lost (killed by signal 9)." in said(blocks, "What was run").sentences
    assert [row[3] for row in said(blocks, "Cost").table[1]] == ["8"]


def test_what_is_not_measured_names_its_command(study, tmp_path):
    blocks = margin_report.blocks(study, runs(-17), tmp_path, tmp_path)
    grids = [
        word
        for block in blocks
        for text in block.sentences
        for word in text.split()
        if word.startswith("grids=")
    ]
    assert {word.strip("`;").removeprefix("grids=") for word in grids} >= {
        "stage0_twins",
        "stage0_alone",
        "stage0_exponents",
    }
    for word in grids:
        design.load("margin", ["data.root=x"], design.Choice([word.strip("`;").removeprefix("grids=")]))


def test_the_study_writes_it(study, tmp_path):
    place = tmp_path / "table"
    rows = [{**row, "curve": []} for row in (*runs(-17), *runs(-15, twin="yoked"))]
    import pyarrow
    from pyarrow import parquet

    place.mkdir()
    parquet.write_table(
        pyarrow.Table.from_pylist([{k: v for k, v in row.items() if k != "curve"} for row in rows]),
        place / "runs.parquet",
    )
    margin_exponent.write(
        [
            {**LEVELS, "name": f"{k}", "mse": mse, "seed": 0, **dict.fromkeys(margin_report.NAMES, 0.1 * k)}
            for k, mse in enumerate(("0", "1"))
        ],
        place,
    )
    files = report.write(study, place, tmp_path / "report")
    assert {file.name for file in files} >= {"README.md", "index.html", "bits.png"}
    page = (tmp_path / "report/README.md").read_text(encoding="utf-8")
    assert "room +2.0" in page
    assert "| ns, mse=1, beta1=0 | 0 | 0.100 | 0.100 | 0.100 | 0.100 |" in page
    assert table.read(place)
