"""Hydra's command-line flags: which are allowed, in which combinations, with errors of one line."""

import argparse
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.plugins.sweeper import Sweeper

from gcn.config.hydra_errors import one_line_errors
from gcn.config.parse import Config
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.fields import at, suggestion

REFUSED = {
    "config_path": "the configuration lives in conf/; --config-dir=DIR adds a folder of your own",
    "config_name": "each script has its own root in conf/; --config-dir=DIR adds a folder of your own",
    "experimental_rerun": "use resume=RUN_FOLDER",
}
EXCLUSIVE = ("run", "multirun", "cfg", "info", "shell_completion", "hydra_help")


class Flags(argparse.Namespace):
    """A command line split into Hydra's flags by name and the other arguments as ``overrides``."""

    def flags(self) -> list[str]:
        """The flags for Hydra, each in its long form."""
        said = []
        for name, value in vars(self).items():
            flag = f"--{name.replace('_', '-')}"
            if name != "overrides" and value not in (None, False):
                said += [flag] if value is True else [flag, value]
        return said

    def check_package(self, cfg: Config) -> None:
        """Raise InputError if ``--package`` names nothing in the job's configuration."""
        if self.package not in (None, "_global_") and self.cfg == "job" and at(cfg, self.package) is None:
            names = [name for name, value in cfg.items() if isinstance(value, Config)]
            raise InputError(f"--package {self.package}: no such part; {suggestion(self.package, names)}")

    def refuse_combinations(self) -> None:
        """Raise InputError for flags that contradict each other or have no effect without another."""
        for name, remedy in REFUSED.items():
            if getattr(self, name) is not None:
                raise InputError(f"--{name.replace('_', '-')}: {remedy}")
        given = [
            f"--{name.replace('_', '-')}" for name in EXCLUSIVE if getattr(self, name) not in (None, False)
        ]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)}: give one of them")
        for name in ("package", "resolve"):
            if getattr(self, name) not in (None, False) and self.cfg is None:
                raise InputError(f"--{name}: belongs to --cfg, which shows a configuration; add --cfg job")
        if self.config_dir is not None and not os.path.isdir(self.config_dir):
            raise InputError(f"--config-dir={printable(self.config_dir)}: no such folder")


WRITTEN = "settings are written name=value, without dashes; see --help"


class _Parser(argparse.ArgumentParser):
    """Hydra's parser with errors of one line, without abbreviated flags."""

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (\S+).*", message)
        if unknown is None:
            raise InputError(f"{' '.join(message.split())}; see --help")
        flags = [flag for action in self._actions for flag in action.option_strings]
        raise InputError(f"{unknown[1]}: unknown; {suggestion(unknown[1], flags, WRITTEN)}")


def read_flags(words: Sequence[str]) -> Flags:
    """Flags and overrides of a command line; raises InputError for unknown or contradictory flags."""
    parser = get_args_parser()
    parser.__class__ = _Parser
    parser.allow_abbrev = False  # --pack would be accepted here and mean --package
    found = parser.parse_intermixed_args(list(words), Flags())
    if not found.help:
        found.refuse_combinations()
    return found


@contextmanager
def plain_errors(own: Sequence[Exception], place: str | Path) -> Iterator[None]:
    """Turn Hydra's exceptions in the block into InputError; those in ``own`` pass. ``place``: where Hydra writes."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing
    try:
        with warnings.catch_warnings():
            yield
    except Exception as error:
        if any(error is problem for problem in own):
            raise
        with one_line_errors(place):
            raise
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def composed_once() -> Iterator[None]:
    """Keep Hydra from composing configurations in the block that nobody reads.

    It would compose one to look for ``hydra.mode`` in it, which is refused as a word, so that the flag ``--multirun``
    alone decides; and one of each job of a sweep to see whether it can, after all jobs have been checked already.
    """
    mode, validate = Hydra.get_mode, Sweeper.validate_batch_is_legal
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]  # nothing said
    Sweeper.validate_batch_is_legal = lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode, Sweeper.validate_batch_is_legal = mode, validate  # type: ignore[method-assign]
