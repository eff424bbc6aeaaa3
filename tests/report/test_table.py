import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn.errors import InputError
from gcn.report.metrics_table import MetricsTable

numbers = st.one_of(st.none(), st.floats(allow_nan=False), st.integers())
names = st.sampled_from(["a", "train/g/mse", "val/psnr", "train/g/cosine/mse-adv"])


@given(st.lists(st.dictionaries(names, numbers), max_size=12))
def test_what_was_appended_is_read_back_exactly(tmp_path_factory, rows):
    table = MetricsTable(tmp_path_factory.mktemp("run") / "metrics.csv")
    for step, row in enumerate(rows):
        table.append(step, row)
    back = MetricsTable(table.path).rows()
    assert [row["step"] for row in back] == list(range(len(rows)))
    for written, read in zip(rows, back, strict=True):
        assert {k: v for k, v in read.items() if v is not None and k != "step"} == {
            k: v for k, v in written.items() if v is not None
        }


def test_every_row_is_on_disk_when_append_returns(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append(1, {"a": 0.1})
    table.append(2, {"a": 1 / 3})
    assert table.path.read_text() == "step,a\n1,0.1\n2,0.3333333333333333\n"


def test_a_new_column_widens_the_header(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append(1, {"a": 1})
    table.append(2, {"b": 2})
    assert table.path.read_text() == "step,a,b\n1,1,\n2,,2\n"
    assert not list(tmp_path.glob("*.part"))


def test_nan_and_infinity_survive(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append(0, {"a": math.nan, "b": -math.inf})
    (row,) = table.rows()
    assert math.isnan(row["a"])
    assert row["b"] == -math.inf


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_kill_in_the_middle_of_a_line_costs_that_line_only(tmp_path, cut):
    table = MetricsTable(tmp_path / "metrics.csv")
    for step in (10, 20, 30):
        table.append(step, {"a": step / 7})
    os.truncate(table.path, table.path.stat().st_size - cut)
    resumed = MetricsTable(table.path)
    assert [row["step"] for row in resumed.rows()] == [10, 20]
    resumed.append(30, {"a": 30 / 7})  # also without resume_at no line is glued to the half one
    assert [row["a"] for row in resumed.rows()] == [10 / 7, 20 / 7, 30 / 7]


def test_a_resumed_run_has_no_row_missing_or_twice(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    whole = MetricsTable(tmp_path / "whole.csv")
    for step in range(0, 100, 10):
        whole.append(step, {"a": step})
    for step in range(0, 80, 10):
        table.append(step, {"a": step})
    resumed = MetricsTable(table.path)
    assert resumed.resume_at(45) == 70
    for step in range(50, 100, 10):
        resumed.append(step, {"a": step})
    assert resumed.path.read_bytes() == whole.path.read_bytes()


def test_resuming_nothing(tmp_path):
    assert MetricsTable(tmp_path / "metrics.csv").resume_at(7) == -1
    (tmp_path / "half.csv").write_text("ste")
    half = MetricsTable(tmp_path / "half.csv")
    assert half.resume_at(7) == -1
    half.append(1, {})
    assert half.rows() == [{"step": 1}]


def test_another_file_in_its_place_is_refused_in_one_line(tmp_path):
    path = Path(tmp_path / "metrics.csv")
    for content in (b"name,psnr\ncat,30\n", b"step\n" + b"1" * 200_000 + b"\n", b"step\n\xff\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not a metrics table|not a text in UTF-8") as error:
            MetricsTable(path)
        assert "\n" not in str(error.value)
