"""Sweeps: what starts their jobs and chooses their values, what of that is refused, and how each job ended.

A job may run in another process or on another machine, so all that is known of its end is in its folder: the record
that a finished run writes, or ``error.txt``, the reason for which there is none.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import yaml

from gcn.cli.invocation import as_called
from gcn.cli.terminal import reason
from gcn.config import objective
from gcn.config.compose import composed_by_hydra, search_path
from gcn.config.offered import LAB, TRAIN, Root
from gcn.config.override_words import hydra_key, is_hydras
from gcn.config.parse import Config, Planned
from gcn.errors import InputError
from gcn.files.atomic import make_folder, write_text
from gcn.files.names import printable
from gcn.files.reading import LARGEST_YAML, check_events, read_text
from gcn.report.verdicts import read_summary
from gcn.report.wandb_content import SWEEP_FILE
from gcn.schema.plugins import Extension

FAILED = "error.txt"
STORAGE = "hydra.sweeper.storage"
BASIC, OPTUNA, SLURM = "basic", "optuna", "submitit_slurm"


class Engine(NamedTuple):
    """Hydra's plug-ins of a sweep.

    Attributes:
        launcher, sweeper: their names.
        tasks: that a launcher starts for each job on a machine.
        nodes: machines of each job.
    """

    launcher: str = BASIC
    sweeper: str = BASIC
    tasks: int = 1
    nodes: int = 1

    @property
    def chooses(self) -> bool:
        """Whether the sweeper chooses the values of a job by the results of others."""
        return self.sweeper != BASIC

    def prepared(self, words: Sequence[str], goals: Sequence[str], root: Root) -> list[str]:
        """The overrides of the sweep, with Optuna's direction.

        Raises:
            InputError: a sweeper that has nothing to improve, or would look for the worst.
        """
        if not self.chooses:
            return list(words)
        said = f"hydra/sweeper={self.sweeper}"
        if root is not TRAIN:
            name = as_called(f"scripts/{LAB.name}.py")
            raise InputError(f"{said}: {name} has no number to improve; drop it, and give values a,b,c")
        if not goals:
            raise InputError(f"{said}: it needs to know which number to improve; give objective=val/swd")
        if any(hydra_key(word) == "hydra.sweep.subdir" for word in words):
            raise InputError(f"hydra.sweep.subdir: with {said} jobs are named by their numbers; drop it")
        if self.sweeper != OPTUNA:
            return list(words)
        _check_storage(words)
        others = [word for word in words if hydra_key(word) != objective.DIRECTION]
        return [*others, objective.directed(goals, words)]

    def check_processes(self, cfg: Config) -> None:
        """Raise InputError for a job that the launcher would start in another number of processes than it needs."""
        if cfg.get("resume") is not None:
            raise InputError("resume with -m: a run is continued on its own; drop -m")
        trainer, started = cfg.get("trainer", {}), self.tasks * self.nodes
        devices = trainer.get("devices")
        if trainer.get("strategy") != "ddp" and (devices or 1) == 1:
            if started > 1:
                remedy = "drop both" + (", or give trainer=ddp" if self.launcher == SLURM else "")
                raise InputError(f"{self}: each process of a job would train the same run; {remedy}")
        elif self.launcher != SLURM:
            raise InputError(
                "several processes with -m: each of them would begin the sweep again; start the runs one by one, for "
                "instance in a shell loop, or as SLURM jobs, hydra/launcher=submitit_slurm; or drop trainer=ddp and "
                "devices"
            )
        elif started == 1 or devices not in (None, self.tasks):
            wanted = devices if devices not in (None, 1) else "N"
            raise InputError(
                f"{self}: the run has {devices or 'several'} processes on each machine; give "
                f"hydra.launcher.tasks_per_node={wanted} and devices={wanted}"
            )
        elif cfg.data.batch % started:
            raise InputError(
                f"{self}: data.batch={cfg.data.batch} cannot be divided among {started} processes; choose a multiple"
            )

    def __str__(self) -> str:
        return f"hydra/launcher={self.launcher} with tasks_per_node={self.tasks} and nodes={self.nodes}"


def _check_storage(words: Sequence[str]) -> None:
    """Raise InputError for a database of trials that Optuna 2 cannot open with the SQLAlchemy that is installed."""
    for word in words:
        name, _, place = word.partition("=")
        if hydra_key(name) == STORAGE and "://" in place and not place.strip("'\"").startswith("redis"):
            found = version("SQLAlchemy")
            if int(found.partition(".")[0]) >= 2:
                raise InputError(
                    f"{STORAGE}: Optuna {version('optuna')} cannot keep trials in a database with SQLAlchemy {found}; "
                    "drop it (each run is kept in its folder)"
                )


def engine(words: Sequence[str], own: Extension, root: Root) -> Engine:
    """Launcher and sweeper that the overrides of a sweep choose; raises InputError for one that is not installed."""
    said = [word for word in words if is_hydras(word)]
    if not any(hydra_key(word) in ("hydra/launcher", "hydra/sweeper") for word in said):
        return Engine()
    node = composed_by_hydra([*said, *search_path(root, own.folders)], root, own).hydra
    chosen = node.runtime.choices
    tasks, nodes = node.launcher.get("tasks_per_node"), node.launcher.get("nodes")
    return Engine(chosen["hydra/launcher"], chosen["hydra/sweeper"], tasks or 1, nodes or 1)


class Job(NamedTuple):
    """One job of a sweep: its number, its words and its folder."""

    number: int
    words: Sequence[str]
    folder: Path

    def failure(self, root: Root) -> str | None:
        """Why the job has no result; None if it has one."""
        if (self.folder / FAILED).is_file():
            return printable(read_text(self.folder / FAILED, LARGEST_YAML).strip())
        if (self.folder / root.record).is_file():
            return None
        return f"ended without {root.record}"


def one_of_each(
    tried: Iterable[Iterable[Sequence[str]]], check: Callable[[Sequence[str]], Planned]
) -> Planned:
    """Check a job for each value of a sweep; returns the last one that passed.

    Args:
        tried: jobs by value, see :func:`gcn.config.sweep.probes`.
        check: raises InputError for a job that cannot begin.

    Raises:
        InputError: all jobs with one of the values are refused.
    """
    passed = None
    for jobs in tried:
        refused = None
        for words in jobs:
            try:
                passed = check(words)
                break
            except InputError as problem:
                refused = refused or problem
        else:
            assert refused is not None
            raise refused
    assert passed is not None
    return passed


def refuse_common(jobs: Sequence[Job]) -> None:
    """Raise InputError for two jobs with one folder."""
    folders: set[Path] = set()
    for job in jobs:
        if job.folder in folders:
            raise InputError(
                f"hydra.sweep.subdir: two jobs would share the folder {printable(job.folder)}; drop it "
                f"(job {job.number}: {' '.join(job.words)})"
            )
        folders.add(job.folder)


def forget_failure(folder: Path) -> None:
    """Remove the reason for which an earlier job in this folder failed."""
    (folder / FAILED).unlink(missing_ok=True)


def note_failure(folder: Path, problem: Exception) -> None:
    """Write into a job's folder why it failed."""
    said = " ".join(
        reason(problem).split()
    )  # what is no InputError and no fault of the machine has its type in it
    with suppress(OSError, InputError):  # a full disk, perhaps, of which the job has told the terminal
        make_folder(folder)
        write_text(folder / FAILED, f"{said}\n")


