"""The sections of a report on trained codecs: verdicts, what a distortion does and what tricks add."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gcn.report.paper import named
from gcn.study import answer, figures
from gcn.study import figures_diagnostics as looked
from gcn.study.contrasts import Asked, losses, questions
from gcn.study.design import Study
from gcn.study.figures_share import share
from gcn.study.pages import Block, Table, effect_tables
from gcn.study.predictions import predictions
from gcn.study.statistics import ENOUGH, LEVEL, Row, matching
from gcn.study.table import RESPONSES

TITLES = {response.name: response.title for response in RESPONSES}
CAPTIONS = {
    "share": "Each dot is a run: realism at the end against the adversary's share, |∇adv| / (|∇adv| + |∇distortion|)"
    " at x̂, median over the second half. Beside mse that distortion gradient is dominated by the residual x − x̂,"
    " most of which no decoder can remove at these bits; a share of 1 is a run without a distortion. ρ is Spearman's"
    " correlation over the runs left of the dotted line, without controls.",
    "verdicts": "Verdicts over the weight of mse; numbers of runs above the bars.",
    "heat": "Final SWD over weight and learning rate; a letter for each run: stable, oscillating, collapsed, diverged.",
    "h1": "H1: mse=1 against mse=0, without any trick. Filled: significant after Holm's correction. Beyond"
    " measurement: the ratio or its interval spans more than a factor of 100.",
    "ladder_swd": "Final SWD against the weight of mse. Dots: runs; lines: medians.",
    "ladder_jitter": "How far fixed reconstructions move between validations.",
    "ladder_logit_gap": "D's separation of images and reconstructions.",
    "ladder_share": "The adversary's share of G's gradient at x̂.",
    "curves": "Sliced Wasserstein distance over the updates, seed 0.",
    "tricks": "Each trick against none, without a distortion and beside mse=1. Filled: significant after Holm's"
    " correction.",
    "eigenvalues": "Ritz values of the game's Jacobian at the end; filled: residual below 5 %. Away from an"
    " equilibrium they say how the field bends, and prove nothing about convergence.",
    "crops": "The same crops from the same bits, seed 0: x, before the training, and at the end of each arm.",
}


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
        return [(named(path, "png"), CAPTIONS[path.name]) for path in paths if path is not None]

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
            "Each loss without a trick",
            [
                "Medians over seeds: runs judged stable; SWD at the end over that at the start; change of PSNR."
                + (" The start is the untrained codec." if study.protocol.joint else "")
            ],
            answer.at_a_glance(rows, points, ask),
        ),
        Block(
            "H1 and H2 on the final SWD",
            [
                "H1: the ratio of final SWD with mse=1 to that with mse=0. H2: the effect of r1 beside mse=1 over"
                " its effect without a distortion. 95 % intervals; ● significant (Holm) within its table of all"
                " responses below."
            ],
            answer.of_each_loss(asked),
        ),
        Block(
            "Verdicts",
            ["Stable runs; for the others the verdict and the median update that it dates from."],
            _verdicts(rows, ask),
            drawn(
                figures.verdicts(rows, folder / "verdicts", ask), figures.heat_map(rows, folder / "heat", ask)
            ),
        ),
        Block(
            "What a distortion does",
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
            "What tricks add", [], None, drawn(figures.tricks(asked, folder / "tricks", ("jitter", "swd")))
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
        Block("Design", [*_design(study, rows, ask), *left_out]),
        Block("Responses", [f"{r.title}: {r.help}." for r in RESPONSES]),
        Block("Limits", [*ask.content["limits"], *_paired(rows)]),
        *effect_tables(asked, TITLES),
    ]


def _theory(rows: Sequence[Row], looks: Sequence[Any], ask: Asked) -> list[Block]:
    found = [tuple(prediction) for prediction in predictions(rows, looks, ask)]
    about = "The game of two numbers (docs/theory.md) beside these runs."
    head = ("theory", "measured", "what follows")
    return [Block("Theory beside measurement", [about], (head, found))] if found else []


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
            said.append(f"Median of final SWD over that at the start, {ask.label(heat)}: {listed}.")
    if found:
        each = "; ".join(
            f"{answer.number(c.rho)} for {ask.cell(c.loss, c.heat)}, {c.runs} runs" for c in found
        )
        said.append(
            "Spearman's ρ of the adversary's share and that ratio, of runs with a share below"
            f" {answer.WEAK:g}, where there are at least 15: {each}. So it depends on loss and setting,"
            " and the first figure shows one loss."
        )  # fmt: skip
    return said


def _paired(rows: Sequence[Row]) -> list[str]:
    """Sentence about how closely SWD follows PSNR."""
    both = [(row["swd"], row["psnr_loss"]) for row in rows]
    pairs = [(swd, -lost) for swd, lost in both if None not in (swd, lost) and math.isfinite(swd + lost)]
    if len(pairs) < 10:
        return []
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    return [
        f"Final SWD and final PSNR go together (Spearman's ρ = {answer.number(rho)} over {len(pairs)} runs): SWD"
        " compares the same places of x and x̂ and is no independent witness of realism."
    ]


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


def _design(study: Study, rows: Sequence[Row], ask: Asked) -> list[str]:
    protocol = study.protocol
    verdicts = Counter(str(row["verdict"]) for row in rows)
    counted = ", ".join(f"{number} {name}" for name, number in verdicts.most_common())
    seconds = [row["seconds"] for row in rows if row["seconds"] and math.isfinite(row["seconds"])]
    whole = sum(row["steps"] >= protocol.updates for row in rows)
    seeds = {
        trick: len({r["seed"] for r in matching(rows, {**ask.plain, "trick": trick})})
        for trick in dict.fromkeys(str(r["trick"]) for r in rows)
    }
    frozen = (
        "One codec for each seed is trained for rate and distortion; encoder and entropy model are then frozen, so"
        " all arms of a seed start from the same weights, see the same crops and have the same bitstream."
    )
    joint = "Every arm trains the whole codec from its first weights, which are those of its seed, on the seed's crops."
    codec = f"Codec: `{' '.join(protocol.codec)}`. " if protocol.codec else ""
    shares = {
        heat: answer.median(matching(rows, {**ask.plain, "mse": "1", ask.factor: heat}), "share")
        for heat in ask.settings
    }
    said = [f"{100 * v:.0f} % ({ask.label(heat)})" for heat, v in shares.items() if math.isfinite(v)]
    return [
        f"{len(rows)} of {len(study.planned())} planned runs are counted, {whole} of them of {protocol.updates}"
        f" generator updates, the others ended by their divergence: {counted}. {sum(seconds) / 3600:.1f} hours on"
        " single cores.",
        joint if protocol.joint else frozen,
        f"{codec}Arms: `{' '.join(protocol.arm)}` and their own words.",
        f"Effects are paired by seed ({', '.join(f'{t}: {n}' for t, n in seeds.items())}); a contrast is significant"
        f" (Holm) with at least {ENOUGH} seeds and p < .05 after Holm's correction over its whole table. ×: a ratio."
        f" A first place among 72 contrasts with 5 seeds takes an effect of {_detectable(72, 5):.1f} standard"
        " deviations over seeds.",
        "Under Adam a weight also shrinks the adversary's share of G's step: its median at mse=1 is"
        f" {' and '.join(said) or 'not known'}.",
    ]


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
                f"Not counted: {len(own)} runs with {factor}={level}. {reason} Stable are {answer.listed(good)}."
            )
    return said


def _detectable(contrasts: int, seeds: int) -> float:
    """The effect over its deviation that Student's test needs for the first place in Holm's order."""
    return float(stats.t.isf((1 - LEVEL) / contrasts / 2, seeds - 1)) / math.sqrt(seeds)
