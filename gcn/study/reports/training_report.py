"""The sections of a report on trained codecs: verdicts, what a distortion does and what tricks add."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gcn.report.paper import named
from gcn.study.design import Study
from gcn.study.reports import answer, figures
from gcn.study.reports import figures_diagnostics as looked
from gcn.study.reports.contrasts import Asked, Question, losses, questions
from gcn.study.reports.figures_share import share
from gcn.study.reports.pages import Block, Table, effect_tables
from gcn.study.reports.predictions import predictions
from gcn.study.reports.statistics import ENOUGH, LEVEL, Row, matching
from gcn.study.table import RESPONSES

TITLES = {response.name: response.title for response in RESPONSES}


def blocks(
    study: Study, ask: Asked, stored: Sequence[Row], points: answer.Points, looks: Sequence[Any], folder: Path
) -> list[Block]:
    """The sections, with their figures in ``folder``.

    Args:
        study: whose runs these are.
        ask: its questions.
        stored: rows of its table.
        points: the runs' curves.
        looks: diagnostics of some runs.
        folder: of the figures.
    """
    left_out = _left_out(study, stored, ask)
    rows = answer.counted(stored, study.withdrawn)
    asked = questions(rows, ask)
    h1 = [q for q in asked if q.kind == "H1"]
    found = answer.correlations(rows, points, ask)

    def drawn(*paths: Path | None) -> list[tuple[Path, str]]:
        return [(named(path, "png"), ask.say("captions", path.name)) for path in paths if path is not None]

    def section(key: str, **names: Any) -> tuple[str, list[str]]:
        return ask.say("sections", key, "title"), [ask.say("sections", key, "about", **names)]

    return [
        Block("Superseded", [ask.content["superseded"]] if "superseded" in ask.content else []),
        Block(
            "The answer",
            answer.sentences(rows, asked, points, ask),
            None,
            drawn(share(rows, points, found, folder / "share", ask)),
        ),
        Block("What this study may not say", study.cannot_say),
        Block(
            *section("glance", joint=study.protocol.joint),
            answer.at_a_glance(rows, points, ask),
        ),
        Block(
            *section("each_loss"),
            answer.of_each_loss(asked),
        ),
        Block(
            *section("verdicts"),
            _verdicts(rows, ask),
            drawn(
                figures.verdicts(rows, folder / "verdicts", ask), figures.heat_map(rows, folder / "heat", ask)
            ),
        ),
        Block(
            ask.say("sections", "realism", "title"),
            _realism(rows, points, found, ask),
            None,
            drawn(
                *(figures.forest(q, folder / "h1") for q in h1),
                *(
                    figures.ladder(rows, folder / f"ladder_{r}", r, ask)
                    for r in ("swd", "jitter", "logit_gap", "share")
                ),
                figures.curves(points, rows, folder / "curves", ask),
            ),
        ),
        Block(
            ask.say("sections", "tricks", "title"),
            [],
            None,
            drawn(figures.tricks(asked, folder / "tricks", ("jitter", "swd"))),
        ),
        *_theory(rows, looks, ask),
        Block(
            "A closer look",
            [],
            None,
            drawn(
                looked.eigenvalues(looks, rows, folder / "eigenvalues", ask),
                looked.crops(looks, rows, folder / "crops", ask),
            ),
        ),
        Block("Design", [*_design(study, rows, asked, ask), *left_out]),
        Block("Responses", [f"{r.title}: {r.help}." for r in RESPONSES]),
        Block("Limits", [*ask.content["limits"], *_paired(rows, ask)]),
        *effect_tables(asked, TITLES),
    ]


def _theory(rows: Sequence[Row], looks: Sequence[Any], ask: Asked) -> list[Block]:
    found = [tuple(prediction) for prediction in predictions(rows, looks, ask)]
    head = ("theory", "measured", "what follows")
    return [Block("Theory beside measurement", [ask.say("theory", "about")], (head, found))] if found else []


def _realism(
    rows: Sequence[Row], points: answer.Points, found: Sequence[answer.Correlation], ask: Asked
) -> list[str]:
    """Final SWD over that at the start for each weight; correlations with the adversary's share."""
    said = []
    for heat in ask.settings:
        by_weight: dict[str, list[float]] = {}
        for row in matching(rows, {**ask.plain, ask.factor: heat}):
            by_weight.setdefault(str(row["mse"]), []).append(answer.relative_swd(row, points))
        medians = {w: float(np.nanmedian(v)) for w, v in by_weight.items() if any(map(math.isfinite, v))}
        if len(medians) > 2:
            listed = ", ".join(f"×{medians[w]:.2f} (mse={w})" for w in sorted(medians, key=float))
            said.append(ask.say("sections", "realism", "medians", setting=ask.label(heat), medians=listed))
    if found:
        each = "; ".join(
            ask.say(
                "sections", "realism", "correlation",
                rho=answer.number(c.rho), cell=ask.cell(c.loss, c.heat), runs=c.runs,
            )
            for c in found
        )  # fmt: skip
        said.append(ask.say("sections", "realism", "correlations", weak=answer.WEAK, each=each))
    return said


