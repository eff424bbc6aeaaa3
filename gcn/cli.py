"""The command line: help, one-line errors, sweeps, run folders, interruption.

Hydra keeps what it is good at (composition, sweeps, launchers, ``--cfg``, ``--info``, completion). It is called with words
that have been checked, so that its own ways of reporting errors are never seen.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig

from gcn import config
from gcn.config import CONF, ROOT, Config
from gcn.errors import InputError
from gcn.knobs import PAYERS
from gcn.schema import declarations, show

Train = Callable[[Config], Any]

USAGE = """\
Train a generative compression network, and switch every ingredient of its objective.

usage: python scripts/train.py [-m] [GROUP=CHOICE] [KNOB=VALUE] [SETTING=VALUE] ...
"""
EXAMPLES = """\
Examples
  python scripts/train.py loss=ns mse=1
  python scripts/train.py loss=hinge mse=1 lpips=6.67 r1=10 terms.r1.every=16 relativistic=pair
  python scripts/train.py -m loss=ns,hinge mse=null,0,1 seed=0,1      one run for each combination
  python scripts/train.py data=folder data.root=DIR trainer=ddp devices=2
  python scripts/train.py resume=outputs/DATE/RUN steps=20000

--cfg job prints the configuration with all settings, --hydra-help the other flags.
"""
REFUSED = {
    "config_path": "the configuration lives in conf/; --config-dir=DIR adds a folder of your own",
    "config_name": "there is one root, conf/train.yaml; put your settings in conf/experiment",
    "experimental_rerun": "use resume=RUN_FOLDER",
}


def main(words: Sequence[str], train: Train) -> int:
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 after an interruption."""
    try:
        return _main(words, train)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _main(words: Sequence[str], train: Train) -> int:
    arguments = _arguments(words)
    if arguments.help:
        print(help_text())
        return 0
    extra = arguments.config_dir
    if extra is not None and not Path(extra).is_dir():
        raise InputError(f"--config-dir={extra}: no such folder")
    if arguments.shell_completion or arguments.hydra_help:
        return _hydra(words, train, extra)
    overrides = config.normal(arguments.overrides)
    flags = [word for word in words if word not in arguments.overrides]
    if any(word.startswith("hydra.mode=") for word in overrides):
        raise InputError("hydra.mode: use -m for a sweep")
    if arguments.multirun:
        return _sweep(flags, overrides, train, extra)
    cfg, folder, *_ = config.plan(overrides, extra)
    if arguments.cfg or arguments.info:
        return _hydra([*flags, *overrides], train, extra)
    _refuse_lonely_folder(overrides)
    place = [f"hydra.run.dir={config.quoted(str(folder))}"]
    if cfg.resume is None:
        _refuse_used(folder)
    else:
        place.append("hydra.output_subdir=null")  # the folder keeps Hydra's record of how the run began
    try:
        return _hydra([*flags, *overrides, *place], train, extra)
    except KeyboardInterrupt:
        print(_how_to_go_on(folder), file=sys.stderr)
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


def _hydra(words: Sequence[str], train: Train, extra: str | None) -> int:
    """Hand over to Hydra, which calls ``train`` for each job; returns the exit status."""
    failures: list[str] = []

    def job(_: Any) -> Any:
        state = HydraConfig.get()
        try:
            cfg = config.parse(list(state.overrides.task), extra)
            cfg["run_dir"] = state.runtime.output_dir
            if not _is_helper_process():
                config.save(cfg, Path(cfg.run_dir))
            return train(cfg)
        except InputError as error:
            where = f"job {state.job.num}: " if state.mode.name == "MULTIRUN" else ""
            failures.append(f"{where}{error}")
            return None

    config.declare()
    sys.argv = [sys.argv[0], *words]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=ROOT)(job)()
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failures else 0


