"""The report of a study, generated from its table: Markdown, a self-contained page, figures. No number is typed in."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.report import html
from gcn.report.paper import named
from gcn.study import figures
from gcn.study.contrasts import Question, questions
from gcn.study.design import Study
from gcn.study.statistics import ENOUGH, Effect, Row
from gcn.study.table import RESPONSES, read, read_curves

TITLES = {response.name: response.title for response in RESPONSES}
QUESTION = (
    "Does a distortion loss (pixel-wise MSE) stabilise the game between a decoder and a discriminator (H1), and does it"
    " make gradient penalties, instance noise and relativistic losses superfluous (H2)?"
)


def write(study: Study, table: Path, folder: Path) -> list[Path]:
    """Write ``README.md``, ``index.html`` and figures from the table in ``table`` into ``folder``."""
    rows, points = read(table), read_curves(table)
    folder.mkdir(parents=True, exist_ok=True)
    asked = questions(rows)
    drawn = _figures(rows, points, asked, folder)
    files = [_markdown(study, rows, asked, drawn, folder / "README.md")]
    files.append(_page(study, rows, asked, drawn, folder / "index.html"))
    return [*files, *(path for path, _ in drawn)]


def _figures(
    rows: Sequence[Row], points: Mapping[str, Any], asked: Sequence[Question], folder: Path
) -> list[tuple[Path, str]]:
    drawn = [
        (
            figures.verdicts(rows, folder / "verdicts"),
            "Verdicts over the weight of mse; numbers of runs above the bars.",
        ),
        (
            figures.ladder(rows, folder / "ladder_jitter", "jitter"),
            "How far fixed reconstructions move between validations, against the weight of mse. Dots: runs.",
        ),
        (
            figures.ladder(rows, folder / "ladder_swd", "swd"),
            "Realism at the end against the weight of mse. Dots: runs.",
        ),
        (
            figures.curves(points, rows, folder / "curves"),
            "Sliced Wasserstein distance over the updates, seed 0.",
        ),
    ]
    for number, question in enumerate(asked):
        path = figures.forest(question, folder / f"effects_{number}")
        drawn.append((path, f"{question.title}. {question.about} Filled: resolved after Holm's correction."))
    return [(named(path, "png"), caption) for path, caption in drawn]


def answer(asked: Sequence[Question]) -> list[str]:
    """H1 and H2 for each loss: what is resolved, or that nothing is."""
    said = []
    for question in asked:
        if not question.title.startswith(("H1", "H2")):
            continue
        for name in dict.fromkeys(effect.name for effect in question.effects):
            own = [effect for effect in question.effects if effect.name == name]
            resolved = [f"{TITLES[e.response]} {e.text}" for e in own if e.resolved]
            seeds = max(e.seeds for e in own)
            verdict = "; ".join(resolved) if resolved else f"not resolved with {seeds} paired seeds"
            said.append(f"{question.title}, {name}: {verdict}.")
    return said


def _design(study: Study, rows: Sequence[Row]) -> list[str]:
    protocol = study.protocol
    verdicts = Counter(str(row["verdict"]) for row in rows)
    counted = ", ".join(f"{number} {name}" for name, number in verdicts.most_common())
    seconds = [row["seconds"] for row in rows if row["seconds"] and math.isfinite(row["seconds"])]
    return [
        f"{len(rows)} of {len(study.arms)} planned runs, {protocol.updates} generator updates each unless they diverge:"
        f" {counted}. {sum(seconds) / 3600:.1f} hours on single cores.",
        "One codec for each seed is trained for rate and distortion; encoder and entropy model are then frozen, so all"
        " arms of a seed start from the same weights, see the same crops and have the same bitstream.",
        f"Codec: `{' '.join(protocol.codec)}`. Arms: `{' '.join(protocol.arm)}` and their own words.",
        f"Effects are paired by seed; a contrast counts as resolved with at least {ENOUGH} seeds and p < .05 after"
        " Holm's correction within its table. ×: a ratio.",
    ]


def _table(effects: Sequence[Effect]) -> tuple[list[str], list[list[str]]]:
    responses = list(dict.fromkeys(e.response for e in effects))
    names = list(dict.fromkeys(e.name for e in effects))
    body = []
    for name in names:
        own = {e.response: e for e in effects if e.name == name}
        cells = [f"{own[r].text}{' ●' if own[r].resolved else ''}" for r in responses]
        body.append([name, str(max(e.seeds for e in own.values())), *cells])
    return ["loss", "seeds", *(TITLES[r] for r in responses)], body


def _markdown(
    study: Study,
    rows: Sequence[Row],
    asked: Sequence[Question],
    drawn: Sequence[tuple[Path, str]],
    file: Path,
) -> Path:
    lines = [f"# {study.title}", "", QUESTION, "", "## The answer so far", ""]
    lines += [*(f"* {sentence}" for sentence in answer(asked)), "", "## Design", ""]
    lines += [*(f"* {sentence}" for sentence in _design(study, rows)), "", "## Responses", ""]
    lines += [*(f"* **{r.title}**: {r.help}." for r in RESPONSES), ""]
    for path, caption in drawn[:4]:
        lines += [f"![{caption}]({path.name})", "", f"*{caption}*", ""]
    for question, (path, _) in zip(asked, drawn[4:], strict=True):
        head, body = _table(question.effects)
        lines += [
            f"## {question.title}",
            "",
            question.about,
            "",
            f"| {' | '.join(head)} |",
            "|---" * len(head) + "|",
        ]
        lines += [
            *(f"| {' | '.join(cells)} |" for cells in body),
            "",
            f"![{question.title}]({path.name})",
            "",
        ]
    lines += ["●: resolved.", "", "## Limits", "", *(f"* {limit}" for limit in LIMITS)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _page(
    study: Study,
    rows: Sequence[Row],
    asked: Sequence[Question],
    drawn: Sequence[tuple[Path, str]],
    file: Path,
) -> Path:
    def listed(sentences: Sequence[str]) -> str:
        return f"<ul>{''.join(f'<li>{html.escape(s)}</li>' for s in sentences)}</ul>"

    parts = [f"<p>{html.escape(QUESTION)}</p>", "<h2>The answer so far</h2>", listed(answer(asked))]
    parts += ["<h2>Design</h2>", listed(_design(study, rows))]
    parts += [html.figure(path, caption) for path, caption in drawn[:4]]
    for question, (path, caption) in zip(asked, drawn[4:], strict=True):
        head, body = _table(question.effects)
        parts += [
            f"<h2>{html.escape(question.title)}</h2>",
            html.small(question.about),
            html.table(head, body),
        ]
        parts.append(html.figure(path, caption))
    parts += ["<h2>Responses</h2>", listed([f"{r.title}: {r.help}" for r in RESPONSES])]
    parts += ["<h2>Limits</h2>", listed(LIMITS)]
    return html.write(study.title, parts, file)


LIMITS = (
    "Small networks on small crops for few updates; what grows slowly is not seen.",
    "The decoder alone plays. Joint training is another game.",
    "Verdict thresholds were set before these runs, on simulations and synthetic curves.",
    "Seeds share data: an interval is about weights, crops and noise, not about other photographs.",
)
