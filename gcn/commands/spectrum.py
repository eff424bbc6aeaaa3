"""scripts/spectrum.py: arguments, and the numbers as text; torch is imported after the arguments are checked."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.cli.arguments import Arguments, Command
from gcn.files.names import printable
from gcn.schema.plugins import FOLDER, SETTING, WORDS, extension, names

COMMAND = Command(
    name="spectrum",
    about="Linearise a trained game at a checkpoint: eigenvalues with all terms and without each of them.",
    examples="""
python scripts/spectrum.py run=outputs/DATE/RUN
python scripts/spectrum.py run=outputs/DATE/RUN/checkpoints/last.ckpt basis=120 out=FOLDER
""",
    words="""\
run: ???                #: path ; a run folder, or RUN/checkpoints/NAME.ckpt
images: 4               #: int >= 1 ; training crops in the batch at which the game is linearised
k: 6                    #: int >= 1 ; eigenvalues of each kind
basis: 60               #: int >= 1 ; products with the Jacobian, and with the update: more are slower and sharper
probes: 16              #: int >= 1 ; random vectors for the rotation index
seed: 0                 #: int >= 0 ; of crops, probes and start vectors
factor: null            #: float >= 0 ; step sizes as a share of the schedule's peak, by default as in the last update
out: null               #: path ; where spectrum.json, .png and .svg go, by default the run folder
"""
    + WORDS,
    spellings={"checkpoint": "run"},
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, work)


def work(said: Arguments) -> int:
    """Examine the checkpoint, write the files and print the numbers; returns the exit status."""
    from gcn.commands.spectrum_record import Request, examine, write

    places = {"checkpoint": Path(said.pop("run")), "out": None if said["out"] is None else Path(said["out"])}
    own = extension(names(said.pop(SETTING)), said.pop(FOLDER))
    request = Request(**{**said, **places}, own=own)
    try:
        record = examine(request)
    except KeyboardInterrupt as signalled:
        raise type(signalled)("interrupted; nothing was written") from None
    write(request, record)
    print(text(record))
    print(printable(f"written: {request.folder}/spectrum.json, .png, .svg"))
    return 0


def text(record: Mapping[str, Any]) -> str:
    """The numbers as text, arm by arm; ≈ marks eigenvalues that have not converged."""
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
