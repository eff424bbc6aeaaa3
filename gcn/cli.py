"""The command line: help, one-line errors, sweeps, run folders, interruption.

Hydra keeps what it is good at (composition, sweeps, launchers, ``--cfg``, ``--info``, completion). It is
called with words that have been checked, so that its own ways of reporting errors are never seen.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from gcn.compose import CONF, TRAIN, Root, declare, jobs, key_of, normal, search_path
from gcn.config import Config, parse, plan, save
from gcn.errors import InputError
from gcn.files.command import resuming, word
from gcn.files.lock import LOCK_FILE, only_writer
from gcn.training.log import LOG_FILE
from gcn.usage import help_text

Train = Callable[[Config], Any]

REFUSED = {
    "config_path": "the configuration lives in conf/; --config-dir=DIR adds a folder of your own",
    "config_name": "each script has its own root in conf/; --config-dir=DIR adds a folder of your own",
    "experimental_rerun": "use resume=RUN_FOLDER",
}


def main(words: Sequence[str], train: Train, root: Root = TRAIN) -> int:
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 after an interruption.

    Args:
        words: of the command line.
        train: what is done with the checked configuration of each job.
        root: whose configuration.
    """
    try:
        return _main(words, train, root)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _main(words: Sequence[str], train: Train, root: Root) -> int:
    arguments = _arguments(words)
    if arguments.help:
        sys.stdout.write(help_text(root))
        return 0
    _refuse_interpolation(Path.cwd())
    extra = arguments.config_dir
    if extra is not None and not Path(extra).is_dir():
        raise InputError(f"--config-dir={extra}: no such folder")
    if arguments.shell_completion or arguments.hydra_help:
        return _hydra(words, train, extra, root)
    overrides = normal(arguments.overrides)
    flags = [word for word in words if word not in arguments.overrides]
    if any(word.startswith("hydra.mode=") for word in overrides):
        raise InputError("hydra.mode: use -m for a sweep")
    if arguments.multirun:
        return _sweep(flags, overrides, train, extra, root)
    cfg, folder, *_ = plan(overrides, extra, root=root)
    if arguments.cfg or arguments.info:
        return _hydra([*flags, *overrides], train, extra, root)
    _refuse_lonely_folder(overrides)
    _refuse_interpolation(folder)
    place = [word("hydra.run.dir", folder)]
    resumed = cfg.get("resume") is not None
    if not resumed:
        _refuse_used(folder, root)
    if resumed:  # of what Hydra composes only the place is used; the run's data may be of another kind
        overrides = [f"++{word}" if key_of(word).startswith("data.") else word for word in overrides]
    if resumed or _is_helper_process():
        place.append("hydra.output_subdir=null")  # Hydra's record is the first process's, of its first start
    try:
        return _hydra([*flags, *overrides, *place], train, extra, root)
    except KeyboardInterrupt:
        print(_how_to_go_on(folder, root), file=sys.stderr)
        return 130


