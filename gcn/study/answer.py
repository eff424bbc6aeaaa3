"""The answer in three sentences and the theory's predictions beside the measurements, generated from the table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn.study.contrasts import ALL, HEATS, PLAIN, Question, losses
from gcn.study.statistics import Row, matching
from gcn.study.table import RESPONSES

TITLES = {response.name: response.title for response in RESPONSES}


def sentences(rows: Sequence[Row], asked: Sequence[Question]) -> list[str]:
    """H1, its controls, H2: a sentence each, of the questions that have runs."""
    of = {(q.kind, q.subject): q for q in asked}
    said = []
    if ("H1", "mse") in of:
        said.append(_h1(rows, of["H1", "mse"]))
    if ("control", "anchor") in of:
        said.append(_controls(rows, of))
    if any(q.kind == "H2" for q in asked):
        said.append(_h2(rows, asked))
    return said


def stable(rows: Sequence[Row], **levels: str) -> str:
    """``3 of 5``."""
    own = matching(rows, {**PLAIN, **levels})
    return f"{sum(row['verdict'] == 'stable' for row in own)} of {len(own)}"


def _h1(rows: Sequence[Row], h1: Question) -> str:
    parts = []
    for heat in HEATS:
        pooled = f"{ALL}, {heat}"
        names = {e.name for e in h1.effects}
        (swd,) = (
            e
            for e in h1.effects
            if e.response == "swd" and e.name == (pooled if pooled in names else f"{losses(rows)[0]}, {heat}")
        )
        counts = (
            f"{stable(rows, mse='1', heat=heat)} runs stable instead of {stable(rows, mse='0', heat=heat)}"
        )
        parts.append(f"{counts} at {heat} step sizes (final SWD {swd.text})")
    unmoved = [e.name for e in h1.effects if e.response == "swd" and not e.resolved and ALL not in e.name]
    rest = f"; taken alone, SWD is not resolved for {listed(unmoved)}" if unmoved else ""
    return f"H1: mse=1, without any trick, leaves {' and '.join(parts)}{rest}."


def _controls(rows: Sequence[Row], of: dict[tuple[str, str], Question]) -> str:
    anchor = of["control", "anchor"]
    better, worse = (sum(e.resolved and sign * e.effect < 0 for e in anchor.effects) for sign in (1, -1))
    names = losses(matching(rows, {"control": "anchor"}))
    own = [row for row in rows if row["heat"] in HEATS and row["loss"] in names]
    spring = matching(own, {**PLAIN, "control": "anchor"})
    mine, theirs = (
        f"{sum(r['verdict'] == 'stable' for r in found)} of {len(found)}"
        for found in (matching(own, {**PLAIN, "mse": "1"}), spring)
    )
    specific = better > worse
    said = (
        f"{'The controls do less' if specific else 'But the controls do as much'}: a spring as stiff that is tied to"
        f" the first synthesis instead of the image (anchor=1) leaves {theirs} runs stable where mse=1 leaves {mine},"
        f" and mse=1 is better in {better} and worse in {worse} of {len(anchor.effects)} contrasts"
    )
    if ("control", "slow") in of:
        said += _steps(rows, of["control", "slow"])
    verdict = "does more than damp" if specific else "damps, and nothing here says that it does more"
    return f"{said}. So the distortion {verdict}."


def _steps(rows: Sequence[Row], slow: Question) -> str:
    names = [loss for loss in losses(matching(rows, {"control": "slow"}))]
    heat = HEATS[0]
    shares = [
        f"{100 * _median(matching(rows, {**PLAIN, 'loss': loss, 'mse': '1', 'heat': heat}), 'share'):.0f} %"
        for loss in names
    ]
    swd = [e for e in slow.effects if e.response == "swd" and ALL not in e.name]
    return (
        f"; the adversary's share of G's gradient at mse=1 is {listed(shares)} ({listed(names)}), and against steps of"
        f" G that are shrunk to 25 % the SWD is {listed([e.text for e in swd])}"
    )


def realism(rows: Sequence[Row], points: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Whether the game gains realism at all: final SWD over that of the codec before the game."""
    found = []
    for heat in HEATS:
        by_weight: dict[tuple[float, str], list[float]] = {}
        for row in matching(rows, {**PLAIN, "heat": heat}):
            start = next((p["val/swd"] for p in points.get(str(row["name"]), []) if p["val/swd"]), None)
            if start and row["swd"] and math.isfinite(row["swd"]):
                by_weight.setdefault((float(row["mse"]), str(row["mse"])), []).append(row["swd"] / start)
        said = [
            f"×{np.median(ratios):.2f} with mse={name}" for (_, name), ratios in sorted(by_weight.items())
        ]
        if said:
            about = f"Final SWD over that before the game, {heat}, medians over the losses with that weight"
            found.append(f"{about}: {listed(said)}.")
    return found


