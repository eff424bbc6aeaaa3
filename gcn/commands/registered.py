"""scripts/registered.py: the registered contrasts of the margin study, decided from margins or on simulated ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_folder

if TYPE_CHECKING:
    from gcn.study.registered.margin_plan import Plan

COMMAND = Command(
    name="registered",
    about="Apply the registered tests of the margin study to a table of margins, or simulate how often they err.",
    examples="""
python scripts/registered.py simulate=2000                error rates and power, into docs/study/margin
python scripts/registered.py pilot=docs/study/margin     values of stage 1 for the plan
python scripts/registered.py margins=docs/study/margin   decisions, once the table holds runs of stage 2
""",
    words="""\
margins: null                         #: path ; the study's table (a folder with runs.parquet), or a CSV of margins
pilot: null                           #: path ; the same of stages 0 and 1: prints the plan's block stage_1
simulate: null                        #: int >= 10 ; so many simulated studies of each case, in place of margins
plan: docs/study/margin/plan.yaml     #: path ; thresholds, settings, and the values of stage 1
out: null                             #: path ; folder for decisions.csv; simulations go to docs/study/margin by default
seed: 0                               #: int >= 0 ; of simulated studies
""",
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, work)


def work(said: Arguments) -> int:
    """Decide, simulate or sum up the pilot as the arguments say; returns the exit status."""
    given = [name for name in ("margins", "pilot", "simulate") if said[name] is not None]
    if len(given) != 1:
        raise InputError("give one of margins=FOLDER, pilot=FOLDER and simulate=NUMBER; see --help")
    if given != ["simulate"] and "seed" in said.said:
        raise InputError(f"seed= is of simulated studies; drop it, or replace {given[0]}= by simulate=NUMBER")
    if given == ["pilot"] and said["out"] is not None:
        raise InputError("pilot= only prints; drop out=")
    from gcn.study.registered import margin_plan

    plan = margin_plan.load(Path(said["plan"]))
    if said["simulate"] is not None:
        return _simulate(plan, said)
    if said["pilot"] is not None:
        return _pilot(plan, Path(said["pilot"]))
    if plan.open:
        raise InputError(
            f"{said['plan']}: {plan.open[0]} is null; fill in the values of stage 1 before margins are decided"
        )
    from gcn.study.registered import decisions_page, margin_rows
    from gcn.study.registered.decide import decide

    out = None if said["out"] is None else check_folder("out", said["out"])
    found = decide(margin_rows.read(Path(said["margins"]), plan), plan)
    print("\n".join(decisions_page.lines(found)))
    if out is not None:
        print(decisions_page.write(found, out))
    return 0


def _pilot(plan: "Plan", place: Path) -> int:
    import yaml

    from gcn.study.registered import margin_pilot, margin_rows

    all_rows = margin_rows.read(place, replace(plan, settings=plan.candidates), stages=("0", "1"))
    rows = [row for row in all_rows if row.setting in plan.settings]
    block = margin_pilot.stage_1(rows, plan, all_rows)
    print(yaml.safe_dump({"stage_1": block}, sort_keys=False), end="")
    notes = margin_pilot.missing(block, margin_pilot.exponent_relation(rows))
    rooms = margin_pilot.rooms(all_rows, plan) + margin_pilot.rooms_of_tricks(rows, block["mse_star"])
    for line in [*notes, *rooms]:
        print(f"# {line}")
    return 0


def _simulate(plan: "Plan", said: Arguments) -> int:
    from gcn.study.registered import simulations_page

    out = check_folder("out", said["out"] or "docs/study/margin")
    for file in simulations_page.write(plan, said["simulate"], said["seed"], out):
        print(file)
    return 0
