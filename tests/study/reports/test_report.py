"""What the report says of tables whose truth is known."""

import dataclasses
import math
import re
import zlib

import pytest
from scipy import stats

from gcn.errors import InputError
from gcn.study import design
from gcn.study.reports import answer, contrasts
from gcn.study.reports.statistics import effect, share
from gcn.study.table import RESPONSES

NOISE = (0.02, -0.01, 0.015, -0.02, 0.005)


LABELS = {"comfortable": "lr 2e-4, β₁ 0", "hot": "lr 2e-3, β₁ .9"}
ASK = contrasts.load(design.CONF / "study" / "distortion", LABELS)


def table(stable, swd, losses=("ns", "wgan"), controls=("none", "anchor")):
    """Rows of a study: ``stable`` and ``swd`` are functions of the levels, and seeds differ a little."""
    rows = []
    for loss in losses:
        for heat in ASK.settings:
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


WITHDRAWN_WORDS = r"\b(comfortable|hot|spring|house|damps?|damping|resolved|superfluous for|step sizes?)\b"


def said(rows, points=None):
    return answer.sentences(rows, contrasts.questions(rows, ASK), points or {}, ASK)


def test_a_distortion_that_holds_the_decoder_where_it_began():
    rows = table(
        lambda mse, heat, **_: mse == "1" or heat == "comfortable",
        lambda mse, **_: 0.1 if mse == "1" else 0.3,
    )
    for row in rows:
        row["psnr_loss"] = 0.5 if row["mse"] == "1" or row["control"] == "anchor" else 6.0
    h1, anchor, h2 = said(rows)
    assert "−6.0 dB" in h1
    assert "10 of 10 with mse=1 and 0 of 10 without (lr 2e-3, β₁ .9)" in h1
    assert "was not tested" in anchor  # however large the difference: the two penalties have one target
    assert (
        "7 of 36 contrasts" in anchor
    )  # SWD in each of four cells and two pooled ones; the share of all hot runs
    assert h2.startswith("H2 could not be tested")
    assert not re.search(WITHDRAWN_WORDS, " ".join((h1, anchor, h2)))


def test_a_trick_that_decides_where_the_distortion_does_not():
    def good(mse, heat, loss, trick, control):
        held = mse == "1" or control == "anchor"
        return heat == "comfortable" or (held and (loss == "ns" or trick == "r1"))

    *_, h2 = said(table(good, lambda **levels: 0.1 if good(**levels) else 0.5))
    assert "With wgan (lr 2e-3, β₁ .9) mse=1 alone leaves 0 of 5 runs stable, and r1 beside it all" in h2


def test_a_trick_that_helps_without_a_distortion_makes_h2_testable():
    h2 = said(table(lambda **_: True, lambda trick, mse, **_: 0.1 if trick == "r1" or mse == "1" else 0.3))[
        -1
    ]
    assert "4 of 4 cases without a distortion and in 0 beside mse=1" in h2


def test_runs_that_send_nothing_are_arithmetic_and_no_instability():
    rows = table(lambda mse, **_: mse == "1", lambda **_: 0.3, losses=("ns",), controls=("none",))
    for row in rows:
        row["verdict_reason"] = "the rate fell to nothing: val/bpp ends at 1e-4" if row["mse"] == "0" else ""
    found = answer.counted(rows, {})
    assert {row["verdict"] for row in found} == {"stable", answer.NO_RATE}
    assert said(found)[0].startswith("H1 was not tested")
    assert "20 of 20 runs end there" in said(found)[0]
    (share,) = {e.seeds for e in contrasts.questions(found, ASK)[0].effects if e.response == "unstable"}
    assert share == 0
    paid = answer.counted([{**row, "mse": "1"} for row in rows], {})
    assert answer.NO_RATE not in {row["verdict"] for row in paid}  # with a distortion it is a collapse


def test_withdrawn_controls_are_not_counted():
    rows = table(lambda **_: True, lambda **_: 0.1, controls=("none", "standard"))
    kept = answer.counted(rows, {("control", "standard"): "why"})
    assert {row["control"] for row in kept} == {"none"}
    assert not any(q.subject == "standard" for q in contrasts.questions(rows, ASK))


def test_the_table_of_each_loss_shows_labels_and_intervals():
    rows = table(lambda **_: True, lambda **_: 0.1)
    for row in rows:
        row["swd"] *= 1 + 0.01 * ((zlib.crc32(row["name"].encode()) % 7) - 3)
    head, body = answer.of_each_loss(contrasts.questions(rows, ASK))
    assert head == ["loss (setting)", "mse=1 / mse=0", "r1 × mse"]
    assert [cells[0] for cells in body][:4] == [
        "ns (lr 2e-4, β₁ 0)", "wgan (lr 2e-4, β₁ 0)", "ns (lr 2e-3, β₁ .9)", "wgan (lr 2e-3, β₁ .9)",
    ]  # fmt: skip
    assert not any("●" in cell for cells in body for cell in cells)


def test_one_loss_and_no_controls():
    rows = table(lambda **_: True, lambda **_: 0.1, losses=("ns",), controls=("none",))
    assert [s[:2] for s in said(rows)] == ["H1", "H2"]
    assert not any("all losses" in e.name for q in contrasts.questions(rows, ASK) for e in q.effects)


def test_realism_against_the_start_and_against_the_share():
    rows = table(lambda **_: True, lambda mse, **_: 0.2 if mse == "1" else 0.1, losses=("ns",))
    points = {row["name"]: [{"step": 0, "val/swd": 0.1}] for row in rows}
    _, body = answer.at_a_glance(rows, points, ASK)
    assert "SWD ×1.01" in body[0][1]
    assert "SWD ×2.01" in body[0][2]
    for place, row in enumerate(rows):
        row["share"], row["swd"] = 0.01 * place, 0.2 - 0.001 * place
    (first, *_) = answer.correlations(rows, points, ASK)
    assert (first.loss, first.rho) == ("ns", pytest.approx(-1))
    assert first.runs == sum(
        r["share"] < 0.5 and r["heat"] == "comfortable" and r["control"] == "none" for r in rows
    )


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


@pytest.mark.parametrize(
    ("sentences", "said"),
    [
        ({}, r"sentences\.yaml: answer\.h2 is missing"),
        ({"answer": {"h2": "{{ nothing }}"}}, "'nothing' is undefined"),
    ],
)
def test_a_sentence_that_cannot_be_made_is_one_line(sentences, said):
    with pytest.raises(InputError, match=said):
        dataclasses.replace(ASK, sentences=sentences).say("answer", "h2", tried=3)
