"""scripts/exponent.py: arguments, and the numbers as text; torch is imported after the arguments are checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn.cli.arguments import Arguments, Command
from gcn.files.names import printable
from gcn.schema.plugins import FOLDER, SETTING, WORDS, extension, names

COMMAND = Command(
    name="exponent",
    about="Measure how fast small differences grow in a run's training: Lyapunov exponents per update.",
    examples="""
python scripts/exponent.py run=outputs/DATE/RUN
python scripts/exponent.py run=outputs/DATE/RUN/checkpoints/last.ckpt updates=200 out=FOLDER
""",
    words="""\
run: ???                #: path ; a run folder, or RUN/checkpoints/NAME.ckpt
updates: 30             #: int >= 2 ; updates after the checkpoint that count
align: 10               #: int >= 1 ; updates before them, in which the differences turn into the fastest directions
every: 5                #: int >= 1 ; updates after which the differences are made small again
directions: 8           #: int >= 1 ; leading exponents
epsilon: 1.0e-3         #: float in (0, 0.1] ; size of a difference, as a share of the norm of all parameters
distances: [1.0e-2, 1.0e-4, 1.0e-6]  #: list of float in (0, 0.1] ; further sizes
seed: 0                 #: int >= 0 ; of the first differences
factor: null            #: float > 0 ; learning rates over the schedule's peak, by default as in the last update
out: null               #: path ; where exponent.json goes, by default the run folder
"""
    + WORDS,
    spellings={"checkpoint": "run"},
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, work)


def work(said: Arguments) -> int:
    """Measure the exponents, write the file and print the numbers; returns the exit status."""
    from gcn.commands.exponent_record import Request, examine, write

    places = {"checkpoint": Path(said.pop("run")), "out": None if said["out"] is None else Path(said["out"])}
    own = extension(names(said.pop(SETTING)), said.pop(FOLDER))
    request = Request(**{**said, "distances": tuple(said["distances"]), **places}, own=own)
    try:
        record = examine(request)
    except KeyboardInterrupt as signalled:
        raise type(signalled)("interrupted; nothing was written") from None
    write(request, record)
    print(text(record))
    print(printable(f"written: {request.folder}/exponent.json"))
    return 0


def text(record: Mapping[str, Any]) -> str:
    """The exponents as text: a line a distance, then the leading ones, function space and warnings."""
    heads = ("Λ", "Λ_G", "Λ_D", "Λ - max")
    names = ("exponent", "exponent_g", "exponent_d", "share_of_the_game")
    lines = [f"{'size':<9}" + "".join(f"{head:>20}" for head in heads)]
    for rates in record["distances"]:
        mark = "*" if rates["epsilon"] == record["epsilon"] else " "
        cells = "".join(f"{_interval(rates[name]):>20}" for name in names)
        lines.append(f"{rates['epsilon']:<8g}{mark}{cells}")
    lines.append("leading  " + "  ".join(_number(one["value"]) for one in record["leading"]))
    for displaced, functions in record["function_space"].items():
        who = {"all": "both displaced", "g": "G displaced", "d": "D displaced"}[displaced]
        shown = ", ".join(f"{name} {_interval(rate)}" for name, rate in functions.items())
        lines.append(f"growth as the networks' outputs show it, {who}: {shown or 'none'}")
    lines.append(
        f"per update, with intervals (t at 99 %); {record['updates']} updates after step {record['step']},"
        f" {record['updates_made']} updates made"
    )
    return "\n".join([*lines, *(f"warning: {warning}" for warning in record["warnings"])])


def _interval(rate: Mapping[str, Any] | None) -> str:
    if rate is None or rate["value"] is None:
        return "none"
    half = "" if rate["low"] is None else f" ± {(rate['high'] - rate['low']) / 2:.2g}"
    return f"{_number(rate['value'])}{half}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
