"""scripts/study.py: plan, train, resume and report a factorial study."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcn.cli.arguments import Arguments, Command
from gcn.cli.quoting import word
from gcn.errors import InputError
from gcn.files.atomic import check_folder
from gcn.schema.plugins import WORDS, of_words

if TYPE_CHECKING:
    from gcn.study.executors.executor import Executor, Result
    from gcn.study.run import Task

COMMAND = Command(
    name="study",
    about="Plan, train, resume and report a factorial study of the game.",
    examples="""
python scripts/study.py study=distortion_vs_tricks minutes=60         run it again to resume
python scripts/study.py study=distortion_vs_tricks grids=core only.loss=ns,wgan seeds=2
python scripts/study.py study=joint play=false table=docs/study/first/joint report=report
python scripts/study.py study=mine plugins=[mypackage]               one of your own, in a package
""",
    words="""\
study: ???              #: str ; file of conf/study
out: null               #: path ; folder of codecs and arms, by default outputs/study/NAME; what it has is kept
grids: null             #: list of str ; some of the study's grids, by default all
only.NAME: null         #: list of str ; some levels of a factor
seeds: null             #: int >= 1 ; the first so many, by default all
executor: local         #: one of local, submitit, ray ; arms are trained here, as SLURM jobs, or in a Ray cluster
workers: null           #: int >= 1 ; arms in training at once, a thread each, by default as many as cores, or 100 jobs
slurm.NAME: null        #: str ; option of sbatch: partition, account, mem=2GB, time in minutes (by default 240), …
minutes: null           #: float >= 0 ; stop after so many, codecs included; run the command again to resume
table: null             #: path ; folder of table and codecs, by default OUT/table; its runs are not trained again
report: null            #: path ; folder of the report, by default OUT/report; false: none
play: true              #: ; false: no training, only the report of the stored table
rejudge: false          #: ; verdicts and responses of the stored runs anew from their stored curves
data: null              #: str ; photos or folder, as in training
data.root: null         #: path ; folder of training images
generator: null         #: str ; another generator, as in training
"""
    + WORDS,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, work)


def work(said: Arguments) -> int:
    """Train and report the study as the arguments say; returns the exit status."""
    from gcn.study import design, report, table

    name, playing, again = said["study"], said["play"], said["rejudge"]
    out = check_folder("out", said["out"] or f"outputs/study/{name}")
    place = Path(said["table"] or out / "table")
    if playing:  # otherwise it is only read
        check_folder("table", place)
    target = None if said["report"] == "false" else check_folder("report", said["report"] or out / "report")
    only = {key.removeprefix("only."): levels for key, levels in said.items() if key.startswith("only.")}
    part = design.Choice(said["grids"] or [], only, said["seeds"])
    further = [word(key, said[key]) for key in ("data", "data.root", "generator") if said[key] is not None]

    own = of_words(said.said)

    def planned() -> design.Study:
        return design.load(name, further, part, table.read(place) if table.names(place) else (), own)

    study = planned()  # before a folder is made
    if again and study.protocol.command != "train":
        raise InputError("rejudge=true: verdicts of this study are not made from curves; drop it")
    if playing:
        out = out.absolute()
        _play(planned, out, _executor(said, out), said["minutes"], place)
    elif not table.names(place):
        raise InputError(f"table={place}: no table here; train the study's arms first")
    if playing and not table.names(place):
        return 0  # nothing to report yet
    study = planned()
    if again:
        changed = table.judge_again(place, study.protocol.updates)
        print(f"{place}: verdicts changed: {len(changed)}")
    if target is not None:
        print(report.write(study, place, target)[1])
    return 0


def train(task: "Task") -> "Result":
    """Train an arm in a worker, which imports this module first and hence large libraries as a command does."""
    from gcn.study.run import train_task

    return train_task(task)


def _executor(said: Arguments, out: Path) -> "Executor":
    """What trains the arms; a missing package or a wrong option is refused here, before a folder is made."""
    options = {key.removeprefix("slurm."): value for key, value in said.items() if key.startswith("slurm.")}
    if said["executor"] == "submitit":
        from gcn.study.executors.jobs import JobExecutor

        return JobExecutor(train, out / "jobs", said["workers"], options)
    if options:
        raise InputError(f"slurm.{next(iter(options))}: only with executor=submitit")
    if said["executor"] == "ray":
        from gcn.study.executors.ray_tasks import RayExecutor

        return RayExecutor(train, said["workers"])
    from gcn.study.executors.local import LocalExecutor

    return LocalExecutor(train, said["workers"])


def _play(
    planned: Callable[[], Any], out: Path, executor: "Executor", minutes: float | None, place: Path
) -> None:
    """Train the remaining arms. Runs of a scan decide levels of further arms, which are planned after them."""
    from gcn.files.atomic import make_folder
    from gcn.files.lock import only_writer
    from gcn.study import diagnostics, table
    from gcn.study import run as play
    from gcn.study.margin import margin_exponent

    ends = None if minutes is None else time.monotonic() + 60 * minutes
    with only_writer(make_folder(out)):  # a second study in the folder would play the same arms
        study = planned()
        while True:
            limit = None if ends is None else max(0.0, (ends - time.monotonic()) / 60)
            left = play.run(study, out, executor, limit, table.names(place), place)
            results = list(play.finished(study, out))
            rates = play.exponents(study, out)
            margin_exponent.write(rates, place)
            if not results and not table.names(place):
                done = f"; {place / margin_exponent.FILE}" if rates else ", and none is finished"
                print(
                    f"{left} of {len(study.arms)} arms are left{done}{'; run the command again to resume' * bool(left)}"
                )
                return
            file = table.write(results, place)[0]
            looks = list(play.finished(study, out, play.diagnostics_file))
            diagnostics.write([*(play.shared(study, out) if looks else []), *looks], place)
            play.keep_codecs(out, place)
            further = planned()
            if left or {arm.name for arm in further.arms} <= {arm.name for arm in study.arms}:
                break
            study = further
    print(f"{left} of {len(study.arms)} arms are left; {file}")
