"""Predictions of the theory of two numbers beside the measurements: the last comparison of the report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gcn.study.answer import NO_RATE, median
from gcn.study.contrasts import Asked, losses
from gcn.study.statistics import Row, matching


class Prediction(NamedTuple):
    """A statement about the game of two numbers, what was measured here, and what follows."""

    theory: str
    measured: str
    verdict: str


def predictions(rows: Sequence[Row], looks: Sequence[Mapping[str, Any]], ask: Asked) -> list[Prediction]:
    """The rows for which the table has runs."""
    found = (
        _best_weight(rows, ask), _any_weight(rows, ask), _step_size(rows, ask), _at_rest(rows, ask),
        _rotation(rows, looks), _r1(rows, ask),
    )  # fmt: skip
    return [prediction for prediction in found if prediction is not None]


def _best_weight(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    said = []
    for heat in ask.settings:
        by_weight = _by_weight(rows, ask, "ns", heat)
        if len(by_weight) < 4:
            return None
        least = min(by_weight, key=lambda weight: by_weight[weight])
        largest = max(by_weight, key=float)
        said.append(
            f"mse={least} at {ask.label(heat)} ({by_weight[least]:.3f}; mse={largest}: {by_weight[largest]:.3f})"
        )
    return Prediction(
        "The rate of convergence is best at μ = p and falls beyond it",
        f"ns, weight of the least median SWD: {', '.join(said)}",
        "No test: any curve with a minimum inside would agree, and SWD at the end is no rate of convergence",
    )


def _any_weight(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    needed = {loss: _needed(rows, ask, loss) for loss in ("ns", "wgan") if loss in losses(rows)}
    known = [f"{loss} {_weight(weight)}" for loss, weight in needed.items() if weight is not None]
    if not known:
        return None
    heat = ask.settings[1]
    return Prediction(
        "Every μ > 0 is stable; from μ = p on (½ for ns, 1 for wgan) nothing rotates",
        f"least weight from which on all runs at {ask.label(heat)} are stable: {', '.join(known)}",
        "Not explained: μ = p ends rotation and not instability, so it predicts no such threshold",
    )


def _step_size(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    """Learning rates at which all runs are stable, on the grid with β₁ = .9."""
    rates = ask.content.get("rates", {})
    own = [r for r in matching(rows, {**ask.plain, "loss": "ns"}) if r[ask.factor] in rates]
    holds: dict[str, list[str]] = {}
    for mse in dict.fromkeys(str(r["mse"]) for r in own):
        cells = {heat: matching(own, {ask.factor: heat, "mse": mse}) for heat in rates}
        if all(cells.values()):
            holds[mse] = [h for h, cell in cells.items() if all(r["verdict"] == "stable" for r in cell)]
    if "0" not in holds or "1" not in holds or not holds["1"]:
        return None
    largest = max(rates[heat] for heat in holds["1"])
    least = min(rates.values())
    without = max((rates[heat] for heat in holds["0"]), default=None)
    said = f"not even at {lr(least)}" if without is None else f"up to {lr(without)}"
    factor = largest / (without or least)
    contrary = "a factor of more than" if without is None else "a factor of"
    return Prediction(
        "Under alternating descent, which is used here, a distortion only costs step size",
        f"ns, β₁ .9, learning rate up to which all runs are stable: with mse=0 {said}, with mse=1 up to {lr(largest)}",
        f"The opposite: {contrary} {factor:.0f} in favour of the distortion. In the runs the decoder leaves a good"
        " start, which the game of two numbers does not model"
        if factor > 1
        else "In agreement",
    )


def lr(rate: float) -> str:
    """A learning rate as text: ``2e-4``."""
    return f"{rate:.0e}".replace("e-0", "e-")


def _at_rest(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    heat = ask.settings[0]
    gaps = {
        mse: median(matching(rows, {**ask.plain, "mse": mse, ask.factor: heat}), "logit_gap") for mse in "01"
    }
    if not all(math.isfinite(gap) for gap in gaps.values()):
        return None
    return Prediction(
        "Lossy equilibrium: with a distortion D does not come to rest, ψ* = 2μm/p",
        f"median |logit gap| at {ask.label(heat)}: {gaps['0']:.2g} with mse=0, {gaps['1']:.2g} with mse=1",
        "In agreement" if gaps["1"] > 2 * gaps["0"] else "Not seen",
    )


def _rotation(rows: Sequence[Row], looks: Sequence[Mapping[str, Any]]) -> Prediction | None:
    index = {}
    for mse in "01":
        names = {str(r["name"]) for r in rows if r["mse"] == mse}
        index[mse] = [float(x["rotation"]) for x in looks if x["name"] in names and x["rotation"] is not None]
    if not all(index.values()):
        return None
    middle = {mse: float(np.median(values)) for mse, values in index.items()}
    return Prediction(
        "A distortion beyond the critical weight removes the rotation",
        f"median rotation index at {len(index['0'])} + {len(index['1'])} ends: {middle['0']:.2g} with mse=0,"
        f" {middle['1']:.2g} with mse=1",
        "In agreement, away from an equilibrium and for one seed" if middle["1"] < middle["0"] / 10 else "Not seen",
    )  # fmt: skip


def _r1(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    said, better = [], False
    for heat in ask.settings:
        cells = [
            matching(rows, {**ask.plain, "mse": "0", ask.factor: heat, "trick": t}) for t in ("none", "r1")
        ]
        if not all(cells) or any(r["verdict"] == NO_RATE for cell in cells for r in cell):
            return None
        good = [sum(r["verdict"] == "stable" for r in cell) for cell in cells]
        better |= good[1] / len(cells[1]) > good[0] / len(cells[0])
        counts = " and ".join(f"{n} of {len(cell)}" for n, cell in zip(good, cells, strict=True))
        said.append(f"{counts} at {ask.label(heat)}")
    return Prediction(
        "r1 of γ = 2μ has the spectrum of a distortion μ: it stabilises the game without one",
        f"stable runs with mse=0, without and with r1=1: {'; '.join(said)}",
        "More stable runs with r1" if better else "Not seen at this one weight",
    )


def _by_weight(rows: Sequence[Row], ask: Asked, loss: str, heat: str) -> dict[str, float]:
    own = matching(rows, {**ask.plain, "loss": loss, ask.factor: heat})
    weights = sorted({str(r["mse"]) for r in own}, key=float)
    return {weight: median([r for r in own if r["mse"] == weight], "swd") for weight in weights}


def _needed(rows: Sequence[Row], ask: Asked, loss: str) -> float | None:
    """The least weight from which on all runs at the higher learning rate are stable; inf: not even the largest."""
    own = matching(rows, {**ask.plain, "loss": loss, ask.factor: ask.settings[1]})
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
    return f"{weight:g}" if math.isfinite(weight) else "none of those tried"
