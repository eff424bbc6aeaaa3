"""The command line: help, one-line errors, sweeps, run folders, interruption.

Hydra keeps what it is good at (composition, sweeps, launchers, ``--cfg``, ``--info``, completion). It is
called with words that have been checked, so that its own ways of reporting errors are never seen.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from gcn.cli.arguments import spelled
from gcn.cli.invocation import called
from gcn.cli.quoting import resuming, word
from gcn.cli.terminal import guarded, is_of_the_machine, reason
from gcn.commands import multirun, restart
from gcn.commands.help import FOLDER, help_text
from gcn.commands.reservation import (
    is_helper_process,
    refuse_interpolation,
    refuse_lonely_folder,
    refuse_used,
    reserved,
    unused_removed,
)
from gcn.config import objective
from gcn.config.compose import PLACES, declare, search_path
from gcn.config.destinations import words_again
from gcn.config.flags import composed_once, plain_errors, read_flags
from gcn.config.lightning_words import appended
from gcn.config.offered import TRAIN, Root
from gcn.config.override_words import hydra_key, is_hydras, key_of, normal, refuse_doubled
from gcn.config.parse import Config, Planned, is_of_the_runs_choice, parse, plan, save
from gcn.config.preflight import check_run, note
from gcn.config.stored import FILE
from gcn.config.sweep import axes, jobs, probes
from gcn.errors import BrokenOff, InputError
from gcn.files.atomic import check_folder, write_bytes
from gcn.files.names import printable
from gcn.schema.conf_folder import CONF
from gcn.schema.plugins import Extension, extension, named

Train = Callable[[Config], Any]


def main(words: Sequence[str], train: Train | None = None, root: Root = TRAIN) -> int:
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 or 143 after an interruption.

    Args:
        words: of the command line.
        train: what is done with the checked configuration of each job; by default ``job`` of the command's module.
        root: whose configuration.
    """

    def job(cfg: Config) -> Any:
        # torch is imported for a checked configuration only
        return import_module(f"gcn.commands.{root.name}").job(cfg)

    shown = (*called(root.name), *words)
    return guarded(lambda: _main(words, train or job, root), command=shown)


def _main(words: Sequence[str], train: Train, root: Root) -> int:
    arguments = read_flags(list(spelled(words, "out".__eq__)))
    names, others = named(arguments.overrides)
    own = extension(names, arguments.config_dir)
    if arguments.help:
        sys.stdout.write(help_text(root, own))
        return 0
    refuse_interpolation(Path.cwd())
    flags, plugins = arguments.flags(), own._replace(config_dir=None).words
    if arguments.hydra_help or arguments.shell_completion:
        said = [w for w in others if arguments.shell_completion or is_hydras(w)]
        return _view([*flags, *said], own, root)
    goals, others = objective.named(others) if root is TRAIN else ([], others)
    if goals and not arguments.multirun:
        raise InputError("objective: is what a sweep improves; add -m hydra/sweeper=optuna, or drop it")
    overrides = _placed([*normal(others), *plugins], arguments.multirun)
    refuse_doubled(overrides)
    keys = {hydra_key(word) for word in overrides}
    if "hydra.mode" in keys:
        raise InputError("hydra.mode: use -m for a sweep")
    if "hydra/sweeper" not in keys and any(key.startswith("hydra.sweeper.params") for key in keys):
        raise InputError("hydra.sweeper.params: give the values of a sweep as words, mse=0,1 with -m")
    if arguments.multirun:
        return _sweep(flags, overrides, train, own, root, goals)
    if arguments.cfg or arguments.info:
        arguments.check_package(plan(overrides, own.config_dir, root=root).config)
        return _view([*flags, *overrides], own, root)
    return _run(flags, overrides, train, own, root)


