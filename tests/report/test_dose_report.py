"""Ranks of the instruments on given numbers, and the tables that they make."""

from typing import Any

import pytest

from gcn.metrics.degradations import ladder
from gcn.report.dose_report import INSTRUMENTS, Instrument, markdown, seen

NOISE = ladder("noise")
C2ST = INSTRUMENTS[0]


def row(
    kind: str, strength: float, value: float, error: float = 0.01, on_codec: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "case": f"{kind} {strength:g}", "kind": kind, "strength": strength, "on_codec": on_codec, "images": 7,
        "psnr": 30.0, "c2st_of_seeds": 0.002, "c2st_of_images": 0.003,
    }  # fmt: skip
    for one in INSTRUMENTS:
        found |= {one.name: value, f"{one.name}_low": value - error, f"{one.name}_high": value + error}
    return found


def steps(*values: float) -> list[dict[str, Any]]:
    rows = [row("photographs", 0.0, values[0])]
    return rows + [row("noise", s, v) for s, v in zip(NOISE.strengths, values[1:], strict=True)]


def test_a_rising_ladder_is_ranked_rightly_from_where_it_is_above_the_photographs() -> None:
    found = seen(C2ST, NOISE, steps(0.0, 0.01, 0.2, 0.4, 0.6, 0.9))
    assert found is not None
    assert found.spearman == pytest.approx(1)
    assert found.falls == []
    assert found.least == 2.0  # the interval of .01 at strength 1 still meets that of the photographs


def test_a_fall_beyond_both_intervals_is_named() -> None:
    found = seen(C2ST, NOISE, steps(0.0, 0.3, 0.2, 0.195, 0.6, 0.9))
    assert found is not None
    assert found.falls == [2.0]
    assert found.spearman == pytest.approx(1 - 6 * (4 + 4) / (6 * 35))  # ranks 1 4 3 2 5 6 against 1 to 6


def test_an_instrument_that_returns_to_the_start_has_not_seen_it() -> None:
    found = seen(C2ST, NOISE, steps(0.0, 0.3, 0.4, 0.5, 0.6, 0.0))
    assert found is not None
    assert found.least is None


def test_what_was_not_measured_has_no_rank() -> None:
    assert seen(C2ST, ladder("blur"), steps(0.0, 0.1, 0.2, 0.3, 0.4, 0.5)) is None
    rows = steps(0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    rows[2]["lattice"] = None
    assert seen(Instrument("lattice", "lattice index"), NOISE, rows) is None


def test_tables_say_who_is_fooled() -> None:
    codec = row("codec", 0.0, 0.5, on_codec=True)
    worse, same = row("noise", 6.0, 0.6, on_codec=True), row("lattice_2", 4.0, 0.505, on_codec=True)
    text = markdown(
        [*steps(0.0, 0.1, 0.2, 0.3, 0.4, 0.5), codec, worse, same], "python scripts/instruments.py"
    )
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert lines["| noise (deviation of white noise, grey levels)"].count("1.00, from 1") == len(INSTRUMENTS)
    assert lines["| lattice_2 4"].count("**fooled**") == len(INSTRUMENTS)
    damaged = [line for line in text.splitlines() if line.startswith("| noise 6 ")]
    assert damaged[-1].count("sees it") == len(INSTRUMENTS)
    assert "Size of the classifier" not in text
    sizes = {
        "case": "sizes 8 channels",
        "kind": "sizes",
        "size": "8 channels",
        "blur 0.8": 0.5,
        "blur 0.8, seeds": 0.1,
    }
    assert "| 8 channels | 0.500 ± 0.100 |" in markdown([*steps(0, 1, 2, 3, 4, 5), codec, sizes], "x")
