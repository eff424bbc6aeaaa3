"""The experiment on modes: what is kept, what is chosen, and the numbers on its page."""

import math

import numpy as np
import pytest

from gcn.errors import InputError
from gcn.lab.modes import (
    ARMS,
    DATA,
    LOSSES,
    Budget,
    Cell,
    cells,
    choose,
    load,
    play,
    play_all,
    scan_of_settings,
    scan_with_distortion,
)
from gcn.lab.modes_report import Table, contrasts, interval, page, read_rows, write_rows

TINY = Budget(steps=3, seeds=2, scan_seeds=2, width=4, batch=4)


def cell(**changes):
    usual = {
        "data": "ring", "generator": "noise", "loss": "ns", "arm": "r1", "weights": (0.1, 1.0), "mse": 0.0,
        "seeds": (3, 4), "budget": TINY,
    }  # fmt: skip
    return Cell(**(usual | changes))


def test_a_cell_keeps_its_games(tmp_path):
    play(cell(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [cell().file]
    rows = load(cell(), tmp_path).rows
    assert [(row["weight"], row["seed"]) for row in rows] == [(0.1, 3), (0.1, 4), (1.0, 3), (1.0, 4)]
    assert {row["diverged"] for row in rows} == {-1}


@pytest.mark.parametrize("change", [{"weights": (0.1, 2.0)}, {"seeds": (3, 5)}, {"budget": Budget(steps=4)}])
def test_another_setting_is_another_file(change):
    assert cell(**change).file != cell().file


def test_finished_cells_are_not_played_again(tmp_path):
    some = [cell(arm="none", weights=(0.0,)), cell(arm="gp", weights=(0.5,))]
    play(some[0], tmp_path)
    written = (tmp_path / some[0].file).stat().st_mtime_ns
    told = []
    play_all(some, tmp_path, 1, lambda *what: told.append(what))
    assert [(what.arm, done == whole) for what, done, whole in told] == [("gp", True)]
    assert (tmp_path / some[0].file).stat().st_mtime_ns == written
    assert (tmp_path / some[1].file).exists()


def test_the_scan_has_seeds_of_its_own():
    choice = {(data, "auto0", loss, "mse"): 1.0 for data in DATA for loss in LOSSES}
    used = {seed for one in cells(Budget(), choice) for seed in one.seeds}
    assert not used & {seed for one in scan_of_settings(Budget()) for seed in one.seeds}


def rows_of(value, **fixed):
    """Rows of a whole experiment; ``value(setting, arm, seed)`` is the share of good samples."""
    return [
        {"data": data, "generator": generator, "loss": loss, "mse": mse, "arm": arm, "weight": 0.0, "seed": seed,
         "parts": 8, "recovered": 8.0, "held": 4.0, "good": value((generator, mse), arm, seed), "kl": 0.0,
         "logit_gap": 0.0, "distortion": None, "diverged": -1, "updates": 3, "cpu_seconds": 30.0}
        for data in DATA
        for loss in (*LOSSES, "none")
        for generator, mse in ((("autoencoder", 1.0),) if loss == "none" else
                               (("noise", 0.0), ("autoencoder", 0.0), ("autoencoder", 2.0)))
        for arm in (("none",) if loss == "none" else ARMS)
        for seed in range(3)
    ]  # fmt: skip


def test_an_interval_by_hand():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half == pytest.approx(
        4.302653 / math.sqrt(3), rel=1e-6
    )  # t of .975 with 2 degrees of freedom
    assert found.sign == 0
    assert interval([1.0, 1.1, 0.9]).sign == 1
    assert interval([0.0, 0.0]).sign == 0
    assert interval([5.0]).half == math.inf


def test_differences_are_paired_by_seed():
    def value(setting, arm, seed):
        base = 0.1 * seed  # differs between seeds, and drops out
        if arm == "r1":
            return (
                base + {("noise", 0.0): 0.3, ("autoencoder", 0.0): 0.2, ("autoencoder", 2.0): 0.05}[setting]
            )
        return base + (0.4 if setting == ("autoencoder", 2.0) else 0.0)

    rows = rows_of(value)
    found = contrasts(Table(reversed(rows)), "ring", "ns", "good")
    assert found["noise", "r1"] == (pytest.approx(0.3), pytest.approx(0, abs=1e-12))
    assert found["auto0", "r1"].mean == pytest.approx(0.2)
    assert found["auto", "r1"].mean == pytest.approx(-0.35)
    assert found["mse", "none"].mean == pytest.approx(0.4)
    assert found["interaction", "r1"].mean == pytest.approx(-0.55)
    assert found["interaction", "gp"].mean == 0


def test_the_best_weight_is_taken():
    found = {0.1: (0.2, 0.9), 1.0: (0.7, 0.6), 10.0: (0.9, 0.1)}
    same = {
        "data": "ring",
        "generator": "noise",
        "mse": 0.0,
        "loss": "ns",
        "arm": "r1",
        "recovered": 4,
        "parts": 8,
    }
    rows = [same | {"weight": w, "good": good} for w, both in found.items() for good in both]
    assert choose(rows) == {("ring", "noise", "ns", "r1"): 1.0}


def test_the_scan_looks_beside_the_distortion_that_was_taken():
    choice = {(data, "auto0", loss, "mse"): 3.0 for data in DATA for loss in LOSSES}
    assert {(one.setting, one.mse) for one in scan_with_distortion(TINY, choice)} == {("auto", 3.0)}
    assert {one.setting for one in scan_of_settings(TINY)} == {"noise", "auto0"}
    assert [one.setting for one in cells(TINY, choice)].count("auto") == len(DATA) * (
        len(LOSSES) * len(ARMS) + 1
    )


def test_the_page_is_made_of_the_table(tmp_path):
    rows = rows_of(lambda setting, arm, seed: (0.25 if arm == "gp" else 0.5) + 0.01 * seed)
    write_rows(tmp_path / "modes.csv", rows)
    again = read_rows(tmp_path / "modes.csv")
    assert again == rows
    scan = [row | {"arm": "r1", "weight": w} for row in rows[:3] for w in (0.1, 1.0)]
    text = page(again, scan, "python scripts/modes.py")
    assert "0.51 ± 0.02" in text
    assert "**-0.25 ± 0.00**" in text
    assert "| +0 -2 of 8 |" in text
    assert "| +0 -6 of 24 |" in text
    assert f"{len(rows)} games (3 seeds a setting)" in text
    assert f"{0.5 * (len(rows) + len(scan)):.0f} minutes" in text


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such table"):
        read_rows(tmp_path / "modes.csv")


def test_every_seed_of_an_arm_meets_its_pair():
    table = Table(rows_of(lambda setting, arm, seed: float(seed)))
    assert np.array_equal(table["grid", "auto", "hinge", "pair", "good"], [0, 1, 2])
