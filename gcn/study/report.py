"""The report of a study, generated from its table: Markdown, a self-contained page, figures. No number is typed in."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gcn.files.atomic import make_folder
from gcn.report.paper import named
from gcn.study import answer, closer, figures
from gcn.study import figures_closer as looked
from gcn.study.contrasts import HEATS, PLAIN, Labels, losses, questions, setting
from gcn.study.design import Study
from gcn.study.figures_share import share
from gcn.study.pages import Block, Table, markdown, page
from gcn.study.predictions import predictions
from gcn.study.statistics import ENOUGH, LEVEL, Effect, Row, matching
from gcn.study.table import RESPONSES, read, read_curves

TITLES = {response.name: response.title for response in RESPONSES}
QUESTION = (
    "Does a distortion loss (pixel-wise MSE) stabilise the game between a decoder and a discriminator (H1), and does"
    " it make gradient penalties, instance noise and relativistic losses superfluous (H2)?"
)
LIMITS = (
    "Small networks on small crops for few updates; what grows slowly is not seen.",
    "Fine-tuning a decoder alone and joint training are different games; results of one need not hold in the other.",
    "Verdict thresholds were set before these runs, on simulations and synthetic curves. A collapse is a final SWD"
    " of more than twice the best one: at a lower threshold more of the runs without a distortion would be called"
    " collapsed.",
    "Seeds share data: an interval is about weights, crops and noise, not about other photographs.",
    "Tricks have one weight each, the customary one; the best weight may be another in each setting.",
    "Five seeds: Fisher's test of two shares cannot pass the correction in a single cell, whatever they are.",
)
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


def write(study: Study, table: Path, folder: Path) -> list[Path]:
    """Write ``README.md``, ``index.html`` and figures from the table in ``table`` into ``folder``."""
    make_folder(folder)
    stored = read(table)
    blocks = _blocks(study, stored, read_curves(table), closer.read(table), folder)
    files = [
        markdown(study.title, QUESTION, blocks, folder / "README.md"),
        page(study.title, QUESTION, blocks, folder / "index.html"),
    ]
    return [*files, *(path for block in blocks for path, _ in block.figures)]


def _blocks(
    study: Study, stored: Sequence[Row], points: Mapping[str, Any], looks: Sequence[Any], folder: Path
) -> list[Block]:
    labels, left_out = study.labels, _left_out(study, stored)
    rows = answer.counted(stored, study.withdrawn)
    asked = questions(rows, labels)
    h1 = [q for q in asked if q.kind == "H1"]
    found = answer.correlations(rows, points)

    def drawn(*paths: Path | None) -> list[tuple[Path, str]]:
        return [(named(path, "png"), CAPTIONS[path.name]) for path in paths if path is not None]

    blocks = [
        Block(
            "The answer",
            answer.sentences(rows, asked, points, labels),
            None,
            drawn(share(rows, points, found, folder / "share", labels)),
        ),
        Block("What this study may not say", study.cannot_say),
        Block(
            "Each loss without a trick",
            [
                "Medians over seeds: runs judged stable; SWD at the end over that at the start; change of PSNR."
                + (" The start is the untrained codec." if study.protocol.joint else "")
            ],
            answer.at_a_glance(rows, points, labels),
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
            _verdicts(rows, labels),
            drawn(
                figures.verdicts(rows, folder / "verdicts", labels), figures.heat_map(rows, folder / "heat")
            ),
        ),
        Block(
            "What a distortion does",
            _realism(rows, points, found, labels),
            None,
            drawn(
                *(figures.forest(q, folder / "h1") for q in h1),
                *(
                    figures.ladder(rows, folder / f"ladder_{r}", r, labels)
                    for r in ("swd", "jitter", "logit_gap", "share")
                ),
                figures.curves(points, rows, folder / "curves", labels),
            ),
        ),
        Block(
            "What tricks add", [], None, drawn(figures.tricks(asked, folder / "tricks", ("jitter", "swd")))
        ),
        *_theory(rows, study, looks),
        Block(
            "A closer look",
            [],
            None,
            drawn(
                looked.eigenvalues(looks, rows, folder / "eigenvalues", labels),
                looked.crops(looks, rows, folder / "crops", labels),
            ),
        ),
        Block("Design", [*_design(study, rows), *left_out]),
        Block("Responses", [f"{r.title}: {r.help}." for r in RESPONSES]),
        Block("Limits", [*LIMITS, *_paired(rows)]),
        *(Block(f"Table. {q.title}", [q.about], _table(q.effects), folded=True) for q in asked),
    ]
    return [block for block in blocks if block.sentences or block.table or block.figures]


def _theory(rows: Sequence[Row], study: Study, looks: Sequence[Any]) -> list[Block]:
    found = [tuple(prediction) for prediction in predictions(rows, looks, study.labels)]
    about = "The game of two numbers (docs/theory.md) beside these runs."
    head = ("theory", "measured", "what follows")
    return [Block("Theory beside measurement", [about], (head, found))] if found else []


def _realism(
    rows: Sequence[Row], points: answer.Points, found: Sequence[answer.Correlation], labels: Labels
) -> list[str]:
    """Final SWD over that at the start for each weight; correlations with the adversary's share."""
    said = []
    for heat in HEATS:
        by_weight: dict[str, list[float]] = {}
        for row in matching(rows, {**PLAIN, "heat": heat}):
            by_weight.setdefault(str(row["mse"]), []).append(answer.relative_swd(row, points))
        medians = {w: float(np.nanmedian(v)) for w, v in by_weight.items() if any(map(math.isfinite, v))}
        if len(medians) > 2:
            listed = ", ".join(f"×{medians[w]:.2f} (mse={w})" for w in sorted(medians, key=float))
            said.append(f"Median of final SWD over that at the start, {labels.get(heat, heat)}: {listed}.")
    if found:
        each = "; ".join(
            f"{answer.number(c.rho)} for {setting(c.loss, c.heat, labels)}, {c.runs} runs" for c in found
        )
        said.append(
            "Spearman's ρ of the adversary's share and that ratio, of runs with a share below"
            f" {answer.WEAK:g}, where there are at least 15: {each}. So it depends on loss and setting,"
            " and the first figure shows one loss."
        )  # fmt: skip
    return said


