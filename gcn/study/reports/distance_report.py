"""The sections of a report on distances to two-dimensional data: Wasserstein distance by method, and lost modes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gcn.report.paper import named
from gcn.study.design import Study
from gcn.study.reports import distance_figures
from gcn.study.reports.contrasts import Asked
from gcn.study.reports.pages import Block, Table
from gcn.study.reports.phrases import filled
from gcn.study.reports.statistics import Row, matching


class Method(NamedTuple):
    """A method and its runs on all data.

    Attributes:
        name: for readers.
        levels: one of each factor but that of the data.
        rows: of the table.
        arm: its place among the arms of the section on lost modes, and ``variant``, that of its loss and stabiliser.
    """

    name: str
    levels: Mapping[str, str]
    rows: Sequence[Row]
    arm: int = 0
    variant: int = 0


def blocks(
    study: Study,
    ask: Asked,
    stored: Sequence[Row],
    points: Mapping[str, Any],
    looks: Sequence[Any],
    folder: Path,
) -> list[Block]:
    """The sections, with their figures in ``folder``; the arguments are those of ``lab_report.blocks``."""
    late = late_distances(points, ask.content["late"])
    families = _families(stored, ask)
    arms, first = modes(stored, ask), next(iter(families.values()), [])
    drawn = [
        (
            distance_figures.distances(_once(families), late, folder / "distances", ask),
            "Wasserstein-1 distance to the data, mean over the last fifth of the updates: a dot for each seed, a bar at"
            " their mean. Dashed: the distance of two samples of the data. Grey: the range of ns over its seeds.",
        ),
        (
            distance_figures.over_updates(families, points, folder / "over_updates", ask),
            "Wasserstein-1 distance over the updates: mean over seeds, and from the smallest to the largest of them.",
        ),
        (
            distance_figures.samples(
                first, looks, folder / "samples", ask, distance_figures.shown_data(first, ask)
            ),
            "The game of the first seed at the end. Discs: data; dots: samples; colours: D's logit about its middle.",
        ),
        (
            distance_figures.modes_over_updates(arms, points, folder / "modes", ask),
            "Where modes can be lost, over the updates: mean over seeds, and from the smallest to the largest of them.",
        ),
        (
            distance_figures.samples(arms, looks, folder / "modes_samples", ask),
            "The game of the first seed at the end, where modes can be lost.",
        ),
    ]
    figures = [(named(path, "png"), caption) for path, caption in drawn if path is not None]
    remark = ask.content["remark"]
    return [
        Block("What is seen", _answer(study, stored, families, arms, late, ask), None, figures[:1]),
        Block("What this study may not say", study.cannot_say),
        Block("Distances", [_TABLE], _distances(_once(families), late, stored, ask)),
        Block("Lost modes", [_MODES] if arms else [], _modes(arms, late, ask)),
        Block("A closer look", [], None, figures[1:]),
        Block("Design", [*ask.content["design"], *_design(study, stored)]),
        Block("What differs from the paper", [remark], (["", "paper", "here"], ask.content["deviations"])),
        Block("Limits", ask.content["limits"]),
    ]  # fmt: skip


_TABLE = (
    "Mean over seeds [smallest, largest]. W1: Wasserstein-1 distance over the last fifth of the updates. Good: share of"
    " 2500 samples within three standard deviations of the data after the last update."
)
_MODES = "Mean over seeds [smallest, largest] after the last update; W1 over the last fifth of the updates."


def late_distances(points: Mapping[str, Sequence[Mapping[str, Any]]], share: float) -> dict[str, float]:
    """For each run the mean distance over the last ``share`` of its updates; infinite if it is not a number there."""
    found = {}
    for run, curve in points.items():
        first = (1 - share) * curve[-1]["step"] if curve else 0
        values = [point["w1"] for point in curve if point["step"] >= first and point.get("w1") is not None]
        if values:
            mean = float(np.mean(values))
            found[run] = mean if math.isfinite(mean) else math.inf
    return found


def methods(rows: Sequence[Row], family: Mapping[str, Any], ask: Asked) -> list[Method]:
    """The methods of a family that the table has runs of, each once, the plain one first."""
    named_ones = [dict(levels) for levels in family.get("methods", [])]
    if "each" in family:
        factor = family["each"]
        levels = family.get("levels") or dict.fromkeys(str(row[factor]) for row in rows)
        named_ones = [{}, *({factor: level} for level in levels if level != ask.plain[factor]), *named_ones]
    found = []
    for levels in named_ones:
        whole = {**ask.plain, **levels}
        own = matching(rows, whole)
        if own:
            found.append(Method(_name(levels, ask), whole, own))
    return found


def _families(rows: Sequence[Row], ask: Asked) -> dict[str, list[Method]]:
    """The families of the file, by their titles, that have more than the plain method."""
    found = {one["title"]: methods(rows, one, ask) for one in ask.content["families"]}
    return {title: own for title, own in found.items() if any(m.levels != ask.plain for m in own)}


def _once(families: Mapping[str, Sequence[Method]]) -> dict[str, list[Method]]:
    """The families, each method in the first of those that have it."""
    seen: set[str] = set()
    found = {}
    for title, own in families.items():
        found[title] = [method for method in own if method.name not in seen]
        seen |= {method.name for method in own}
    return {title: own for title, own in found.items() if own}


def _name(levels: Mapping[str, str], ask: Asked) -> str:
    said = {"loss": ask.plain["loss"], **levels}
    return ", ".join(ask.label(level) for level in said.values())


def modes(rows: Sequence[Row], ask: Asked) -> list[Method]:
    """The arms of the games in which modes can be lost."""
    told, found = ask.content["modes"], []
    for place, variant in enumerate(told["variants"]):
        for arm, (name, levels) in enumerate(told["arms"].items()):
            whole = {**ask.plain, **levels, **variant}
            own = [row for row in matching(rows, whole) if row[ask.factor] in told["settings"]]
            if own:
                found.append(Method(f"{_name(variant, ask)}: {name}", whole, own, arm, place))
    return found


def _by_seed(rows: Sequence[Row], late: Mapping[str, float]) -> dict[int, float]:
    return {row["seed"]: late[row["name"]] for row in rows if row["name"] in late}


def _answer(
    study: Study,
    stored: Sequence[Row],
    families: Mapping[str, Sequence[Method]],
    arms: Sequence[Method],
    late: Mapping[str, float],
    ask: Asked,
) -> list[str]:
    """The sentences of the file, whose numbers are computed here."""
    every = {m.name: m for own in families.values() for m in own}

    def distances(data: str) -> dict[str, dict[int, float]]:
        found = {name: _by_seed(matching(m.rows, {ask.factor: data}), late) for name, m in every.items()}
        return {name: own for name, own in found.items() if own}

    def compared(data: str, sign: int) -> str:
        found = distances(data)
        base = found.pop(_name({}, ask), {})
        own = [
            name
            for name, seeds in found.items()
            if all(sign * (seeds[s] - base[s]) > 0 for s in base if s in seeds)
        ]
        return f"{len(own)} ({'; '.join(own)})" if own else "0"

    def smallest(data: str, count: int = 5) -> str:
        means = {name: float(np.mean(list(own.values()))) for name, own in distances(data).items()}
        return "; ".join(f"{name} {means[name]:.3f}" for name in sorted(means, key=means.__getitem__)[:count])

    def ends(data: str, response: str) -> str:
        names = list(ask.content["modes"]["arms"])
        found = [(arm, matching(arm.rows, {ask.factor: data})) for arm in arms if arm.variant == 0]
        return "; ".join(
            f"{names[arm.arm]} {_said([row[response] for row in own], 1)}" for arm, own in found if own
        )

    said = (
        filled(
            text,
            runs=len(stored),
            planned=sum(arm.seeds for arm in study.planned()),
            updates=study.protocol.updates,
            seeds=len({row["seed"] for row in stored}),
            methods=lambda data: str(len(distances(data).keys() - {_name({}, ask)})),
            nearer=lambda data: compared(data, -1),
            farther=lambda data: compared(data, 1),
            smallest=smallest,
            ends=ends,
        )
        for text in ask.content["answer"]
    )
    return [sentence for sentence in said if sentence]  # a template may leave out what was not trained


def _said(values: Sequence[float], digits: int) -> str:
    """``0.123 [0.110, 0.140]``, or how many of the runs are not finite."""
    if not values:
        return ""
    lost = sum(not math.isfinite(v) for v in values)
    if lost:
        return f"{lost} of {len(values)} not finite"
    return f"{np.mean(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def _distances(
    families: Mapping[str, Sequence[Method]], late: Mapping[str, float], stored: Sequence[Row], ask: Asked
) -> Table:
    """A row for each method of each family, a column for each data; first the distance of two samples of the data."""
    every = [row for own in families.values() for m in own for row in m.rows]
    shown = [data for data in ask.found(every) if data not in ask.content["modes"]["settings"]]
    floors = {
        data: {r["seed"]: r["w1_of_data"] for r in matching(stored, {ask.factor: data})} for data in shown
    }
    body = [["floor", *(said for data in shown for said in (_said(list(floors[data].values()), 3), ""))]]
    for title, own in families.items():
        body.append([f"*{title}*", *("" for _ in (*shown, *shown))])
        for method in own:
            cells = [_by_seed(matching(method.rows, {ask.factor: data}), late) for data in shown]
            good = [[r["good"] for r in matching(method.rows, {ask.factor: data})] for data in shown]
            if any(cells):
                values = [(list(cell.values()), own) for cell, own in zip(cells, good, strict=True)]
                body.append(
                    [method.name, *(said for w1, own in values for said in (_said(w1, 3), _said(own, 2)))]
                )
    head = [f"{ask.label(data)}: {name}" for data in shown for name in ("W1", "good")]
    return ["method", *head], body


def _modes(arms: Sequence[Method], late: Mapping[str, float], ask: Asked) -> Table | None:
    told = ask.content["modes"]
    shown = ask.found([row for arm in arms for row in arm.rows])
    columns = [(data, response) for data in shown for response in told["responses"]]
    body = []
    for arm in arms:
        cells = []
        for data, response in columns:
            own = matching(arm.rows, {ask.factor: data})
            values = (
                list(_by_seed(own, late).values()) if response == "w1" else [row[response] for row in own]
            )
            cells.append(_said(values, 1 if response in distance_figures.COUNTS else 2))
        body.append([arm.name, *cells])
    head = ["arm", *(f"{ask.label(data)}: {told['responses'][response]}" for data, response in columns)]
    return (head, body) if body else None


def _design(study: Study, stored: Sequence[Row]) -> list[str]:
    lost = sum(row["verdict"] == "diverged" for row in stored)
    return [
        f"{lost} of {len(stored)} games diverged to numbers that are not finite.",
        f"Arms: `{' '.join(study.protocol.arm)}` of `scripts/lab.py` and their own words, in"
        f" `conf/study/{study.name}.yaml`.",
    ]  # fmt: skip
