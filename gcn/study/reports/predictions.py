"""Predictions of the theory of two numbers beside the measurements: the last comparison of the report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gcn.study.reports.answer import NO_RATE, median
from gcn.study.reports.contrasts import Asked, losses
from gcn.study.reports.statistics import Row, matching


class Prediction(NamedTuple):
    """A statement about the game of two numbers, what was measured here, and what follows."""

    theory: str
    measured: str
    follows: str


def predictions(rows: Sequence[Row], looks: Sequence[Mapping[str, Any]], ask: Asked) -> list[Prediction]:
    """The rows for which the table has runs."""
    found = (
        _best_weight(rows, ask), _any_weight(rows, ask), _step_size(rows, ask), _at_rest(rows, ask),
        _rotation(rows, looks, ask), _r1(rows, ask),
    )  # fmt: skip
    return [prediction for prediction in found if prediction is not None]


def _row(ask: Asked, key: str, **names: Any) -> Prediction:
    """A row of the table from the sentences of the study."""
    return Prediction(*(ask.say("theory", key, part, **names) for part in Prediction._fields))


def _best_weight(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    said = []
    for heat in ask.settings:
        by_weight = _by_weight(rows, ask, "ns", heat)
        if len(by_weight) < 4:
            return None
        least = min(by_weight, key=lambda weight: by_weight[weight])
        largest = max(by_weight, key=float)
        values = {"swd": f"{by_weight[least]:.3f}", "swd_of_largest": f"{by_weight[largest]:.3f}"}
        place = {"least": least, "largest": largest, "setting": ask.label(heat)}
        said.append(ask.say("theory", "best_weight", "weight", **place, **values))
    return _row(ask, "best_weight", weights=", ".join(said))


def _any_weight(rows: Sequence[Row], ask: Asked) -> Prediction | None:
    needed = {loss: _needed(rows, ask, loss) for loss in ("ns", "wgan") if loss in losses(rows)}
    none = ask.say("theory", "any_weight", "no_weight")
    known = [
        f"{loss} {f'{weight:g}' if math.isfinite(weight) else none}"
        for loss, weight in needed.items()
        if weight is not None
    ]
    if not known:
        return None
    return _row(ask, "any_weight", setting=ask.label(ask.settings[1]), weights=", ".join(known))


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
    return _row(
        ask, "step_size",
        without="" if without is None else lr(without), least=lr(least), largest=lr(largest),
        factor=largest / (without or least),
    )  # fmt: skip


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
    measured = {"setting": ask.label(heat), "without": f"{gaps['0']:.2g}", "beside": f"{gaps['1']:.2g}"}
    return _row(ask, "at_rest", **measured, seen=gaps["1"] > 2 * gaps["0"])


def _rotation(rows: Sequence[Row], looks: Sequence[Mapping[str, Any]], ask: Asked) -> Prediction | None:
    index = {}
    for mse in "01":
        names = {str(r["name"]) for r in rows if r["mse"] == mse}
        index[mse] = [float(x["rotation"]) for x in looks if x["name"] in names and x["rotation"] is not None]
    if not all(index.values()):
        return None
    middle = {mse: float(np.median(values)) for mse, values in index.items()}
    return _row(
        ask, "rotation",
        ends=[len(values) for values in index.values()], seen=middle["1"] < middle["0"] / 10,
        without=f"{middle['0']:.2g}", beside=f"{middle['1']:.2g}",
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
    return _row(ask, "r1", counts="; ".join(said), seen=better)


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
