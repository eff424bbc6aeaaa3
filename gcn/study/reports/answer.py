"""The answer of a study in a few sentences, and its main table, both computed from the table of runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gcn.study.reports.contrasts import ALL, Asked, Question, losses
from gcn.study.reports.statistics import Effect, Row, Side, matching

Points = Mapping[str, Sequence[Mapping[str, Any]]]
# Stands for a verdict: a rate is paid, no distortion is, and the encoder sends nothing.
NO_RATE = "nothing sent"
WEAK = 0.5  # share below which the adversary does not dominate G's gradient


def counted(rows: Sequence[Row], withdrawn: Mapping[tuple[str, str], str]) -> list[Row]:
    """Rows of the table without those that a report leaves out.

    Runs of ``withdrawn`` levels are left out. A run without a distortion whose rate fell to nothing has found the
    optimum of what it was asked: it is called ``nothing sent`` and counts neither as stable nor as unstable.
    """
    kept = [row for row in rows if not any(row.get(factor) == level for factor, level in withdrawn)]
    return [_arithmetic(row) for row in kept]


def _arithmetic(row: Row) -> Row:
    fell = str(row.get("verdict_reason", "")).startswith("the rate fell to nothing")
    if not fell or row.get("mse") != "0" or row.get("control") == "anchor":
        return row
    return {**row, "verdict": NO_RATE, "unstable": None}


def sentences(rows: Sequence[Row], asked: Sequence[Question], points: Points, ask: Asked) -> list[str]:
    """H1, its control, the adversary's share, H2: a sentence or two each, of the questions that have runs."""
    said = []
    if any(q.kind == "H1" for q in asked):
        said.append(_h1(rows, ask))
    said += [_anchor(rows, q, ask) for q in asked if (q.kind, q.subject) == ("control", "anchor")]
    said += [_share(found, ask) for found in correlations(rows, points, ask)[:1]]
    if any(q.kind == "H2" for q in asked):
        said.append(_h2(rows, asked, ask))
    return said


def stable(rows: Sequence[Row], ask: Asked, levels: Side) -> str:
    """Number of stable runs, as ``3 of 5``, among the runs without any trick unless ``levels`` say otherwise."""
    own = matching(rows, {**ask.plain, **levels})
    return f"{sum(row['verdict'] == 'stable' for row in own)} of {len(own)}"


def _h1(rows: Sequence[Row], ask: Asked) -> str:
    names = [ask.label(heat) for heat in ask.settings]
    good, without = (
        [stable(rows, ask, {"mse": mse, ask.factor: heat}) for heat in ask.settings] for mse in "10"
    )
    silent = sum(row["verdict"] == NO_RATE for row in rows)
    if silent:
        held = listed([f"{number} at {name}" for number, name in zip(good, names, strict=True)])
        runs = len(matching(rows, {"mse": "0"}))
        return ask.say("answer", "h1_nothing_sent", silent=silent, runs=runs, held=held)
    counts = "; ".join(
        ask.say("answer", "h1_count", good=a, without=b, setting=name)
        for name, a, b in zip(names, good, without, strict=True)
    )
    lost = [
        [median(matching(rows, {**ask.plain, "mse": m, ask.factor: h}), "psnr_loss") for h in ask.settings]
        for m in "01"
    ]
    if not all(without > with_it for without, with_it in zip(*lost, strict=True)):
        return ask.say("answer", "h1_counts", counts=counts)
    drift, rest = (listed([_db(value) for value in values]) for values in lost)
    return ask.say("answer", "h1_drift", drift=drift, rest=rest, settings=" and ".join(names), counts=counts)


def _db(lost: float) -> str:
    return f"{-lost:+.1f} dB".replace("-", "−")


def _anchor(rows: Sequence[Row], anchor: Question, ask: Asked) -> str:
    names = losses(matching(rows, {"control": "anchor"}))
    own = [row for row in rows if row[ask.factor] in ask.settings and row["loss"] in names]
    return ask.say(
        "answer", "anchor",
        mine=stable(own, ask, {"mse": "1"}), theirs=stable(own, ask, {"control": "anchor"}),
        significant=sum(e.significant for e in anchor.effects), contrasts=len(anchor.effects),
    )  # fmt: skip


class Correlation(NamedTuple):
    """Spearman's correlation of the adversary's share with final SWD over initial SWD, for small shares."""

    loss: str
    heat: str
    rho: float
    runs: int


def correlations(rows: Sequence[Row], points: Points, ask: Asked, least: int = 15) -> list[Correlation]:
    """For each loss and setting with at least so many runs, over all weights, tricks and pairings, without controls."""
    found = []
    for heat in ask.settings:
        for loss in losses(rows):
            own = weak(matching(rows, {"control": "none", ask.factor: heat, "loss": loss}), points)
            if len(own) >= least:
                rho = float(stats.spearmanr(*zip(*own, strict=True)).statistic)
                found.append(Correlation(loss, heat, rho, len(own)))
    return found


def weak(rows: Sequence[Row], points: Points) -> list[tuple[float, float]]:
    """Pairs (share, final SWD over initial SWD) of the runs whose share is below ``WEAK``."""
    pairs = ((row["share"], relative_swd(row, points)) for row in rows)
    return [(a, b) for a, b in pairs if a is not None and a < WEAK and math.isfinite(b)]


def relative_swd(row: Row, points: Points) -> float:
    """Final SWD over initial SWD; NaN where either is unknown."""
    start = next((p["val/swd"] for p in points.get(str(row["name"]), ()) if p["val/swd"]), None)
    final = row["swd"]
    return math.nan if not start or final is None else float(final) / start


