"""scripts/registered.py: the registered contrasts of the margin study, decided from margins or on simulated ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gcn.cli.arguments import Arguments, Command
from gcn.errors import InputError
from gcn.files.atomic import check_folder

if TYPE_CHECKING:
    from gcn.study.margin_plan import Plan

COMMAND = Command(
    name="registered",
    about="Decide the registered contrasts of the margin study from a table, or simulate how often this errs.",
    examples="""
python scripts/registered.py simulate=2000                error rates and power, into docs/study/margin
python scripts/registered.py margins=docs/study/margin   once the values of stage 1 are in the plan
""",
    words="""\
margins: null                         #: path ; the study's table (a folder with runs.parquet), or a CSV of margins
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
    """Decide or simulate as the arguments say; returns the exit status."""
    if (said["margins"] is None) == (said["simulate"] is None):
        raise InputError("give either margins=FILE or simulate=NUMBER; see --help")
    if said["margins"] is not None and "seed" in said.said:
        raise InputError(
            "seed= is of simulated studies; drop it, or give simulate=NUMBER in place of margins="
        )
    from gcn.study import margin_plan

    plan = margin_plan.load(Path(said["plan"]))
    if said["simulate"] is not None:
        return _simulate(plan, said)
    if plan.open:
        raise InputError(
            f"{said['plan']}: {plan.open[0]} is null; fill in the values of stage 1 before margins are decided"
        )
    from gcn.study import decisions_page, margin_rows
    from gcn.study.decide import decide

    out = None if said["out"] is None else check_folder("out", said["out"])
    found = decide(margin_rows.read(Path(said["margins"]), plan), plan)
    print("\n".join(decisions_page.lines(found)))
    if out is not None:
        print(decisions_page.write(found, out))
    return 0


def _simulate(plan: "Plan", said: Arguments) -> int:
    from gcn.study import simulations_page

    out = check_folder("out", said["out"] or "docs/study/margin")
    for file in simulations_page.write(plan, said["simulate"], said["seed"], out):
        print(file)
    return 0
