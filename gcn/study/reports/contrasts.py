"""The questions of a study as contrasts, for each loss at each setting: what ``questions.yaml`` beside it asks.

A setting fixes levels together, so no contrast between settings is about one of them alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gcn.errors import InputError
from gcn.files.reading import read_yaml
from gcn.study.reports.phrases import filled
from gcn.study.reports.statistics import (
    Effect,
    Row,
    Side,
    contrast,
    effect,
    holm,
    interaction,
    matching,
    settings,
)

Labels = Mapping[str, str]  # level to the name that reports show
ALL = "all losses"
FILE = "questions.yaml"
SENTENCES = "sentences.yaml"


class Question(NamedTuple):
    """A family of contrasts under one heading; Holm's correction is within it.

    Attributes:
        kind: such as ``H1``, ``H2``, ``control``.
        subject: what is compared: the level of a trick, a control.
    """

    kind: str
    subject: str
    title: str
    about: str
    effects: list[Effect]


@dataclass(frozen=True)
class Asked:
    """The content of a ``questions.yaml``.

    Attributes:
        question: of the study, a sentence.
        plain: factor to the level that sides of a contrast have unless they say otherwise.
        factor: that tells settings apart, and ``settings``, its levels that are compared.
        decide: responses that are compared.
        compare: the contrasts, as in the file.
        labels: level to the name that reports show.
        content: the whole file, for what one kind of report alone uses.
        sentences: the content of the ``sentences.yaml`` beside it; empty without one.
    """

    question: str
    plain: Side
    factor: str
    settings: tuple[str, ...]
    decide: tuple[str, ...]
    compare: Sequence[Mapping[str, Any]]
    labels: Labels = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    sentences: Mapping[str, Any] = field(default_factory=dict)

    def say(self, section: str, *keys: str, **names: Any) -> str:
        """A sentence of the report with its numbers put in.

        Args:
            section: of the sentences, and ``keys`` below it.
            names: what stands in the sentence's braces.

        Raises:
            InputError: there is no such sentence, or it names something else.
        """
        found: Any = self.sentences
        for key in (section, *keys):
            found = found.get(key) if isinstance(found, Mapping) else None
        if not isinstance(found, str):
            raise InputError(f"{SENTENCES}: {'.'.join((section, *keys))} is missing")
        return filled(found, **names)

    def label(self, level: str) -> str:
        """Name of a level in reports."""
        return self.labels.get(level, level)

    def cell(self, loss: str, setting: str) -> str:
        """Name of a loss at a setting in reports: ``ns (lr 2e-4, β₁ 0)``."""
        return f"{loss} ({self.label(setting)})"

    def found(self, rows: Sequence[Row]) -> list[str]:
        """The compared settings for which the table has runs."""
        return [setting for setting in self.settings if matching(rows, {self.factor: setting})]


def load(folder: Path, labels: Labels) -> Asked:
    """The questions of a study.

    Raises:
        InputError: a part is missing.
    """
    content = read_yaml(folder / FILE)
    missing = [key for key in ("question", "plain", "setting", "decide", "compare") if key not in content]
    if missing:
        raise InputError(f"{folder / FILE}: {missing[0]} is missing")
    ((factor, levels),) = content["setting"].items()
    return Asked(
        content["question"], content["plain"], factor, tuple(levels), tuple(content["decide"]), content["compare"],
        labels, content, read_yaml(folder / SENTENCES) if (folder / SENTENCES).is_file() else {},
    )  # fmt: skip


def losses(rows: Sequence[Row]) -> list[str]:
    """The losses of a table, in the order of their first run."""
    return list(dict.fromkeys(str(row["loss"]) for row in rows))


def questions(rows: Sequence[Row], asked: Asked) -> list[Question]:
    """All questions that the table has runs for; those of one level stand together."""
    found: list[Question] = []
    block: list[Mapping[str, Any]] = []
    for spec in [*asked.compare, {}]:
        if block and spec.get("each") != block[0]["each"]:
            levels = [(f, str(row[f])) for row in rows for f in block[0]["each"] if row[f] != asked.plain[f]]
            for factor, level in dict.fromkeys(levels):
                names = {"factor": factor, "level": level, "label": asked.label(level)}
                found += [_question(rows, {"subject": level, **_filled(one, names)}, asked) for one in block]
            block = []
        if "each" in spec:
            block.append(spec)
        elif spec:
            found.append(_question(rows, spec, asked))
    return [question for question in found if any(e.seeds for e in question.effects)]


def _filled(spec: Any, names: Mapping[str, str]) -> Any:
    """A contrast with ``{factor}``, ``{level}`` and ``{label}`` replaced."""
    if isinstance(spec, dict):
        return {_filled(key, names): _filled(value, names) for key, value in spec.items()}
    if isinstance(spec, list):
        return [_filled(value, names) for value in spec]
    return spec.format_map(names) if isinstance(spec, str) else spec


def _question(rows: Sequence[Row], spec: Mapping[str, Any], asked: Asked) -> Question:
    one, other = ({**asked.plain, **spec.get(side, {})} for side in ("one", "other"))
    given = spec.get("given", [{}])

    def of(name: str, over: Sequence[Side], response: str) -> Effect:
        if len(given) == 1:
            own = matching(rows, given[0])
            return contrast(name, response, own, one, other, over)
        first, second = given
        return effect(name, response, interaction(rows, response, (one, other), (first, second), over))

    own = {side: matching(rows, levels) for side, levels in (("one", one), ("other", other))}
    names = [loss for loss in losses(rows) if all(matching(side, {"loss": loss}) for side in own.values())]
    held = [s for s in asked.settings if all(matching(side, {asked.factor: s}) for side in own.values())]
    cells = [(asked.cell(x, s), [{"loss": x, asked.factor: s}]) for s in held for x in names]
    if len(names) > 1:
        cells += [(asked.cell(ALL, s), settings(**{"loss": names, asked.factor: [s]})) for s in held]
    family = holm([of(name, over, response) for name, over in cells for response in asked.decide])
    return Question(spec["kind"], spec["subject"], spec["title"], spec["about"], family)
