"""What the report says of tables whose truth is known."""

import math
import zlib

import pytest
from scipy import stats

from gcn.study import answer, contrasts
from gcn.study.statistics import effect, share
from gcn.study.table import RESPONSES

NOISE = (0.02, -0.01, 0.015, -0.02, 0.005)


def table(stable, swd, losses=("ns", "wgan"), controls=("none", "anchor")):
    """Rows of a study: ``stable`` and ``swd`` are functions of the levels, and seeds differ a little."""
    rows = []
    for loss in losses:
        for heat in contrasts.HEATS:
            cells = [(m, t, "none") for m in "01" for t in ("none", "r1")]
            cells += [("0", "none", c) for c in controls if c != "none"]
            for mse, trick, control in cells:
                for seed, noise in enumerate(NOISE):
                    levels = {"loss": loss, "heat": heat, "mse": mse, "trick": trick, "control": control}
                    good = stable(**levels)
                    values = {r.name: 1.0 + noise for r in RESPONSES}
                    values |= {
                        "unstable": float(not good),
                        "swd": swd(**levels) * math.exp(noise),
                        "share": 0.2,
                    }
                    rows.append({
                        "name": "_".join([*levels.values(), str(seed)]), **levels, "pairing": "none", "seed": seed,
                        "verdict": "stable" if good else "collapsed", "verdict_step": 50, "steps": 1000, **values,
                    })  # fmt: skip
    return rows


def said(rows):
    return answer.sentences(rows, contrasts.questions(rows))


def test_a_distortion_that_does_more_than_a_spring():
    h1, controls, h2 = said(
        table(
            lambda mse, heat, **_: mse == "1" or heat == "comfortable",
            lambda mse, **_: 0.1 if mse == "1" else 0.3,
        )
    )
    assert "10 of 10 runs stable instead of 0 of 10 at hot" in h1
    assert "×0.33" in h1
    assert controls.startswith("The controls do less")
    assert (
        "better in 7" in controls
    )  # SWD in each of four cells and two pooled ones, and the share of all hot runs
    assert "does more than damp" in controls
    assert "4 of 4 settings" in h2
    assert "no setting is left for them to decide" in h2


def test_a_spring_that_does_as_much_and_a_trick_that_decides():
    def good(mse, heat, loss, trick, control):
        damped = mse == "1" or control == "anchor"
        return heat == "comfortable" or (damped and (loss == "ns" or trick == "r1"))

    h1, controls, h2 = said(table(good, lambda **levels: 0.1 if good(**levels) else 0.5))
    assert "not resolved for ns, comfortable, wgan, comfortable and wgan, hot" in h1
    assert controls.startswith("But the controls do as much")
    assert "nothing here says that it does more" in controls
    assert "3 of 4 settings" in h2
    assert "r1 for wgan, hot (5 of 5 stable, 0 of 5 without)" in h2


def test_what_is_not_resolved_is_said_so():
    rows = table(lambda **_: True, lambda **_: 0.1)
    for row in rows:
        row["swd"] *= 1 + 0.01 * ((zlib.crc32(row["name"].encode()) % 7) - 3)
    head, body = answer.of_each_loss(contrasts.questions(rows))
    assert head == ["loss, step size", "H1: mse=1", "H2: r1 × mse"]
    assert [cells[0] for cells in body][:4] == [
        "ns, comfortable",
        "wgan, comfortable",
        "ns, hot",
        "wgan, hot",
    ]
    assert all(cells[1].startswith("not resolved with 5 seeds") for cells in body)


def test_one_loss_and_no_controls():
    rows = table(lambda **_: True, lambda **_: 0.1, losses=("ns",), controls=("none",))
    sentences = said(rows)
    assert [s[:2] for s in sentences] == ["H1", "H2"]
    assert not any("all losses" in e.name for q in contrasts.questions(rows) for e in q.effects)


def test_realism_against_the_start():
    rows = table(lambda **_: True, lambda mse, **_: 0.2 if mse == "1" else 0.1, losses=("ns",))
    points = {row["name"]: [{"step": 0, "val/swd": 0.1}] for row in rows}
    comfortable, hot = answer.realism(rows, points)
    assert "comfortable" in comfortable
    assert "×1.01 with mse=0 and ×2.01 with mse=1" in comfortable
    assert "hot" in hot


def test_shares_have_fisher_s_test_and_newcombe_s_interval():
    found = share("", "unstable", 5, 5, 0, 5)
    assert (found.effect, found.p) == (-1.0, pytest.approx(stats.fisher_exact([[5, 0], [0, 5]]).pvalue))
    z = stats.norm.ppf(0.975)
    wilson = z**2 / (5 + z**2)  # upper end for 0 of 5
    assert (found.low, found.high) == pytest.approx((-1, -1 + math.sqrt(2) * wilson))
    same = share("", "unstable", 5, 2, 2, 5)
    assert same.effect == 0
    assert same.low == pytest.approx(-same.high)
    assert same.p == 1


def test_seeds_that_agree_exactly_have_no_more_evidence_than_their_signs():
    found = effect("", "psnr_loss", dict.fromkeys(range(5), -1.0))
    assert found.p == 2 / 2**5
    assert effect("", "psnr_loss", dict.fromkeys(range(5), 0.0)).p == 1