def _paired(rows: Sequence[Row], ask: Asked) -> list[str]:
    """Sentence about how closely SWD follows PSNR."""
    both = [(row["swd"], row["psnr_loss"]) for row in rows]
    pairs = [(swd, -lost) for swd, lost in both if None not in (swd, lost) and math.isfinite(swd + lost)]
    if len(pairs) < 10:
        return []
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    return [ask.say("limits", "paired", rho=answer.number(rho), runs=len(pairs))]


def _verdicts(rows: Sequence[Row], ask: Asked) -> Table:
    own = matching(rows, {"control": "none"})
    kinds = dict.fromkeys((str(r["trick"]), str(r["pairing"])) for r in own)
    body = []
    for heat in ask.settings:
        for loss in losses(own):
            for trick, pairing in kinds:
                arm = {"loss": loss, ask.factor: heat, "trick": trick, "pairing": pairing}
                cells = [_counted(matching(own, {**arm, "mse": mse})) for mse in "01"]
                if any(cell != "–" for cell in cells):
                    name = trick if pairing == "none" else pairing
                    body.append([ask.cell(loss, heat), "no trick" if name == "none" else name, *cells])
    return ["loss (setting)", "trick", "mse=0", "mse=1"], body


def _counted(cell: Sequence[Row]) -> str:
    if not cell:
        return "–"
    bad = [row for row in cell if row["verdict"] != "stable"]
    text = f"{len(cell) - len(bad)}/{len(cell)}"
    if not bad:
        return text
    kinds = ", ".join(f"{number} {name}" for name, number in Counter(str(r["verdict"]) for r in bad).items())
    steps = [row["verdict_step"] for row in bad if row["verdict_step"] is not None]
    return f"{text} ({kinds}{f'; {np.median(steps):.0f}' if steps else ''})"


def _design(study: Study, rows: Sequence[Row], asked: Sequence[Question], ask: Asked) -> list[str]:
    protocol = study.protocol
    verdicts = Counter(str(row["verdict"]) for row in rows)
    seconds = [row["seconds"] for row in rows if row["seconds"] and math.isfinite(row["seconds"])]
    seeds = {
        trick: len({r["seed"] for r in matching(rows, {**ask.plain, "trick": trick})})
        for trick in dict.fromkeys(str(r["trick"]) for r in rows)
    }
    shares = {
        heat: answer.median(matching(rows, {**ask.plain, "mse": "1", ask.factor: heat}), "share")
        for heat in ask.settings
    }
    known = [f"{100 * v:.0f} % ({ask.label(heat)})" for heat, v in shares.items() if math.isfinite(v)]
    return [
        ask.say(
            "design", "runs",
            counted=len(rows), planned=len(study.planned()), updates=protocol.updates,
            whole=sum(row["steps"] >= protocol.updates for row in rows),
            verdicts=", ".join(f"{number} {name}" for name, number in verdicts.most_common()),
            hours=f"{sum(seconds) / 3600:.1f}",
        ),
        ask.say("design", "joint" if protocol.joint else "frozen"),
        ask.say("design", "words", codec=" ".join(protocol.codec), arm=" ".join(protocol.arm)),
        ask.say(
            "design", "effects",
            seeds=", ".join(f"{trick}: {number}" for trick, number in seeds.items()), enough=ENOUGH, **_power(asked),
        ),
        ask.say("design", "share", shares=" and ".join(known)),
    ]  # fmt: skip


def _power(asked: Sequence[Question]) -> dict[str, Any]:
    """Size of the largest table of contrasts, its seeds, and the effect that a first place in it takes."""
    largest = max(asked, key=lambda question: len(question.effects), default=None)
    contrasts = 0 if largest is None else len(largest.effects)
    seeds = 0 if largest is None else max((effect.seeds for effect in largest.effects), default=0)
    enough = contrasts if seeds >= ENOUGH else 0
    effect = f"{_detectable(contrasts, seeds):.1f}" if enough else ""
    return {"contrasts": enough, "most_seeds": seeds, "detectable": effect}


def _left_out(study: Study, stored: Sequence[Row], ask: Asked) -> list[str]:
    """Sentences about the runs that are not counted, with the reasons."""
    said = []
    for (factor, level), reason in study.withdrawn.items():
        own = [row for row in stored if row.get(factor) == level]
        settings = {heat: matching(own, {ask.factor: heat}) for heat in ask.settings}
        good = [
            f"{sum(r['verdict'] == 'stable' for r in found)} of {len(found)} at {ask.label(heat)}"
            for heat, found in settings.items()
            if found
        ]
        if good:
            said.append(
                ask.say(
                    "design", "not_counted",
                    runs=len(own), level=f"{factor}={level}", reason=reason, stable=answer.listed(good),
                )
            )  # fmt: skip
    return said


def _detectable(contrasts: int, seeds: int) -> float:
    """The effect over its deviation that Student's test needs for the first place in Holm's order."""
    return float(stats.t.isf((1 - LEVEL) / contrasts / 2, seeds - 1)) / math.sqrt(seeds)
