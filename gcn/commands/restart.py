"""Runs restarted by a cluster: SLURM's requeued jobs and torchrun's restarted processes repeat their command."""

import os
from collections.abc import Sequence
from pathlib import Path

from gcn.cli.quoting import word
from gcn.config.destinations import LOGGER, callback_words, destinations
from gcn.config.lightning_words import CALLBACKS, NO_CALLBACK
from gcn.config.override_words import is_hydras, key_of, normal
from gcn.config.parse import Config, load, may_change, parse
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.report.verdicts import read_summary
from gcn.schema.fields import at, paths, show
from gcn.schema.plugins import of_settings

COUNTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


def happened() -> bool:
    """Whether the cluster says that it has started this command before."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in COUNTS)


def continues(cfg: Config, folder: Path) -> bool:
    """Whether a restarted command, not given ``resume=``, finds its own run in the folder."""
    return happened() and cfg.get("resume") is None and (folder / "config.yaml").exists()


def refuse_other(cfg: Config, folder: Path) -> None:
    """Raise InputError if the folder holds a run of another configuration.

    What changes no number may differ: the run may have been resumed with other words than it began with.
    """
    stored, now = load(folder, own=of_settings(cfg)).plain(), cfg.plain()
    for name in sorted({*paths(stored), *paths(now)} - {"run_dir"}):
        if not may_change(name.removeprefix("choices.")) and at(stored, name) != at(now, name):
            raise InputError(
                f"{name}={show(at(now, name))}: the run in {printable(folder)} has {show(at(stored, name))}; "
                "choose another folder, or restart the job with the words that it began with"
            )


def resumed(folder: Path, cfg: Config, words: Sequence[str]) -> Config:
    """The configuration that resumes the run in a folder, which this very command began.

    Args:
        folder: of the run.
        cfg: the configuration of the command.
        words: of the command; those that change no number count, and where it says nothing, the last that were given.
    """
    own = of_settings(cfg)
    callbacks = callback_words(cfg, own) or [f"{CALLBACKS}={NO_CALLBACK}"]
    plugins = own._replace(config_dir=None).words
    said = {key_of(one): one for one in [*destinations(cfg), *filter(_is_given_anew, normal(words))]}
    stored = destinations(load(folder, own=own))
    if any(
        key_of(place) not in said for place in stored
    ):  # a folder does not decide where to write, a command does
        said = {LOGGER: word(LOGGER, str(cfg.choices.logger))} | said
    return parse([word("resume", folder), *plugins, *callbacks, *said.values()], own.config_dir)


def _is_given_anew(said: str) -> bool:
    name = key_of(said)
    apart = name == "resume" or name.partition(".")[0] == CALLBACKS
    return not is_hydras(said) and not apart and may_change(name)


def is_complete(folder: Path, steps: int) -> bool:
    """Whether a run has made all its updates."""
    summary = read_summary(folder / "summary.json") or {}
    return summary.get("steps", -1) >= steps or summary.get("verdict") == "diverged"