def _share(found: Correlation, ask: Asked) -> str:
    return ask.say(
        "answer", "share",
        cell=ask.cell(found.loss, found.heat), falls=found.rho < 0, rho=number(found.rho), runs=found.runs, weak=WEAK,
    )  # fmt: skip


def number(value: float) -> str:
    """A correlation as text: ``−.95``."""
    return f"{value:.2f}".replace("-", "−").replace("0.", ".", 1)


def _h2(rows: Sequence[Row], asked: Sequence[Question], ask: Asked) -> str:
    def swd(kind: str) -> list[tuple[str, Effect]]:
        own = [(q.subject, e) for q in asked if q.kind == kind for e in q.effects]
        return [(trick, e) for trick, e in own if e.response == "swd" and not e.name.startswith(ALL)]

    tried = len(swd("without"))
    alone, beside = (
        [(trick, e) for trick, e in swd(kind) if e.significant and e.effect < 0]
        for kind in ("without", "beside")
    )
    if alone:
        said = [ask.say("answer", "h2", alone=len(alone), tried=tried, beside=len(beside))]
    else:
        said = [ask.say("answer", "h2_not_tested", tried=tried)]
    if beside and not alone:
        names = listed(list(dict.fromkeys(trick for trick, _ in beside)))
        ratios = sorted(math.exp(e.effect) for _, e in beside)
        ends = f"×{ratios[0]:.2f} to ×{ratios[-1]:.2f}"
        said.append(ask.say("answer", "h2_beside", beside=len(beside), names=names, ratios=ends))
    return " ".join([*said, *_rescued(rows, ask)])


def _rescued(rows: Sequence[Row], ask: Asked) -> list[str]:
    """A sentence for each setting that is mostly unstable with mse=1 and all stable with some trick beside it."""
    found = []
    for heat in ask.settings:
        for loss in losses(rows):
            plain = matching(rows, {**ask.plain, "mse": "1", "loss": loss, ask.factor: heat})
            if not plain or 2 * sum(r["verdict"] == "stable" for r in plain) > len(plain):
                continue
            tricks = []
            for factor in ("trick", "pairing"):
                for level in dict.fromkeys(str(r[factor]) for r in rows if r[factor] != "none"):
                    own = matching(
                        rows, {**ask.plain, factor: level, "mse": "1", "loss": loss, ask.factor: heat}
                    )
                    if own and all(r["verdict"] == "stable" for r in own):
                        tricks.append(level)
            if tricks:
                alone = stable(rows, ask, {"mse": "1", "loss": loss, ask.factor: heat})
                cell, names = ask.cell(loss, heat), listed(tricks, "or")
                found.append(ask.say("answer", "h2_rescue", cell=cell, alone=alone, tricks=names))
    return found


def at_a_glance(rows: Sequence[Row], points: Points, ask: Asked) -> tuple[list[str], list[list[str]]]:
    """For each loss and setting: stable runs, median SWD over that at the start, median change of PSNR."""
    arms = [({"mse": "0", "control": "none"}, "mse=0"), ({"mse": "1", "control": "none"}, "mse=1")]
    if matching(rows, {"control": "anchor"}):
        arms.append(({"mse": "0", "control": "anchor"}, "anchor=1"))
    body = []
    for heat in ask.settings:
        for loss in losses(rows):
            cells = [
                matching(rows, {**ask.plain, "loss": loss, ask.factor: heat, **levels}) for levels, _ in arms
            ]
            if any(cells):
                body.append([ask.cell(loss, heat), *(_glance(cell, points) for cell in cells)])
    return ["loss (setting)", *(name for _, name in arms)], body


def _glance(cell: Sequence[Row], points: Points) -> str:
    if not cell:
        return "–"
    silent = sum(row["verdict"] == NO_RATE for row in cell)
    good = f"{sum(row['verdict'] == 'stable' for row in cell)} of {len(cell)} stable"
    said = [good if silent < len(cell) else f"nothing sent in {silent} of {len(cell)}"]
    ratios = [r for r in (relative_swd(row, points) for row in cell) if math.isfinite(r)]
    if ratios:
        said.append(f"SWD ×{np.median(ratios):.2f}")
    if math.isfinite(lost := median(cell, "psnr_loss")):
        said.append(_db(lost))
    return ", ".join(said)


def of_each_loss(asked: Sequence[Question]) -> tuple[list[str], list[list[str]]]:
    """H1 and H2 of r1 on the final SWD for each loss and setting: head and rows of a table."""
    questions = [q for q in asked if q.kind == "H1" or (q.kind == "H2" and q.subject == "r1")]
    names = list(dict.fromkeys(e.name for q in questions for e in q.effects))
    body = [[name, *(_swd(q, name) for q in questions)] for name in names]
    return ["loss (setting)", *("mse=1 / mse=0" if q.kind == "H1" else "r1 × mse" for q in questions)], body


def _swd(question: Question, name: str) -> str:
    own = [e for e in question.effects if e.name == name and e.response == "swd"]
    return f"{own[0].text}{' ●' if own[0].significant else ''}" if own else "–"


def median(rows: Sequence[Row], response: str) -> float:
    """Median of the finite values of a response; NaN without any."""
    values = [float(r[response]) for r in rows if r[response] is not None and math.isfinite(r[response])]
    return float(np.median(values)) if values else math.nan


def listed(names: Sequence[str], word: str = "and") -> str:
    """Words as a list in a sentence: ``a, b and c``."""
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