def _h2(rows: Sequence[Row], asked: Sequence[Question]) -> str:
    counted = {}
    for kind in ("without", "beside", "H2"):
        own = [e for q in asked if q.kind == kind for e in q.effects if ALL not in e.name]
        down = sum(e.resolved and e.effect < 0 for e in own)
        counted[kind] = f"{down} down and {sum(e.resolved and e.effect > 0 for e in own)} up of {len(own)}"
    cells = [(loss, heat) for loss in losses(rows) for heat in HEATS]
    enough = [stable(rows, mse="1", loss=loss, heat=heat).split(" of ") for loss, heat in cells]
    rescued = _rescued(rows)
    kept = sum(a == b for a, b in enough)
    if rescued:
        rescue = f"it fails where a trick still decides: {listed(rescued)}"
    elif kept == len(cells):
        rescue = "no setting is left for them to decide"
    else:
        rescue = "no other is made so by a trick"
    return (
        f"H2: resolved effects of tricks are {counted['without']} without a distortion, {counted['beside']} beside"
        f" mse=1, and {counted['H2']} interactions; mse=1 alone keeps all runs stable in {kept} of"
        f" {len(cells)} settings of loss and step size, where tricks are superfluous for that, and {rescue}."
    )


def _rescued(rows: Sequence[Row]) -> list[str]:
    """Settings that are mostly unstable with mse=1 and all stable with a trick beside it."""
    found = []
    for loss in losses(rows):
        for heat in HEATS:
            plain = matching(rows, {**PLAIN, "mse": "1", "loss": loss, "heat": heat})
            if not plain or 2 * sum(r["verdict"] == "stable" for r in plain) > len(plain):
                continue
            for factor in ("trick", "pairing"):
                for level in dict.fromkeys(str(r[factor]) for r in rows if r[factor] != "none"):
                    own = matching(rows, {**PLAIN, factor: level, "mse": "1", "loss": loss, "heat": heat})
                    if own and all(r["verdict"] == "stable" for r in own):
                        before = stable(rows, mse="1", loss=loss, heat=heat)
                        found.append(
                            f"{level} for {loss}, {heat} ({len(own)} of {len(own)} stable, {before} without)"
                        )
    return found


def of_each_loss(asked: Sequence[Question]) -> tuple[list[str], list[list[str]]]:
    """H1 and H2 of r1 for each loss and step size: head and rows of a table."""
    questions = [q for q in asked if q.kind == "H1" or (q.kind == "H2" and q.subject == "r1")]
    names = list(dict.fromkeys(e.name for q in questions for e in q.effects))
    body = [[name, *(_resolved(q, name) for q in questions)] for name in names]
    return ["loss, step size", *("H1: mse=1" if q.kind == "H1" else "H2: r1 × mse" for q in questions)], body


def _resolved(question: Question, name: str) -> str:
    own = [e for e in question.effects if e.name == name]
    known = [f"{TITLES[e.response]} {e.text}" for e in own if e.resolved]
    swd = next((e for e in own if e.response == "swd"), None)
    if known:
        return "; ".join(known)
    seeds = max((e.seeds for e in own), default=0)
    return f"not resolved with {seeds} seeds" + (f" (final SWD {swd.text})" if swd else "")


