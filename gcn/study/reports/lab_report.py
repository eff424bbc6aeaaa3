"""The sections of a report on games in the lab: means of what was measured, and contrasts paired by seed."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.lab.intervals import interval
from gcn.report.paper import named
from gcn.study.design import Study, scan_scores
from gcn.study.reports import lab_figures
from gcn.study.reports.contrasts import ALL, Asked, Question, losses, questions
from gcn.study.reports.pages import Block, Table, effect_tables
from gcn.study.reports.phrases import filled
from gcn.study.reports.statistics import ENOUGH, Row, matching


def blocks(
    study: Study,
    ask: Asked,
    stored: Sequence[Row],
    points: Mapping[str, Any],
    looks: Sequence[Any],
    folder: Path,
) -> list[Block]:
    """The sections, with their figures in ``folder``.

    Args:
        study: whose runs these are.
        ask: its questions.
        stored: rows of its table.
        points: curves of the runs that have some.
        looks: pictures of the first games of some arms.
        folder: of the figures.
    """
    rows = [row for row in stored if row["name"] not in study.scan]
    titles = {name: told["title"] for name, told in ask.content["responses"].items()}
    asked = questions(rows, ask)
    drawn = [
        (
            lab_figures.means(rows, folder / "means", ask, study.factors[ask.content["within"]]),
            "Means and 95 % intervals over seeds.",
        ),
        (
            lab_figures.curves(rows, points, folder / "curves", ask),
            "Share of good samples over the updates, mean over seeds, without the start.",
        ),
        *(
            (
                lab_figures.pictures(rows, looks, setting, folder / f"pictures_{setting}", ask),
                f"{ask.label(setting)}: the game of the first seed at the end. Discs: data; dots: samples; colours: D's"
                " logit about its middle.",
            )
            for setting in ask.settings
        ),
    ]
    figures = [(named(path, "png"), caption) for path, caption in drawn if path is not None]
    return [
        Block("The answer", _answer(asked, ask), None, figures[:1]),
        Block("What this study may not say", study.cannot_say),
        Block(
            "Intervals that exclude 0",
            ["95 % intervals of differences paired by seed, over data, losses and stabilisers; ●: of these significant"
             f" after Holm's correction over its table, with at least {ENOUGH} seeds."],
            _tallies(asked, ask, titles),
        ),
        *(Block(f"Means: {ask.label(s)}", *_means(rows, s, study, ask)) for s in ask.found(rows)),
        Block("A closer look", [], None, figures[1:]),
        Block("Design", [*ask.content["design"], *_design(study, rows, stored)]),
        Block("Levels that the scan decided", *_scanned(study, ask, stored)),
        Block("Responses", [f"{told['title']}: {told['help']}." for told in ask.content["responses"].values()]),
        Block("Limits", ask.content["limits"]),
        *effect_tables(asked, titles),
    ]  # fmt: skip


MEANS = "Mean over seeds ± half of its 95 % interval (Student's t)."


def _answer(asked: Sequence[Question], ask: Asked) -> list[str]:
    def tally(kind: str, response: str, of: Sequence[str] = ()) -> str:
        return _tally(asked, kind, response, of)[0]

    if not asked:
        return []
    return [filled(text, tally=tally) for text in ask.content["answer"]]


def _tally(asked: Sequence[Question], kind: str, response: str, of: Sequence[str] = ()) -> tuple[str, int]:
    """``+22 −0 of 30``: intervals above and below 0, without those of all losses together; how many are significant."""
    own = [e for q in asked if q.kind == kind for e in q.effects if e.response == response and e.seeds]
    own = [e for e in own if not e.name.startswith(ALL) and (not of or e.name.split(" (")[0] in of)]
    up, down = sum(e.low > 0 for e in own), sum(e.high < 0 for e in own)
    return f"+{up} −{down} of {len(own)}", sum(e.significant for e in own)


def _tallies(asked: Sequence[Question], ask: Asked, titles: Mapping[str, str]) -> Table | None:
    body = []
    for kind, text in ask.content["kinds"].items():
        if any(q.kind == kind for q in asked):
            found = [_tally(asked, kind, response) for response in ask.decide]
            body.append([text, *(f"{said}{f' (● {n})' if n else ''}" for said, n in found)])
    return (["difference", *(titles[response] for response in ask.decide)], body) if body else None


def _means(rows: Sequence[Row], setting: str, study: Study, ask: Asked) -> tuple[list[str], Table]:
    """A table of the losses that have several arms in a group, and a sentence for each of the others."""
    own, within = matching(rows, {ask.factor: setting}), ask.content["within"]
    responses = ask.content["responses"]
    several = lab_figures.several_arms(own, within)
    columns, body, said = [(loss, r) for loss in several for r in ask.decide], [], [MEANS]
    for name, levels in ask.content["groups"].items():
        group = matching(own, levels)
        for level in study.factors[within]:
            arm = matching(group, {within: level})
            if arm:
                cells = [_mean(matching(arm, {"loss": loss}), r, ask) for loss, r in columns]
                body.append([f"{name}, {ask.label(level)}", *cells])
        for loss in losses(group):
            if loss not in several:
                arm = matching(group, {"loss": loss})
                found = [f"{responses[r]['title']} {_mean(arm, r, ask)}" for r in ask.decide]
                said.append(f"{name}, {ask.label(loss)}: {', '.join(found)}.")
    return said, (["arm", *(f"{loss} {responses[r]['title']}" for loss, r in columns)], body)


def _mean(cell: Sequence[Row], response: str, ask: Asked) -> str:
    values = [row[response] for row in cell if row[response] is not None and math.isfinite(row[response])]
    if not values:
        return ""
    found, digits = interval(values), ask.content["responses"][response]["digits"]
    return f"{found.mean:.{digits}f}" + (f" ± {found.half:.{digits}f}" if math.isfinite(found.half) else "")


def _design(study: Study, rows: Sequence[Row], stored: Sequence[Row]) -> list[str]:
    verdicts = ", ".join(
        f"{n} {name}" for name, n in Counter(str(row["verdict"]) for row in rows).most_common()
    )
    seconds = [row["seconds"] for row in stored if row["seconds"] and math.isfinite(row["seconds"])]
    planned = sum(arm.seeds for arm in study.planned())
    return [
        f"{len(rows)} of {planned} planned games of {study.protocol.updates} updates are counted: {verdicts}. With"
        f" {len(stored) - len(rows)} of the scan they took {sum(seconds) / 60:.0f} minutes on single cores.",
        f"Arms: `{' '.join(study.protocol.arm)}` of `scripts/lab.py` and their own words.",
    ]


def _scanned(study: Study, ask: Asked, stored: Sequence[Row]) -> tuple[list[str], Table | None]:
    """The scan's scores of each level, and the level that was taken."""
    body = []
    for factor, rule in study.choices.items():
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in stored:
            if row["name"] in study.scans[factor]:
                groups.setdefault(tuple(str(row[name]) for name in rule["same"]), []).append(row)
        for same, own in groups.items():
            scores = scan_scores(rule, factor, own)
            taken = max(scores, key=scores.__getitem__)
            ends = sorted(scores, key=float)
            edge = " (end of the range)" if taken in (ends[0], ends[-1]) else ""
            listed = ", ".join(f"{level}: {scores[level]:.2f}" for level in ends)
            body.append([factor, ", ".join(ask.label(level) for level in same), listed, f"{taken}{edge}"])
    if not body:
        return [], None
    rules = "; ".join(f"{f} by {' · '.join(rule['score'])}" for f, rule in study.choices.items())
    said = f"Means over the scan's seeds, of as many updates as the study: {rules}. The best level is taken."
    return [said], (["factor", "for", "score of each level", "taken"], body)
