"""Decisions of the margin study as text and as a CSV."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from gcn.files.atomic import make_folder, write_csv
from gcn.study.registered.decide import (
    CEILING,
    DESCRIPTIVE,
    EQUIVALENT,
    NO_EFFECT,
    NOT_MEASURED,
    OPPOSITE,
    SUPPORTED,
    UNEQUAL,
    Decision,
    Interval,
)
from gcn.study.registered.registered_contrasts import ADDS, COSTS, HARMS

_PAIRS = {
    f"<{SUPPORTED}> <{SUPPORTED}>": "the distortion lowers the cost of the game and raises the game's own margin",
    f"<{SUPPORTED}> <{OPPOSITE}>": "the cost of the game falls although the game's own margin falls too",
    f"<{SUPPORTED}> <{NO_EFFECT}>": "the cost falls because the twin's margin does; the game's own margin stays",
    f"<{SUPPORTED}> <{EQUIVALENT}>": "the trick helps beside the smallest weight and is superfluous beside μ*",
    f"<{SUPPORTED}> <{ADDS}>": "the trick helps beside the smallest weight and beside μ*: it is not superfluous",
    f"<{SUPPORTED}> <{HARMS}>": "the trick helps beside the smallest weight and harms beside μ*",
}
_CONFINEMENT = {
    f"<{SUPPORTED}> <{EQUIVALENT}>": "the distortion confines: it raises margins as much without a game, which costs"
    " nothing here",
    f"<{SUPPORTED}> <{COSTS}>": "the distortion raises margins without a game too, and the game costs something",
}
_LAST = {
    ADDS: "the trick helps beside μ*, so it is not superfluous; beside the smallest weight: {}",
    HARMS: "the trick harms beside μ*; beside the smallest weight: {}",
}
_FIRST = {
    NOT_MEASURED: "not measured, so nothing is said about it",
    CEILING: "not tested: the game is too close to its twin, so a gain could not be told from what needs no game",
    DESCRIPTIVE: "described only: stage 1 did not show that the exponent predicts the margin",
}  # answers of chains whose first step has one of these words, unless a later one says more
HEAD = ("setting", "contrast", "endpoint", "seeds", "estimate [95 %]", "p", "adjusted p", "word", "note")


def lines(found: Sequence[Decision]) -> Iterator[str]:
    """A Markdown table of the decisions, then the answers in sentences."""
    yield from table(HEAD, [_row(d) for d in found])
    yield ""
    yield from (f"* {sentence}" for sentence in answers(found))


def write(found: Sequence[Decision], folder: Path) -> Path:
    """Write ``decisions.csv``, with a row for each contrast; returns its path."""
    head = ("setting", "chain", "contrast", "endpoint", "unit", "seeds", "estimate", "low", "high", "spread", "p",
            "adjusted", "word", "note")  # fmt: skip
    rows: list[Sequence[object]] = [head]
    for d in found:
        rows.append(
            (d.setting, d.chain, d.name, d.endpoint, d.unit, d.seeds, *d.interval, d.spread, d.p, d.adjusted, d.word,
             d.note)
        )  # fmt: skip
    file = make_folder(folder) / "decisions.csv"
    write_csv(file, rows)
    return file


def answers(found: Sequence[Decision]) -> list[str]:
    """A sentence for each chain of contrasts in each setting, by the words of its decisions."""
    chains: dict[tuple[str, str], list[Decision]] = {}
    for decision in found:
        chains.setdefault((decision.setting, decision.chain), []).append(decision)
    return [
        f"{chain} ({setting}): {_answer(chain, [d.word for d in own])}."
        for (setting, chain), own in chains.items()
    ]


def _answer(chain: str, words: Sequence[str]) -> str:
    both = " ".join(f"<{word}>" for word in words)
    pairs = _CONFINEMENT if chain == "confinement" else _PAIRS
    if both in pairs:
        return pairs[both]
    if words[0] in _FIRST and words[-1] not in UNEQUAL:
        return _FIRST[words[0]]
    return _LAST.get(words[-1], "; then ".join(words)).format(words[0])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _row(d: Decision) -> list[str]:
    digits = 2 if d.unit == "octaves" else 4
    numbers = ["–" if math.isnan(p) else f"{p:.4f}" for p in (d.p, d.adjusted)]
    return [
        d.setting,
        f"{d.chain}: {d.name}",
        d.endpoint,
        str(d.seeds),
        _text(d.interval, digits),
        *numbers,
        d.word,
        d.note,
    ]


def _text(interval: Interval, digits: int) -> str:
    if math.isnan(interval.estimate):
        return "–"
    ends = ", ".join(f"{end:+.{digits}f}" for end in interval[1:])
    return f"{interval.estimate:+.{digits}f} [{ends}]"
