import io
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.errors import InputError
from gcn.report.summary import print_summary, write_json_atomic, write_summary

SUMMARY = {
    "steps": 2500, "verdict": "stable", "verdict_step": 2500, "verdict_reason": "nothing went wrong",
    "psnr": 23.456789, "bpp": 0.2731, "bpp_actual": None, "arms": {"a": 1},
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self):
        return True


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_everything_becomes_strict_json(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("run") / "summary.json"
    write_json_atomic(path, content)

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse).keys() == content.keys()
    assert [file.name for file in path.parent.iterdir()] == ["summary.json"]


def test_scalars_are_unwrapped_and_nan_is_null(tmp_path):
    content = {
        "a": torch.tensor(2.5),
        "b": np.float64("nan"),
        "c": math.inf,
        "d": np.int64(3),
        "e": {"f": [math.nan, 1.0]},
    }
    write_json_atomic(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": 2.5,
        "b": None,
        "c": None,
        "d": 3,
        "e": {"f": [None, 1.0]},
    }


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    write_json_atomic(tmp_path / "x.json", {"a": 1})
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match="disk full"):
        write_json_atomic(tmp_path / "x.json", {"a": 2})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


def test_what_others_rely_on_must_be_there(tmp_path):
    write_summary(tmp_path / "summary.json", SUMMARY)
    with pytest.raises(ValueError, match="bpp_actual"):
        write_summary(tmp_path / "summary.json", {k: v for k, v in SUMMARY.items() if k != "bpp_actual"})


def test_plain_text_where_nobody_watches():
    out = io.StringIO()
    print_summary(SUMMARY, out)
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().splitlines()[0] == "steps           2500"
    assert "psnr            23.46 dB" in out.getvalue()
    assert "bpp_actual      not measured" in out.getvalue()
    assert "arms" not in out.getvalue()


def test_a_table_on_a_terminal():
    out = Terminal()
    print_summary({**SUMMARY, "verdict_reason": "[not markup]"}, out)
    assert "─" in out.getvalue()
    assert "[not markup]" in out.getvalue()