def _sweep(flags: Sequence[str], overrides: Sequence[str], train: Train, extra: str | None) -> int:
    jobs, folders, root = config.jobs(overrides), [], Path()
    for number, words in enumerate(jobs):
        try:
            cfg, _, root, folder = config.plan(words, extra, number)
            _refuse_processes(cfg)
            _refuse_used(folder)
            folders.append(folder)
        except InputError as error:
            raise InputError(f"{error} (job {number}: {' '.join(words)})") from None
    place = f"hydra.sweep.dir={config.quoted(str(root))}"
    try:
        return _hydra([*flags, *overrides, place], train, extra)
    except KeyboardInterrupt:
        begun = [folder for folder in folders if (folder / "config.yaml").exists()]
        print(_how_to_go_on(begun[-1] if begun else root), file=sys.stderr)
        return 130
    finally:
        _print_summary(jobs, folders)


def _refuse_processes(cfg: Config) -> None:
    if cfg.resume is not None:
        raise InputError("resume with -m: a run is continued on its own; drop -m")
    if cfg.trainer.get("strategy") == "ddp" or (cfg.trainer.devices or 1) > 1:
        raise InputError(
            "several processes with -m: each of them would begin the sweep again; start the runs one by one, for "
            "instance in a shell loop, or drop trainer=ddp and devices"
        )


def _refuse_used(folder: Path) -> None:
    if (folder / "config.yaml").exists() and not _is_helper_process():
        raise InputError(f"{folder}: holds a run; continue it with resume={folder}, or choose another folder")


def _refuse_lonely_folder(overrides: Sequence[str]) -> None:
    """Processes that somebody else starts would each make a folder of their own."""
    named = any(word.startswith(("hydra.run.dir=", "resume=")) for word in overrides)
    started_outside = ("RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1) or (
        "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    )
    if started_outside and not named:
        raise InputError("several processes without a common folder: give hydra.run.dir=DIR")


def _is_helper_process() -> bool:
    return any(
        os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    )


def _how_to_go_on(folder: Path) -> str:
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"interrupted; continue with: python scripts/train.py resume={shlex.quote(str(folder))}"
    return f"interrupted before the first checkpoint of {folder}"


def _print_summary(jobs: Sequence[Sequence[str]], folders: Sequence[Path]) -> None:
    """One line for each job of a sweep, from the summaries that the runs wrote."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "swept", "verdict", "psnr", "bpp", "folder", title="Sweep")
    fixed = set.intersection(*(set(words) for words in jobs))
    for number, (words, folder) in enumerate(zip(jobs, folders, strict=True)):
        path = folder / "summary.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"verdict": "no summary"}
        cells = [found.get(key) for key in ("verdict", "psnr", "bpp")]
        text = [
            f"{cell:.4g}" if isinstance(cell, float) else str("-" if cell is None else cell) for cell in cells
        ]
        table.add_row(str(number), " ".join(word for word in words if word not in fixed), *text, str(folder))
    Console().print(table)


def help_text() -> str:
    """What ``--help`` prints."""
    knobs, start = config.knobs(), config.parse([])
    sections = [USAGE]
    sections.append(
        "Knobs\n  A weight is null (absent), 0 (measured, not optimised) or a number (optimised). Options of a knob:\n"
        "  terms.KNOB.OPTION=VALUE.\n"
    )
    for payer in PAYERS:
        rows = []
        for name, knob in knobs.items():
            if knob.who == payer:
                options = f" [{', '.join(knob.options)}]" if knob.options else ""
                values = str(knob.field).removesuffix(" or null")
                kind = "weight" if knob.kind == "weight" else values
                rows.append((f"{name}={show(knob.start)}", f"{knob.help}; {kind}{options}"))
        sections.append(f"{payer}\n{_columns(rows)}")
    groups = config.groups()
    rows = [(f"{g}={start.choices.get(g) or 'null'}", ", ".join(choices)) for g, choices in groups.items()]
    sections.append(f"Groups\n{_columns(rows)}")
    root = declarations(CONF / f"{ROOT}.yaml")
    rows = [
        (f"{name}={show(_value(start, name))}", f"{field.help}; {field.beside(_value(start, name))}")
        for name, field in root.items()
    ]
    sections.append(f"Settings\n{_columns(rows)}")
    return "\n".join([*sections, EXAMPLES])


def _value(cfg: Config, name: str) -> Any:
    for part in name.split("."):
        cfg = cfg[part]
    return cfg


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"  {left:<26}{right}\n" for left, right in rows)
