"""The questions of the study as contrasts: H1, H2 and the controls."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gcn.study.statistics import Effect, Side, differences, family, interaction, matching, settings

Row = Mapping[str, Any]
HEATS = ("comfortable", "hot")
PLAIN = {"trick": "none", "pairing": "none", "control": "none"}
DECIDE = (
    "unstable",
    "swd_dispersion",
    "last_to_best",
    "jitter",
    "logit_gap",
    "swd",
)  # not optimised by a distortion
WITHOUT, WITH = {"mse": "0"}, {"mse": "1"}


class Question(NamedTuple):
    """A family of contrasts under one heading; Holm's correction is within it."""

    title: str
    about: str
    effects: list[Effect]


def losses(rows: Sequence[Row]) -> list[str]:
    """The losses of a table, in the order of their first run."""
    return list(dict.fromkeys(str(row["loss"]) for row in rows))


def questions(rows: Sequence[Row]) -> list[Question]:
    """All questions that the table has runs for."""
    return [q for q in (_h1(rows), *_h2(rows), *_controls(rows)) if any(e.seeds for e in q.effects)]


def _h1(rows: Sequence[Row]) -> Question:
    over = settings(trick=["none", "r1"], heat=HEATS)

    def of(loss: str, response: str) -> Mapping[int, float]:
        fixed = {"loss": loss, "pairing": "none", "control": "none"}
        return differences(matching(rows, fixed), response, WITHOUT, WITH, over)

    about = "mse=1 against mse=0, the mean over both step sizes, with and without r1."
    return Question("H1: what a distortion does", about, family(DECIDE, losses(rows), of))


def _h2(rows: Sequence[Row]) -> list[Question]:
    found = []
    for factor, level in _tricks(rows):
        plain = {name: value for name, value in PLAIN.items() if name != factor}
        trick = ({**plain, factor: "none"}, {**plain, factor: level})

        def effect_of(mse: Side, trick: tuple[Side, Side] = trick) -> Any:
            def of(loss: str, response: str) -> Mapping[int, float]:
                over = settings(heat=HEATS)
                own = matching(rows, {"loss": loss, **mse})
                return differences(own, response, *trick, over)

            return of

        def between(loss: str, response: str, trick: tuple[Side, Side] = trick) -> Mapping[int, float]:
            own = matching(rows, {"loss": loss})
            return interaction(own, response, trick, (WITHOUT, WITH), settings(heat=HEATS))

        known = [name for name in losses(rows) if matching(rows, {"loss": name, **trick[1]})]
        about = "The mean over both step sizes."
        found += [
            Question(f"{level} without a distortion", about, family(DECIDE, known, effect_of(WITHOUT))),
            Question(f"{level} beside mse=1", about, family(DECIDE, known, effect_of(WITH))),
            Question(
                f"H2: {level}, with the distortion against without", about, family(DECIDE, known, between)
            ),
        ]
    return found


def _tricks(rows: Sequence[Row]) -> list[tuple[str, str]]:
    pairs = ((factor, str(row[factor])) for row in rows for factor in ("trick", "pairing"))
    return list(dict.fromkeys(pair for pair in pairs if pair[1] != "none"))


CONTROLS = {
    "anchor": ("mse=1 against a spring as stiff that is tied to the first synthesis (anchor=1)", HEATS),
    "slow": ("mse=1 against G's step size divided by four", HEATS[:1]),
    "standard": (
        "latents against noise, both without a distortion: the codec's game and the standard GAN",
        HEATS,
    ),
}


def _controls(rows: Sequence[Row]) -> list[Question]:
    found = []
    for control, (about, heats) in CONTROLS.items():
        mse = "0" if control == "standard" else "1"
        one = {**PLAIN, "control": control, "mse": "0"}
        other = {**PLAIN, "mse": mse}

        def of(loss: str, response: str, sides: tuple[Side, Side] = (one, other), heats: Any = heats) -> Any:
            own = matching(rows, {"loss": loss})
            return differences(own, response, *sides, settings(heat=heats))

        known = [name for name in losses(rows) if matching(rows, {"loss": name, "control": control})]
        found.append(
            Question(f"Control: {control}", f"{about[0].upper()}{about[1:]}.", family(DECIDE, known, of))
        )
    return found
