"""The report of the study of methods: the tables of docs/methods.md for the runs of one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.files.reading import read_yaml
from gcn.study.design import Study
from gcn.study.methods import methods_page
from gcn.study.methods.catalogue import FILE, catalogue
from gcn.study.reports.pages import Block

QUESTION = (
    "How far can D's learning rate be raised before a game fails, with each method, with and without a distortion?"
    " And does its training amplify small differences? Exploratory."
)
MARGINS = (
    "h*: D's learning rate up to which a training at a rising rate held, geometric mean over seeds. Differences to the"
    " plain game, and to the same method without the distortion, are of the same seed and in octaves (factors of two),"
    " with their 95 % intervals (Student's t)."
)
EXPONENTS = "Λ: exponent per update at a low learning rate, mean over seeds; Λ > 0: small differences grow."


def blocks(study: Study, rows: Sequence[dict[str, Any]]) -> list[Block]:
    """The sections.

    Args:
        study: whose runs these are.
        rows: of its table.
    """
    methods = [method for method in catalogue(Path.cwd()) if method.measured]
    content = read_yaml(FILE)
    return [
        Block("Margins", [MARGINS], methods_page.margins_table(methods, rows, content)),
        Block("Exponents", [EXPONENTS], methods_page.exponents_table(methods, rows, content)),
        Block("What this study may not say", study.cannot_say),
    ]