def predictions(rows: Sequence[Row], looks: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What the two-scalar theory says, what was measured, and whether it holds."""
    found = []
    ladder = {heat: _by_weight(rows, "ns", heat, "swd") for heat in HEATS}
    if all(len(by) > 3 for by in ladder.values()):
        least = {heat: min(by.items(), key=lambda pair: pair[1])[0] for heat, by in ladder.items()}
        inner = all(0 < float(w) < 10 for w in least.values())
        values = ", ".join(
            f"{heat} mse={w} ({ladder[heat][w]:.3f}; mse=10: {ladder[heat]['10']:.3f})"
            for heat, w in least.items()
        )
        found.append(
            (
                "There is a best weight, μ = p; more is slower (overdamping)",
                f"ns, least median SWD: {values}",
                "holds in sign: the least is inside the ladder, and beyond it the game only grows quieter"
                if inner
                else "not seen: the least is at an end of the ladder",
            )
        )
    ns, wgan = (_needed(rows, loss) for loss in ("ns", "wgan"))
    if ns is not None and wgan is not None:
        found.append(
            (
                "The critical weight is p: twice as large for wgan (1) as for ns (1/2)",
                f"least weight from which on all hot runs are stable: ns {_weight(ns)}, wgan {_weight(wgan)}",
                "the order holds, the factor is larger" if wgan > 2 * ns else "fails",
            )
        )
    gaps = {
        mse: _median(matching(rows, {**PLAIN, "mse": mse, "heat": HEATS[0]}), "logit_gap") for mse in "01"
    }
    if all(math.isfinite(g) for g in gaps.values()):
        found.append(
            (
                "Lossy equilibrium: with a distortion D does not come to rest, ψ* = 2μm/p",
                f"median |logit gap|, comfortable: {gaps['0']:.3g} with mse=0, {gaps['1']:.3g} with mse=1",
                "holds" if gaps["1"] > 2 * gaps["0"] else "fails",
            )
        )
    rotation = {mse: _rotations(rows, looks, mse) for mse in "01"}
    if all(rotation.values()):
        middle = {mse: float(np.median(values)) for mse, values in rotation.items()}
        ends = f"{len(rotation['0'])} + {len(rotation['1'])}"
        found.append(
            (
                "A distortion beyond the critical weight removes the rotation",
                f"median rotation index at {ends} ends: {middle['0']:.2g} with mse=0, {middle['1']:.2g} with mse=1",
                "holds" if middle["1"] < middle["0"] / 10 else "fails",
            )
        )
    r1 = {
        mse: _median(matching(rows, {**PLAIN, "trick": "r1", "mse": mse, "heat": HEATS[0]}), "swd")
        for mse in "01"
    }
    none = {mse: _median(matching(rows, {**PLAIN, "mse": mse, "heat": HEATS[0]}), "swd") for mse in "01"}
    if all(math.isfinite(v) for v in (*r1.values(), *none.values())):
        found.append(
            (
                "r1 damps as mse does: it stabilises the game without a distortion",
                f"median final SWD, comfortable, mse=0: {none['0']:.3f} without r1, {r1['0']:.3f} with it; hot, stable:"
                f" {stable(rows, mse='0', heat='hot')} and {stable(rows, mse='0', heat='hot', trick='r1')}",
                "fails at this weight: r1=1 rescues no hot run"
                if stable(rows, mse="0", heat="hot", trick="r1").startswith("0 ")
                else "holds in part",
            )
        )
    return found


def _by_weight(rows: Sequence[Row], loss: str, heat: str, response: str) -> dict[str, float]:
    own = matching(rows, {**PLAIN, "loss": loss, "heat": heat})
    weights = sorted({str(r["mse"]) for r in own}, key=float)
    return {weight: _median([r for r in own if r["mse"] == weight], response) for weight in weights}


def _needed(rows: Sequence[Row], loss: str) -> float | None:
    """The least weight from which on all hot runs are stable, infinite where the largest is not enough."""
    own = matching(rows, {**PLAIN, "loss": loss, "heat": HEATS[1]})
    weights = sorted({str(r["mse"]) for r in own}, key=float)
    if len(weights) < 4:
        return None
    least = math.inf
    for weight in reversed(weights):
        if not all(r["verdict"] == "stable" for r in own if r["mse"] == weight):
            break
        least = float(weight)
    return least


def _weight(weight: float) -> str:
    return f"{weight:g}" if math.isfinite(weight) else "above 10"


def _rotations(rows: Sequence[Row], looks: Sequence[dict[str, Any]], mse: str) -> list[float]:
    names = {str(r["name"]) for r in rows if r["mse"] == mse}
    return [
        float(look["rotation"]) for look in looks if look["name"] in names and look["rotation"] is not None
    ]


def _median(rows: Sequence[Row], response: str) -> float:
    values = [float(r[response]) for r in rows if r[response] is not None and math.isfinite(r[response])]
    return float(np.median(values)) if values else math.nan


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