def _paired(rows: Sequence[Row]) -> list[str]:
    """How closely SWD follows PSNR."""
    both = [(row["swd"], row["psnr_loss"]) for row in rows]
    pairs = [(swd, -lost) for swd, lost in both if None not in (swd, lost) and math.isfinite(swd + lost)]
    if len(pairs) < 10:
        return []
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    return [
        f"Final SWD and final PSNR go together (Spearman's ρ = {answer.number(rho)} over {len(pairs)} runs): SWD"
        " compares the same places of x and x̂ and is no independent witness of realism."
    ]


def _verdicts(rows: Sequence[Row], labels: Labels) -> Table:
    own = matching(rows, {"control": "none"})
    kinds = dict.fromkeys((str(r["trick"]), str(r["pairing"])) for r in own)
    body = []
    for heat in HEATS:
        for loss in losses(own):
            for trick, pairing in kinds:
                arm = {"loss": loss, "heat": heat, "trick": trick, "pairing": pairing}
                cells = [_counted(matching(own, {**arm, "mse": mse})) for mse in "01"]
                if any(cell != "–" for cell in cells):
                    name = trick if pairing == "none" else pairing
                    body.append([setting(loss, heat, labels), "no trick" if name == "none" else name, *cells])
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


def _design(study: Study, rows: Sequence[Row]) -> list[str]:
    protocol = study.protocol
    verdicts = Counter(str(row["verdict"]) for row in rows)
    counted = ", ".join(f"{number} {name}" for name, number in verdicts.most_common())
    seconds = [row["seconds"] for row in rows if row["seconds"] and math.isfinite(row["seconds"])]
    whole = sum(row["steps"] >= protocol.updates for row in rows)
    seeds = {
        trick: len({r["seed"] for r in matching(rows, {**PLAIN, "trick": trick})})
        for trick in dict.fromkeys(str(r["trick"]) for r in rows)
    }
    frozen = (
        "One codec for each seed is trained for rate and distortion; encoder and entropy model are then frozen, so"
        " all arms of a seed start from the same weights, see the same crops and have the same bitstream."
    )
    joint = "Every arm trains the whole codec from its first weights, which are those of its seed, on the seed's crops."
    codec = f"Codec: `{' '.join(protocol.codec)}`. " if protocol.codec else ""
    shares = {
        heat: answer.median(matching(rows, {**PLAIN, "mse": "1", "heat": heat}), "share") for heat in HEATS
    }
    said = [
        f"{100 * v:.0f} % ({study.labels.get(heat, heat)})" for heat, v in shares.items() if math.isfinite(v)
    ]
    planned = [arm for arm in study.arms if not study.withdrawn.keys() & arm.levels.items()]
    return [
        f"{len(rows)} of {len(planned)} planned runs are counted, {whole} of them of {protocol.updates} generator"
        f" updates, the others ended by their divergence: {counted}. {sum(seconds) / 3600:.1f} hours on single cores.",
        joint if protocol.joint else frozen,
        f"{codec}Arms: `{' '.join(protocol.arm)}` and their own words.",
        f"Effects are paired by seed ({', '.join(f'{t}: {n}' for t, n in seeds.items())}); a contrast is significant"
        f" (Holm) with at least {ENOUGH} seeds and p < .05 after Holm's correction over its whole table. ×: a ratio."
        f" A first place among 72 contrasts with 5 seeds takes an effect of {_detectable(72, 5):.1f} standard"
        " deviations over seeds.",
        "Under Adam a weight also shrinks the adversary's share of G's step: its median at mse=1 is"
        f" {' and '.join(said) or 'not known'}.",
    ]


def _left_out(study: Study, stored: Sequence[Row]) -> list[str]:
    """Which runs of the table are not counted, and why."""
    said = []
    for (factor, level), reason in study.withdrawn.items():
        own = [row for row in stored if row.get(factor) == level]
        settings = {heat: matching(own, {"heat": heat}) for heat in HEATS}
        good = [
            f"{sum(r['verdict'] == 'stable' for r in found)} of {len(found)} at {study.labels.get(heat, heat)}"
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


def _table(effects: Sequence[Effect]) -> Table:
    responses = list(dict.fromkeys(e.response for e in effects))
    names = list(dict.fromkeys(e.name for e in effects))
    body = []
    for name in names:
        own = {e.response: e for e in effects if e.name == name}
        cells = [f"{own[r].text}{' ●' if own[r].significant else ''}" for r in responses]
        body.append([name, str(max(e.seeds for e in own.values())), *cells])
    return ["loss (setting)", "seeds", *(TITLES[r] for r in responses)], body
