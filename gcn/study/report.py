"""The report of a study, generated from its table: Markdown, a self-contained page, figures. No number is typed in."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gcn.files.atomic import make_folder, write_text
from gcn.report import html
from gcn.report.paper import named
from gcn.study import answer, closer, figures
from gcn.study import figures_closer as looked
from gcn.study.contrasts import HEATS, PLAIN, losses, questions
from gcn.study.design import Study
from gcn.study.statistics import ENOUGH, Effect, Row, matching
from gcn.study.table import RESPONSES, read, read_curves

TITLES = {response.name: response.title for response in RESPONSES}
QUESTION = (
    "Does a distortion loss (pixel-wise MSE) stabilise the game between a decoder and a discriminator (H1), and does it"
    " make gradient penalties, instance noise and relativistic losses superfluous (H2)?"
)
LIMITS = (
    "Small networks on small crops for few updates; what grows slowly is not seen.",
    "Where the decoder alone plays, joint training is another game, and the other way round.",
    "Verdict thresholds were set before these runs, on simulations and synthetic curves.",
    "Seeds share data: an interval is about weights, crops and noise, not about other photographs.",
    "Tricks have one weight each, the customary one; the best weight may be another in each setting.",
    "Five seeds: Fisher's test of two shares cannot pass the correction in a single cell, whatever they are.",
)
CAPTIONS = {
    "verdicts": "Verdicts over the weight of mse; numbers of runs above the bars.",
    "heat": "Final SWD over weight and step size; a letter for each run: stable, oscillating, collapsed, diverged.",
    "h1": "H1: mse=1 against mse=0, without any trick. Filled: resolved after Holm's correction.",
    "ladder_swd": "Realism at the end against the weight of mse. Dots: runs; lines: medians.",
    "ladder_jitter": "How far fixed reconstructions move between validations.",
    "ladder_logit_gap": "D's separation of images and reconstructions.",
    "ladder_share": "The adversary's share of G's gradient at x_hat: what is left of the game.",
    "curves": "Sliced Wasserstein distance over the updates, seed 0.",
    "tricks": "Each trick against none, without a distortion and beside mse=1. Filled: resolved.",
    "eigenvalues": "Ritz values of the game's Jacobian at the end; filled: residual below 5 %. Away from an equilibrium"
    " they say how the field bends, and prove nothing about convergence.",
    "crops": "The same crops from the same bits, seed 0: x, before the game, and at the end of each arm.",
}
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class Block(NamedTuple):
    """A section: sentences, then a table, then figures with their captions; ``folded`` on the page."""

    title: str
    sentences: Sequence[str] = ()
    table: Table | None = None
    figures: Sequence[tuple[Path, str]] = ()
    folded: bool = False


def write(study: Study, table: Path, folder: Path) -> list[Path]:
    """Write ``README.md``, ``index.html`` and figures from the table in ``table`` into ``folder``."""
    make_folder(folder)
    blocks = _blocks(study, read(table), read_curves(table), closer.read(table), folder)
    files = [_markdown(study, blocks, folder / "README.md"), _page(study, blocks, folder / "index.html")]
    return [*files, *(path for block in blocks for path, _ in block.figures)]


def _blocks(
    study: Study, rows: Sequence[Row], points: Mapping[str, Any], looks: Sequence[Any], folder: Path
) -> list[Block]:
    asked = questions(rows)
    h1 = next(q for q in asked if q.kind == "H1")

    def drawn(*found: Path | None) -> list[tuple[Path, str]]:
        return [(named(path, "png"), CAPTIONS[path.name]) for path in found if path is not None]

    theory = answer.predictions(rows, looks)
    blocks = [
        Block("The answer", answer.sentences(rows, asked)),
        Block("H1 and H2 for each loss", [], answer.of_each_loss(asked)),
        Block(
            "Verdicts",
            ["Runs that are stable; for the others the verdict and the median update that it dates from."],
            _verdicts(rows),
            drawn(figures.verdicts(rows, folder / "verdicts"), figures.heat_map(rows, folder / "heat")),
        ),
        Block(
            "What a distortion does",
            answer.realism(rows, points),
            None,
            drawn(
                figures.forest(h1, folder / "h1"),
                *(
                    figures.ladder(rows, folder / f"ladder_{r}", r)
                    for r in ("swd", "jitter", "logit_gap", "share")
                ),
                figures.curves(points, rows, folder / "curves"),
            ),
        ),
        Block(
            "What tricks add", [], None, drawn(figures.tricks(asked, folder / "tricks", ("jitter", "swd")))
        ),
        Block(
            "Theory against measurement", [], (("two scalars", "measured", ""), theory) if theory else None
        ),
        Block(
            "A closer look",
            [],
            None,
            drawn(
                looked.eigenvalues(looks, rows, folder / "eigenvalues"),
                looked.crops(looks, rows, folder / "crops"),
            ),
        ),
        Block("Design", _design(study, rows)),
        Block("Responses", [f"{r.title}: {r.help}." for r in RESPONSES]),
        Block("Limits", LIMITS),
        *(Block(f"Table. {q.title}", [q.about], _table(q.effects), folded=True) for q in asked),
    ]
    return [block for block in blocks if block.sentences or block.table or block.figures]


def _verdicts(rows: Sequence[Row]) -> Table:
    own = matching(rows, {"pairing": "none", "control": "none"})
    columns = [(mse, trick) for mse in "01" for trick in dict.fromkeys(str(r["trick"]) for r in own)]
    body = []
    for heat in HEATS:
        for loss in losses(own):
            cells = [
                matching(own, {"loss": loss, "heat": heat, "mse": mse, "trick": trick})
                for mse, trick in columns
            ]
            body.append([f"{loss}, {heat}", *map(_counted, cells)])
    return ["loss, step size", *(f"mse={m}, {'no trick' if t == 'none' else t}" for m, t in columns)], body


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
        "One codec for each seed is trained for rate and distortion; encoder and entropy model are then frozen, so all"
        " arms of a seed start from the same weights, see the same crops and have the same bitstream."
    )
    joint = "Every arm trains the whole codec from its first weights, which are those of its seed, on the seed's crops."
    codec = f"Codec: `{' '.join(protocol.codec)}`. " if protocol.codec else ""
    shares = {
        heat: [
            r["share"] for r in matching(rows, {**PLAIN, "mse": "1", "heat": heat}) if r["share"] is not None
        ]
        for heat in HEATS
    }
    said = [f"{100 * float(np.median(v)):.0f} % ({heat})" for heat, v in shares.items() if v]
    return [
        f"{len(rows)} of {len(study.arms)} planned runs, {whole} of them of {protocol.updates} generator updates, the"
        f" others ended by their divergence: {counted}. {sum(seconds) / 3600:.1f} hours on single cores.",
        joint if protocol.joint else frozen,
        f"{codec}Arms: `{' '.join(protocol.arm)}` and their own words.",
        f"Effects are paired by seed ({', '.join(f'{t}: {n}' for t, n in seeds.items())}); a contrast counts as"
        f" resolved with at least {ENOUGH} seeds and p < .05 after Holm's correction over its whole table. ×: a ratio.",
        "Under Adam a weight also shrinks the adversary's share of G's step: its median at mse=1 is"
        f" {' and '.join(said) or 'not known'}.",
    ]


def _table(effects: Sequence[Effect]) -> Table:
    responses = list(dict.fromkeys(e.response for e in effects))
    names = list(dict.fromkeys(e.name for e in effects))
    body = []
    for name in names:
        own = {e.response: e for e in effects if e.name == name}
        cells = [f"{own[r].text}{' ●' if own[r].resolved else ''}" for r in responses]
        body.append([name, str(max(e.seeds for e in own.values())), *cells])
    return ["loss, step size", "seeds", *(TITLES[r] for r in responses)], body


def _markdown(study: Study, blocks: Sequence[Block], file: Path) -> Path:
    lines = [f"# {study.title}", "", QUESTION, ""]
    for block in blocks:
        lines += [f"## {block.title}", "", *(f"* {sentence}" for sentence in block.sentences), ""]
        if block.table:
            head, body = block.table
            bars = [[cell.replace("|", "\\|") for cell in row] for row in (head, *body)]
            lines += [f"| {' | '.join(bars[0])} |", "|---" * len(head) + "|"]
            lines += [*(f"| {' | '.join(row)} |" for row in bars[1:]), ""]
        for path, caption in block.figures:
            lines += [f"![{caption}]({path.name})", "", f"*{caption}*", ""]
    lines.append("●: resolved.")
    write_text(file, "\n".join(lines).replace("\n\n\n", "\n\n") + "\n")
    return file


def _page(study: Study, blocks: Sequence[Block], file: Path) -> Path:
    parts = [f"<p>{html.escape(QUESTION)}</p>"]
    for block in blocks:
        inside = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in block.sentences)
        content = [f"<ul>{inside}</ul>"] if inside else []
        if block.table:
            content.append(html.table(*block.table))
        content += [html.figure(path, caption) for path, caption in block.figures]
        title = html.escape(block.title)
        if block.folded:
            parts.append(f"<details><summary>{title}</summary>{''.join(content)}</details>")
        else:
            parts += [f"<h2>{title}</h2>", *content]
    return html.write(study.title, [*parts, html.small("●: resolved.")], file)
