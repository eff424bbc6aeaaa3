"""The questions of the study as contrasts: H1, H2 and the controls, for each loss at each step size."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gcn.study.statistics import Effect, Row, Side, contrast, effect, holm, interaction, matching, settings

HEATS = ("comfortable", "hot")
PLAIN = {"trick": "none", "pairing": "none", "control": "none"}
# Not optimised by a distortion.
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


def cells(names: Sequence[str], heats: Sequence[str] = HEATS) -> list[Cell]:
    """Each loss at each step size; then all losses, where there are several."""
    found = [Cell(f"{loss}, {heat}", [{"loss": loss, "heat": heat}]) for heat in heats for loss in names]
    if len(names) > 1:
        found += [Cell(f"{ALL}, {heat}", settings(loss=names, heat=[heat])) for heat in heats]
    return found


def questions(rows: Sequence[Row]) -> list[Question]:
    """All questions that the table has runs for."""
    return [q for q in (_h1(rows), *_h2(rows), *_controls(rows)) if any(e.seeds for e in q.effects)]


def _family(names: Sequence[Cell], of: Callable[[Cell, str], Effect]) -> list[Effect]:
    return holm([of(cell, response) for cell in names for response in DECIDE])


def _h1(rows: Sequence[Row]) -> Question:
    plain = matching(rows, PLAIN)

    def of(cell: Cell, response: str) -> Effect:
        return contrast(cell.name, response, plain, WITHOUT, WITH, cell.over)

    about = "mse=1 against mse=0, without any trick."
    return Question("H1", "mse", "H1: what a distortion does", about, _family(cells(losses(rows)), of))


def _h2(rows: Sequence[Row]) -> list[Question]:
    found = []
    for factor, level in _tricks(rows):
        plain = {name: value for name, value in PLAIN.items() if name != factor}
        without, with_it = {**plain, factor: "none"}, {**plain, factor: level}
        names = cells([name for name in losses(rows) if matching(rows, {"loss": name, **with_it})])

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
        "mse=1 against a spring as stiff, tied to the first synthesis instead of the image", WITH
    ),
    "slow": Control("mse=1 against G's steps at 5e-5", WITH),
    "crawl": Control("mse=1 against G's steps at 3e-6", WITH),
    "standard": Control(
        "The codec's game without a distortion against the standard GAN: latents against noise", WITHOUT
    ),
    "conditional": Control("mse=1, D without y_hat against D with it", WITH, "1"),
}


def _controls(rows: Sequence[Row]) -> list[Question]:
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
                f"Control: {subject}",
                f"{control.about}.",
                _family(cells(names, heats), of),
            )
        )
    return found