def _placed(words: Sequence[str], sweep: bool) -> list[str]:
    """The overrides with ``out=FOLDER`` as Hydra's override for the folder; an empty folder is refused."""
    place = "hydra.sweep.dir" if sweep else "hydra.run.dir"
    for said in words:
        if hydra_key(said) in ("out", "hydra.run.dir", "hydra.sweep.dir") and not said.partition("=")[
            2
        ].strip("'\""):
            raise FOLDER.refusal(hydra_key(said), "")
    twice = sum(hydra_key(said) in ("out", place) for said in words) > 1
    if twice and not is_helper_process():  # Lightning repeats the first process's words and adds the folder
        raise InputError("out= was given twice")
    return [word(place, said.partition("=")[2]) if key_of(said) == "out" else said for said in words]


def _view(words: Sequence[str], own: Extension, root: Root) -> int:
    """Print one of Hydra's views (``--cfg``, ``--info``), which begins no job."""

    def nothing(cfg: Config) -> None:
        raise AssertionError("a view begins no job")

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return _hydra(words, nothing, own, root, "standard output")
    except SystemExit as end:
        if end.code:  # Hydra has said why
            raise InputError(" ".join(said.getvalue().split())) from None
        return 0


def _run(flags: Sequence[str], overrides: Sequence[str], train: Train, own: Extension, root: Root) -> int:
    cfg, folder, *_ = plan(overrides, own.config_dir, root=root)
    refuse_lonely_folder(overrides)
    begun = _check(cfg, overrides, folder, root, own)
    place = [word("hydra.run.dir", folder)]
    resumed = cfg.get("resume") is not None
    if (
        resumed
    ):  # of what Hydra composes only the place is used; the run's data or logger may be of another kind
        overrides = [f"++{word}" if is_of_the_runs_choice(word) else word for word in overrides]
    if begun or resumed or is_helper_process():
        place.append("hydra.output_subdir=null")  # Hydra's record is the first process's, of its first start
    try:
        with unused_removed(folder):
            return _hydra([*flags, *overrides, *place], train, own, root, folder)
    except KeyboardInterrupt as signalled:
        raise type(signalled)(_how_to_go_on(folder, root, cfg)) from None


def _check(cfg: Config, words: Sequence[str], folder: Path, root: Root, own: Extension) -> bool:
    """Refuse a job that cannot begin before torch is imported; returns whether it continues a run in its folder."""
    refuse_interpolation(folder)
    check_folder("out" if cfg.get("resume") is None else "resume", folder)
    begun = cfg.get("resume") is None and refuse_used(cfg, folder, root)
    if root is TRAIN:
        check_run(restart.resumed(folder, cfg, words) if begun else cfg, words)
    return begun


def _hydra(
    words: Sequence[str],
    train: Train,
    own: Extension,
    root: Root,
    place: str | Path,
    sweep: Sequence[str] | None = None,
) -> int:
    """Run Hydra, which calls ``train`` for each job; returns the exit status.

    Args:
        words: flags and overrides.
        train: what is done with the checked configuration of a job.
        own: what the user adds.
        root: whose configuration.
        place: where Hydra itself writes, for errors.
        sweep: names of the numbers that the jobs of a sweep return; None: this is a single run.
    """
    failed, problems, starter = False, [], os.getpid()

    def train_in(folder: Path, said: list[Any]) -> None:
        cfg = parse(said, own.config_dir, root)
        if cfg.get("resume") is None and refuse_used(cfg, folder, root):
            if restart.is_complete(folder, cfg.steps):
                print(f"{printable(folder)}: the run is complete")
                return
            cfg = restart.resumed(folder, cfg, said)
        cfg["run_dir"] = str(folder)
        if is_helper_process():
            train(cfg)
            return
        with _saved(cfg, folder):
            remark = note(cfg) if root is TRAIN else None
            if remark is not None:
                print(remark, file=sys.stderr)
            train(cfg)

    def job(_: Any) -> Any:  # perhaps in another process, to which a launcher sends this function
        nonlocal failed
        state = HydraConfig.get()
        # unresolved: a name with an escaped ${ in it would lose its escape
        said = cast(list[Any], OmegaConf.to_container(state.overrides.task, resolve=False))
        folder = Path(state.runtime.output_dir)
        if sweep is not None:
            multirun.forget_failure(folder)
        try:
            with nullcontext() if is_helper_process() else reserved(folder, normal(said), sweep is not None):
                train_in(folder, said)
                return objective.value(sweep, folder) if sweep and not is_helper_process() else None
        except Exception as problem:
            if isinstance(problem, InputError) or (sweep is not None and is_of_the_machine(problem)):
                failed = True  # this job alone: a sweep goes on
                print(f"error: {reason(problem)}", file=sys.stderr)
                if sweep is not None:
                    multirun.note_failure(folder, problem)
                return None
            problems.append(problem)
            if sweep is None:
                return None  # raised below: Hydra would print a line of its own about it
            _note_bug(folder, problem, starter)
            raise
        finally:
            declare(own)  # for the next job of a sweep

    declare(own)
    sys.argv = [sys.argv[0], *map(appended, words), *search_path(root, own.conf)]
    try:
        with plain_errors(problems, place), composed_once():
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=root.name)(job)()
        if sweep is None and problems:
            raise problems[0]
    finally:
        sys.argv = sys.argv[:1]
    return 2 if failed else 0


