"""The report of a study, generated from its table: Markdown, a self-contained page, figures."""

from pathlib import Path

from gcn.errors import InputError
from gcn.files.atomic import make_folder
from gcn.schema.fields import suggestion
from gcn.study import diagnostics
from gcn.study.design import Study
from gcn.study.reports import (
    contrasts,
    distance_report,
    lab_report,
    margin_report,
    method_report,
    training_report,
)
from gcn.study.reports.pages import markdown, page
from gcn.study.table import read, read_curves

SECTIONS = {
    "train": training_report.blocks,
    "lab": lab_report.blocks,
    "distance": distance_report.blocks,
}  # of a report, by what the study's arms are, or by the ``report`` of its questions


def write(study: Study, table: Path, folder: Path) -> list[Path]:
    """Write ``README.md``, ``index.html`` and figures from the table in ``table`` into ``folder``."""
    make_folder(folder)
    if study.protocol.margin is not None:
        question, found = margin_report.QUESTION, margin_report.blocks(study, read(table), table, folder)
    elif study.protocol.ramp is not None:
        question, found = method_report.QUESTION, method_report.blocks(study, read(table))
    else:
        asked = contrasts.load(study.text, study.labels)
        kind = asked.content.get("report", study.protocol.command)
        if kind not in SECTIONS:
            raise InputError(f"{contrasts.FILE}: report: {kind} is unknown; {suggestion(kind, SECTIONS)}")
        sections, question = SECTIONS[kind], asked.question
        found = sections(study, asked, read(table), read_curves(table), diagnostics.read(table), folder)
    blocks = [block for block in found if block.sentences or block.table or block.figures]
    files = [
        markdown(study.title, question, blocks, folder / "README.md"),
        page(study.title, question, blocks, folder / "index.html"),
    ]
    return [*files, *(path for block in blocks for path, _ in block.figures)]
