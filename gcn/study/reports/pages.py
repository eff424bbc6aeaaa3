"""A report's sections as Markdown and as a page that needs nothing beside it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn.files.atomic import write_text
from gcn.report import html
from gcn.study.reports.contrasts import Question

SIGNIFICANT = "●: significant after Holm's correction over its table."
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class Block(NamedTuple):
    """A section: sentences, then a table, then figures with their captions; ``folded`` on the page."""

    title: str
    sentences: Sequence[str] = ()
    table: Table | None = None
    figures: Sequence[tuple[Path, str]] = ()
    folded: bool = False


def effect_tables(asked: Sequence[Question], titles: Mapping[str, str]) -> list[Block]:
    """A folded section for each question: its effects with intervals, a row for each cell."""
    return [Block(f"Table. {q.title}", [q.about], _effects(q, titles), folded=True) for q in asked]


def _effects(question: Question, titles: Mapping[str, str]) -> Table:
    responses = list(dict.fromkeys(e.response for e in question.effects))
    body = []
    for name in dict.fromkeys(e.name for e in question.effects):
        own = {e.response: e for e in question.effects if e.name == name}
        cells = [f"{own[r].text}{' ●' if own[r].significant else ''}" for r in responses]
        body.append([name, str(max(e.seeds for e in own.values())), *cells])
    return ["loss (setting)", "seeds", *(titles[r] for r in responses)], body


def markdown(title: str, question: str, blocks: Sequence[Block], file: Path) -> Path:
    """Write a Markdown file that names its figures by their file names."""
    lines = [f"# {title}", "", question, ""]
    for block in blocks:
        lines += [f"## {block.title}", "", *(f"* {sentence}" for sentence in block.sentences), ""]
        if block.table:
            head, body = block.table
            bars = [[cell.replace("|", "\\|") for cell in row] for row in (head, *body)]
            lines += [f"| {' | '.join(bars[0])} |", "|---" * len(head) + "|"]
            lines += [*(f"| {' | '.join(row)} |" for row in bars[1:]), ""]
        for path, caption in block.figures:
            lines += [f"![{caption}]({path.name})", "", f"*{caption}*", ""]
    lines.append(_remark(blocks))
    write_text(file, "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n")
    return file


def _remark(blocks: Sequence[Block]) -> str:
    """What the mark of a table means; nothing where no question was tested."""
    return SIGNIFICANT if any(block.title.startswith("Table. ") for block in blocks) else ""


def _unbroken(cell: str) -> str:
    """A cell whose brackets are not broken into lines."""
    return re.sub(r"[\[(][^])]{,24}[\])]", lambda found: found.group().replace(" ", "\u00a0"), cell)


def page(title: str, question: str, blocks: Sequence[Block], file: Path) -> Path:
    """Write an HTML page with its figures inside; tables break into lines instead of leaving the page."""
    sections = [
        {
            "id": anchor, "title": block.title, "folded": block.folded,
            "sentences": [_marked(sentence) for sentence in block.sentences],
            "table": _broken(block.table) if block.table else None,
            "figures": [html.picture(path, caption) for path, caption in block.figures],
        }
        for (anchor, _), block in zip(html.anchors(block.title for block in blocks), blocks, strict=True)
    ]  # fmt: skip
    contents = [(one["id"], one["title"]) for one in sections if not one["folded"]]
    return html.write(
        "study.html",
        file,
        title=title,
        question=question,
        sections=sections,
        contents=contents,
        remark=_remark(blocks),
    )


def _marked(sentence: str) -> list[tuple[str, str]]:
    """Parts of a sentence in Markdown, each with its element: ``code``, ``em`` or none."""
    parts = re.split(r"(`[^`]+`|(?<!\w)\*[^\s*](?:[^*]*[^\s*])?\*)", sentence)
    kinds = {"`": "code", "*": "em"}
    return [(kinds[p[0]], p[1:-1]) if i % 2 else ("", p) for i, p in enumerate(parts) if p]


def _broken(content: Table) -> html.Table:
    head, body = content
    return html.Table(head, [[_unbroken(cell) for cell in row] for row in body], texts=True, label="numbers")