@contextmanager
def _saved(cfg: Config, folder: Path) -> Iterator[None]:
    """Save the configuration for the block; a run that is not resumed after all keeps the one it had."""
    before = None if cfg.get("resume") is None else (folder / FILE).read_bytes()
    save(cfg, folder)
    try:
        yield
    except InputError as problem:
        if before is not None and not isinstance(problem, BrokenOff):
            write_bytes(folder / FILE, before, sync=True)
        raise


def _note_bug(folder: Path, problem: Exception, starter: int) -> None:
    """Record what ended a job of a sweep, and show where if the job has a process of its own."""
    multirun.note_failure(folder, problem)
    if os.getpid() != starter:
        traceback.print_exc()  # the sweep's own process gets the message alone


def _sweep(
    flags: Sequence[str],
    overrides: Sequence[str],
    train: Train,
    own: Extension,
    root: Root,
    goals: Sequence[str],
) -> int:
    engine = multirun.engine(overrides, own, root)
    overrides = engine.prepared(overrides, goals, root)

    def check(words: Sequence[str], number: int = 0) -> Planned:
        try:
            planned = plan(words, own.config_dir, number, root)
            engine.check_processes(planned.config)
            _check(planned.config, words, planned.job, root, own)
            if goals:
                objective.check(goals, planned.config)
        except InputError as error:
            raise InputError(f"{error} (job {number}: {' '.join(words)})") from None
        return planned

    found = axes(overrides, root, own, intervals=engine.chooses)
    known: list[multirun.Job] = []
    if engine.chooses:
        of_jobs = {key: values for key, values in found.items() if key in PLACES or not is_hydras(key)}
        whole = multirun.one_of_each(probes(of_jobs), check).sweep
        multirun.write_record(whole, overrides)
    else:
        for number, words in enumerate(jobs(found)):
            _, _, whole, folder = check(words, number)
            known.append(multirun.Job(number, words, folder))
        multirun.refuse_common(known)
    try:
        _hydra([*flags, *overrides, word("hydra.sweep.dir", whole)], train, own, root, whole, goals)
    except KeyboardInterrupt as signalled:
        begun = [job for job in known or multirun.begun(whole) if (job.folder / "config.yaml").exists()]
        if not begun:
            raise type(signalled)(_how_to_go_on(whole, root)) from None
        cfg = parse(begun[-1].words, own.config_dir, root)
        raise type(signalled)(_how_to_go_on(begun[-1].folder, root, cfg)) from None
    except InputError:  # of a launcher or a sweeper, perhaps because of its jobs
        multirun.tell_failures(multirun.begun(whole), root)
        raise
    finally:
        multirun.print_summary(whole, known or multirun.begun(whole), root, goals)
    return 2 if multirun.tell_failures(known or multirun.begun(whole), root) else 0


def _how_to_go_on(folder: Path, root: Root, cfg: Config | None = None) -> str:
    if root is not TRAIN:
        return f"interrupted; begin again in another folder than {folder}"
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"interrupted; continue with: {resuming(folder, *(words_again(cfg) if cfg else []))}"
    return f"interrupted before the first checkpoint of {folder}"