class _Refusal(argparse.ArgumentParser):
    """Hydra's parser with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = get_args_parser()
    parser.__class__ = _Refusal
    arguments = parser.parse_intermixed_args(list(words))
    for name, remedy in REFUSED.items():
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name.replace('_', '-')}: {remedy}")
    return arguments


def _hydra(words: Sequence[str], train: Train, extra: str | None, root: Root) -> int:
    """Hand over to Hydra, which calls ``train`` for each job; returns the exit status."""
    failed = False

    def job(_: Any) -> Any:
        nonlocal failed
        state = HydraConfig.get()
        # unresolved: a name with an escaped ${ in it would lose its escape
        said = OmegaConf.to_container(state.overrides.task, resolve=False)
        assert isinstance(said, list)
        folder = Path(state.runtime.output_dir)
        try:
            with nullcontext() if _is_helper_process() else _own(folder, normal(said), root):
                cfg = parse(said, extra, root)
                cfg["run_dir"] = str(folder)
                if not _is_helper_process():
                    save(cfg, folder)
                return train(cfg)
        except InputError as error:  # of this job: a sweep goes on
            print(f"error: {error}", file=sys.stderr)
            failed = True
            return None

    declare()
    sys.argv = [sys.argv[0], *words, *search_path(root)]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=root.name)(job)()
    return 2 if failed else 0


def _sweep(
    flags: Sequence[str], overrides: Sequence[str], train: Train, extra: str | None, root: Root
) -> int:
    folders, whole = [], Path()
    listed = jobs(overrides)
    for number, words in enumerate(listed):
        try:
            cfg, _, whole, folder = plan(words, extra, number, root)
            _refuse_processes(cfg)
            _refuse_used(folder, root)
            _refuse_interpolation(folder)
            folders.append(folder)
        except InputError as error:
            raise InputError(f"{error} (job {number}: {' '.join(words)})") from None
    place = word("hydra.sweep.dir", whole)
    try:
        return _hydra([*flags, *overrides, place], train, extra, root)
    except KeyboardInterrupt:
        begun = [folder for folder in folders if (folder / "config.yaml").exists()]
        print(_how_to_go_on(begun[-1] if begun else whole, root), file=sys.stderr)
        return 130
    finally:
        _print_summary(whole, listed, folders, root)


def _refuse_processes(cfg: Config) -> None:
    if cfg.get("resume") is not None:
        raise InputError("resume with -m: a run is continued on its own; drop -m")
    trainer = cfg.get("trainer", {})
    if trainer.get("strategy") == "ddp" or (trainer.get("devices") or 1) > 1:
        raise InputError(
            "several processes with -m: each of them would begin the sweep again; start the runs one by one, "
            "for instance in a shell loop, or drop trainer=ddp and devices"
        )


def _refuse_used(folder: Path, root: Root) -> None:
    if (folder / "config.yaml").exists() and not _is_helper_process():
        remedy = f"continue it with: {resuming(folder)}; or choose another folder"
        raise InputError(f"{folder}: holds a run; {remedy if root is TRAIN else 'choose another folder'}")


@contextmanager
def _own(folder: Path, words: Sequence[str], root: Root) -> Iterator[None]:
    """The folder for this job alone. A new one is removed if the job is refused, so that it may be tried again."""
    with only_writer(folder):
        if any(key_of(word) == "resume" for word in words):
            yield
            return
        _refuse_used(folder, root)  # once more: another process may have begun a run there in the meantime
        try:
            yield
        except InputError:
            if {path.name for path in folder.iterdir()} <= {"config.yaml", ".hydra", LOCK_FILE, LOG_FILE}:
                shutil.rmtree(folder)
            raise


def _refuse_lonely_folder(overrides: Sequence[str]) -> None:
    """Processes that somebody else starts would each make a folder of their own."""
    named = any(word.startswith(("hydra.run.dir=", "resume=")) for word in overrides)
    started_outside = ("RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1) or (
        "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    )
    if started_outside and not named:
        raise InputError("several processes without a common folder: give hydra.run.dir=DIR")


def _refuse_interpolation(folder: Path) -> None:
    """Hydra notes the run folder and the working directory, and takes ``${`` in them for a reference."""
    if "${" in str(folder.absolute()):
        raise InputError(f"{folder}: a run cannot be in or below a folder with ${{ in its name; rename it")


def _is_helper_process() -> bool:
    return any(
        os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    )


def _how_to_go_on(folder: Path, root: Root) -> str:
    if root is not TRAIN:
        return f"interrupted; begin again in another folder than {folder}"
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"interrupted; continue with: {resuming(folder)}"
    return f"interrupted before the first checkpoint of {folder}"


def _print_summary(whole: Path, jobs: Sequence[Sequence[str]], folders: Sequence[Path], root: Root) -> None:
    """One line for each job of a sweep, from the summaries that the runs wrote."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "swept", *root.columns, title=f"{whole}/JOB")
    fixed = set.intersection(*(set(words) for words in jobs))
    for number, (words, folder) in enumerate(zip(jobs, folders, strict=True)):
        path = folder / root.record
        found = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {root.columns[0]: "no summary"}
        )
        cells = [found.get(key) for key in root.columns]
        text = [
            f"{cell:.4g}" if isinstance(cell, float) else str("-" if cell is None else cell) for cell in cells
        ]
        table.add_row(str(number), " ".join(word for word in words if word not in fixed), *text)
    Console().print(table)
