"""The questions of the study as contrasts: H1, H2 and the controls, for each loss at each setting of the optimizer.

A setting fixes learning rate and momentum together, so no contrast between settings is about one of the two alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gcn.study.statistics import Effect, Row, Side, contrast, effect, holm, interaction, matching, settings

HEATS = ("comfortable", "hot")  # levels of the stored tables; reports show the labels of the study's yaml
Labels = Mapping[str, str]  # level to the name that reports show
PLAIN = {"trick": "none", "pairing": "none", "control": "none"}
DECIDE = ("unstable", "swd_dispersion", "last_to_best", "jitter", "logit_gap", "swd")
WITHOUT, WITH = {"mse": "0"}, {"mse": "1"}
ALL = "all losses"


class Question(NamedTuple):
    """A family of contrasts under one heading; Holm's correction is within it.

    Attributes:
        kind: ``H1``; ``without``, ``beside`` and ``H2`` of a trick; ``control``.
        subject: the trick or the control.
    """

    kind: str
    subject: str
    title: str
    about: str
    effects: list[Effect]


class Cell(NamedTuple):
    """A row of a question's table: settings whose effects are averaged for each seed."""

    name: str
    over: Sequence[Side]


def losses(rows: Sequence[Row]) -> list[str]:
    """The losses of a table, in the order of their first run."""
    return list(dict.fromkeys(str(row["loss"]) for row in rows))


def heats(rows: Sequence[Row]) -> list[str]:
    """The settings of the optimizer that a table has runs for, of the two that are compared."""
    return [heat for heat in HEATS if any(row["heat"] == heat for row in rows)]


def setting(loss: str, heat: str, labels: Labels) -> str:
    """``ns (lr 2e-4, β₁ 0)``: a loss at a setting of the optimizer."""
    return f"{loss} ({labels.get(heat, heat)})"


def cells(names: Sequence[str], labels: Labels, heats: Sequence[str] = HEATS) -> list[Cell]:
    """Each loss at each setting of the optimizer; then all losses, where there are several."""
    found = [
        Cell(setting(loss, heat, labels), [{"loss": loss, "heat": heat}]) for heat in heats for loss in names
    ]
    if len(names) > 1:
        found += [Cell(setting(ALL, heat, labels), settings(loss=names, heat=[heat])) for heat in heats]
    return found


def questions(rows: Sequence[Row], labels: Labels) -> list[Question]:
    """All questions that the table has runs for."""
    asked = (_h1(rows, labels), *_h2(rows, labels), *_controls(rows, labels))
    return [q for q in asked if any(e.seeds for e in q.effects)]


def _family(names: Sequence[Cell], of: Callable[[Cell, str], Effect]) -> list[Effect]:
    return holm([of(cell, response) for cell in names for response in DECIDE])


def _h1(rows: Sequence[Row], labels: Labels) -> Question:
    plain = matching(rows, PLAIN)

    def of(cell: Cell, response: str) -> Effect:
        return contrast(cell.name, response, plain, WITHOUT, WITH, cell.over)

    about = "mse=1 against mse=0, without any trick."
    family = _family(cells(losses(rows), labels), of)
    return Question("H1", "mse", "H1: what a distortion does", about, family)


def _h2(rows: Sequence[Row], labels: Labels) -> list[Question]:
    found = []
    for factor, level in _tricks(rows):
        plain = {name: value for name, value in PLAIN.items() if name != factor}
        without, with_it = {**plain, factor: "none"}, {**plain, factor: level}
        names = cells([x for x in losses(rows) if matching(rows, {"loss": x, **with_it})], labels)

        def within(
            mse: Side, without: Side = without, with_it: Side = with_it
        ) -> Callable[[Cell, str], Effect]:
            own = matching(rows, mse)
            return lambda cell, response: contrast(cell.name, response, own, without, with_it, cell.over)

        def between(cell: Cell, response: str, trick: tuple[Side, Side] = (without, with_it)) -> Effect:
            by_seed = interaction(rows, response, trick, (WITHOUT, WITH), cell.over)
            return effect(cell.name, response, by_seed)

        lone, beside = within(WITHOUT), within(WITH)
        about = f"{level} against none"
        found += [
            Question("without", level, f"{level}, no distortion", f"{about}, mse=0.", _family(names, lone)),
            Question("beside", level, f"{level} beside mse=1", f"{about}, mse=1.", _family(names, beside)),
            Question(
                "H2", level, f"H2: {level}, with the distortion against without",
                "The effect beside mse=1 minus the effect without a distortion: 0 where they do not interact.",
                _family(names, between),
            ),
        ]  # fmt: skip
    return found


def _tricks(rows: Sequence[Row]) -> list[tuple[str, str]]:
    pairs = ((factor, str(row[factor])) for row in rows for factor in ("trick", "pairing"))
    return list(dict.fromkeys(pair for pair in pairs if pair[1] != "none"))


class Control(NamedTuple):
    """What a control is compared with: these levels; ``mse`` of the control itself."""

    about: str
    against: Mapping[str, str]
    mse: str = "0"


CONTROLS = {
    "anchor": Control(
        "mse=1 against an L2 penalty of the same weight towards the decoder's initial output. In the frozen protocol"
        " both have the same target, up to a constant, and the same Hessian",
        WITH,
    ),
    "slow": Control("mse=1 against G at a learning rate of 5e-5, no distortion", WITH),
    "crawl": Control("mse=1 against G at a learning rate of 3e-6, no distortion", WITH),
    "conditional": Control("mse=1, D without y_hat against D with it", WITH, "1"),
}


def _controls(rows: Sequence[Row], labels: Labels) -> list[Question]:
    found = []
    for subject, control in CONTROLS.items():
        one = {**PLAIN, "control": subject, "mse": control.mse}
        other = {**PLAIN, **control.against}
        names = [name for name in losses(rows) if matching(rows, {"loss": name, **one})]
        heats = [heat for heat in HEATS if matching(rows, {"heat": heat, **one})]

        def of(cell: Cell, response: str, one: Side = one, other: Side = other) -> Effect:
            return contrast(cell.name, response, rows, one, other, cell.over)

        found.append(
            Question(
                "control",
                subject,
                f"Control: {labels.get(subject, subject)}",
                f"{control.about}.",
                _family(cells(names, labels, heats), of),
            )
        )
    return found
