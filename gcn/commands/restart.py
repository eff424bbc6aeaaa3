"""Runs restarted by a cluster: SLURM's requeued jobs and torchrun's restarted processes repeat their command."""

import os
from pathlib import Path

from gcn.cli.quoting import word
from gcn.config.destinations import callback_words, destinations
from gcn.config.lightning_words import CALLBACKS, NO_CALLBACK
from gcn.config.parse import Config, load, parse
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
    """Raise InputError if the folder holds a run of another configuration."""
    stored, now = load(folder, own=of_settings(cfg)).plain(), cfg.plain()
    stored[CALLBACKS] = now[CALLBACKS]  # a stored run has none
    stored["choices"][CALLBACKS] = now["choices"][CALLBACKS]
    for name in sorted({*paths(stored), *paths(now)} - {"run_dir", "resume"}):
        if at(stored, name) != at(now, name):
            raise InputError(
                f"{name}={show(at(now, name))}: the run in {printable(folder)} has {show(at(stored, name))}; "
                "choose another folder, or restart the job with the words that it began with"
            )


def resumed(folder: Path, cfg: Config) -> Config:
    """The configuration that resumes the run in a folder, which this command began with the configuration ``cfg``."""
    own = of_settings(cfg)
    callbacks = callback_words(cfg, own) or [f"{CALLBACKS}={NO_CALLBACK}"]
    plugins = own._replace(config_dir=None).words
    return parse([word("resume", folder), *plugins, *callbacks, *destinations(cfg)], own.config_dir)


def is_complete(folder: Path, steps: int) -> bool:
    """Whether a run has made all its updates."""
    summary = read_summary(folder / "summary.json") or {}
    return summary.get("steps", -1) >= steps or summary.get("verdict") == "diverged"