def begun(whole: Path) -> list[Job]:
    """The jobs that a sweeper has begun in the folder of a sweep, with the words that it chose."""
    numbered = [path for path in whole.glob("*") if path.name.isdigit()] if whole.is_dir() else []
    return [
        Job(int(path.name), _words(path), path) for path in sorted(numbered, key=lambda path: int(path.name))
    ]


def _words(folder: Path) -> list[str]:
    """The overrides in Hydra's record of a job; none if it has no record."""
    path = folder / ".hydra" / "overrides.yaml"
    try:
        text = read_text(path, LARGEST_YAML)
        check_events(text, interpolations=True)
        found = yaml.safe_load(text)
    except (InputError, yaml.YAMLError, ValueError, RecursionError):
        return []
    return [str(word) for word in found] if isinstance(found, list) else []


def write_record(whole: Path, words: Sequence[str]) -> None:
    """Write the words of a sweep into its folder, where only Hydra's basic sweeper does so itself."""
    make_folder(whole)
    write_text(whole / SWEEP_FILE, yaml.safe_dump({"hydra": {"overrides": {"task": list(words)}}}))


def print_summary(whole: Path, jobs: Sequence[Job], root: Root, goals: Sequence[str]) -> None:
    """Print a line for each job of a sweep, from the records that the runs wrote."""
    if not jobs:
        return
    from rich.console import Console
    from rich.table import Column, Table

    columns = [*root.columns, *(goal for goal in goals if goal not in root.columns)]
    table = Table("job", Column("swept", overflow="fold"), *columns, title=f"{whole}/JOB")
    fixed = set.intersection(*(set(job.words) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        found = read_summary(job.folder / root.record)
        if found is None or (job.folder / FAILED).is_file():
            found = {root.columns[0]: f"no {root.record}" if found is None else "failed"}
        else:
            found |= dict(zip(goals, _values(goals, job.folder), strict=True))
        cells = [found.get(name) for name in columns]
        text = [
            f"{cell:.4g}" if isinstance(cell, float) else str("-" if cell is None else cell) for cell in cells
        ]
        table.add_row(str(job.number), " ".join(word for word in job.words if word not in fixed), *text)
    Console(markup=False).print(table)  # names may have brackets


def _values(goals: Sequence[str], folder: Path) -> list[float]:
    found = objective.value(goals, folder) if goals else []
    return found if isinstance(found, list) else [found]


def tell_failures(jobs: Sequence[Job], root: Root) -> int:
    """Print a line for each job without a result, and how many there are; returns that number."""
    failed = [(job, why) for job in jobs if (why := job.failure(root)) is not None]
    for job, why in failed:
        words = " ".join(word for word in job.words if not is_hydras(word))
        print(f"error: job {job.number} ({printable(words)}): {why}", file=sys.stderr)
    if failed:
        print(f"error: {len(failed)} of {len(jobs)} jobs failed", file=sys.stderr)
    return len(failed)
