"""What a row says of curves whose truth is known, and stored runs that are judged again."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.study import table

UPDATES = 1000


def run(name="a", bpp=0.3, steps=UPDATES, gaps=None, **changes):
    """A healthy run of 1000 updates; ``bpp`` None: no such column."""
    rows = []
    for step in range(0, steps + 1, 10):
        point = {"step": step, "train/g/grad_norm": 1.0 + 0.01 * (step % 3), "train/d/grad_norm": 2.0}
        point["train/d/logit_gap"] = gaps(step) if gaps else 0.5
        if step % 50 == 0:
            point |= {"val/swd": 0.2 - 1e-5 * step, "val/psnr": 25.0, "val/jitter": 1.0}
            point |= {} if bpp is None else {"val/bpp": bpp}
        rows.append(point)
    return {
        "name": name, "levels": {"loss": "ns", "mse": "0", "heat": "hot", "control": "standard"}, "seed": 0,
        "words": ["loss=ns", "data.root=a folder"], "rows": rows, "start": rows[0], "steps": steps, "verdict": "stable",
        "verdict_step": steps, "verdict_reason": "", "indicators": {}, **changes,
    }  # fmt: skip


def test_the_logit_gap_is_the_median_of_absolute_values():
    """A gap that changes its sign is not small."""
    swinging = table.row(run(gaps=lambda step: 1.0 if step % 20 else -1.0))
    assert swinging["logit_gap"] == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=100, max_size=100))
def test_the_logit_gap_is_never_below_the_absolute_median(gaps):
    found = table.row(run(gaps=lambda step: gaps[min(step // 10, 99)]))["logit_gap"]
    late = [gaps[min(step // 10, 99)] for step in range(750, 1001, 10)]
    assert found == pytest.approx(np.median(np.abs(late)))
    assert found >= abs(np.median(late)) - 1e-9


def test_ratios_are_taken_row_by_row():
    result = run()
    for point in result["rows"]:
        point["train/g/grad_norm"], point["train/d/grad_norm"] = (
            (1.0, 3.0) if point["step"] % 20 else (3.0, 9.0)
        )
    assert table.row(result)["gradient_ratio"] == pytest.approx(3.0)


def test_a_false_rate_is_no_verdict_when_runs_are_judged_again(tmp_path):
    """Earlier versions stored a rate of 0 for a generator without a bitstream, and called the run collapsed."""
    said = {
        "verdict": "collapsed",
        "verdict_step": 0,
        "verdict_reason": "the rate fell to nothing: val/bpp ends at 0",
    }
    early = {"verdict": "diverged", "verdict_step": 300, "verdict_reason": "grad_norm ran away", "steps": 300}
    results = [
        run("false", bpp=0.0, **said), run("true", bpp=1e-5, **said), run("fine"), run("early", **early),
        run("failed", rows=[], verdict="failed"),
    ]  # fmt: skip
    table.write(results, tmp_path)
    before = {row["name"]: row for row in table.read(tmp_path)}
    assert table.judge_again(tmp_path, UPDATES) == ["false"]
    rows = {row["name"]: row for row in table.read(tmp_path)}
    assert [rows[name]["verdict"] for name in rows] == ["stable", "collapsed", "stable", "diverged", "failed"]
    assert rows["false"]["unstable"] == 0
    assert math.isnan(rows["false"]["bpp"])
    assert rows["false"]["words"] == before["false"]["words"]
    assert all(rows[name]["verdict_reason"] == before[name]["verdict_reason"] for name in ("early", "failed"))
    assert {point["val/bpp"] for point in table.read_curves(tmp_path)["false"]} == {None}
    assert table.judge_again(tmp_path, UPDATES) == []
    assert list(rows["fine"]) == list(before["fine"])
