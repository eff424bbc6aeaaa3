"""The spectrum of a trained game: ``scripts/spectrum.py checkpoint=outputs/…`` writes spectrum.json and a figure."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gcn.cli.terminal import guarded
from gcn.errors import InputError
from gcn.files.names import printable

USAGE = """\
python scripts/spectrum.py checkpoint=RUN [images=4] [k=6] [basis=60] [probes=16] [seed=0] [factor=F] [out=FOLDER]

  checkpoint  a run folder, or RUN/checkpoints/NAME.ckpt
  images      training crops in the batch at which the game is linearised
  k           eigenvalues of each kind
  basis       products with the Jacobian, and with the update, that are spent on them: more are slower and sharper
  probes      random vectors for the rotation index
  factor      step sizes as a share of the schedule's peak   (default: those of the last update)
  out         where spectrum.json, .png and .svg go          (default: the run folder)
"""


def main(words: list[str]) -> int:
    return guarded(lambda: work(words))


def work(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(f"{__doc__}\n\nusage: {USAGE}", end="")
        return 0
    from gcn.commands.spectrum import Request, examine, write

    request = Request(**options(words, {field.name for field in fields(Request)}))
    try:
        record = examine(request)
    except KeyboardInterrupt as signalled:
        raise type(signalled)("interrupted; nothing was written") from None
    write(request, record)
    print(text(record))
    print(printable(f"written: {request.folder}/spectrum.json, .png, .svg"))
    return 0


def options(words: list[str], known: set[str]) -> dict[str, Any]:
    """The words in their types."""
    said = dict(word.split("=", 1) for word in words if "=" in word)
    strange = [word for word in words if word.partition("=")[0] not in known or "=" not in word]
    if strange or "checkpoint" not in said:
        raise InputError(f"{' '.join(strange) or 'checkpoint=… is missing'}: usage: {USAGE.splitlines()[0]}")
    return {name: _value(name, value) for name, value in said.items()}


def _value(name: str, value: str) -> Any:
    if name in ("checkpoint", "out"):
        return Path(value)
    least = {"seed": 0, "factor": 0.0}.get(name, 1)
    try:
        number = float(value) if name == "factor" else int(value)
    except ValueError:
        raise InputError(f"{name}={value}: not a number") from None
    if not least <= number < float("inf"):
        raise InputError(f"{name}={value}: give {least} or more")
    return number


def text(record: Mapping[str, Any]) -> str:
    """What the numbers say, arm by arm; ≈ marks eigenvalues that have not converged."""
    heads = ("|v|", "max Re", "max |Im|", "its bound", "rotation", "|update|")
    lines = [f"{'':<20}" + "".join(f"{head:>12}" for head in heads)]
    named = {"all terms": record, **{f"without {name}": arm for name, arm in record["without"].items()}}
    for arm, numbers in named.items():
        cells = (
            f"{numbers['field_norm']['all']:.3g}",
            _leader(record, numbers, "eigenvalues", lambda z: z.real),
            _leader(record, numbers, "rotating", lambda z: abs(z.imag)),
            f"{numbers['skew_norm']:.4g}",
            f"{numbers['rotation_index']['value']:.3g}",
            _leader(record, numbers, "discrete_eigenvalues", abs),
        )
        lines.append(f"{arm:<20}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append(
        "Away from v = 0 a spectrum says how the field bends here and proves nothing about convergence."
    )
    lines += [f"not exact: {name}: {reason}" for name, reason in record["inexact"]]
    return "\n".join(lines)


def _leader(
    record: Mapping[str, Any], numbers: Mapping[str, Any], kind: str, size: Callable[[complex], float]
) -> str:
    if not numbers[kind]:
        return "none found"
    converged = numbers["residuals"][kind][0] <= record["tolerance"][kind]
    return f"{'' if converged else '≈'}{size(complex(*numbers[kind][0])):.5g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
