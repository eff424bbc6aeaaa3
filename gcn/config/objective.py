"""``objective=val/swd``: the numbers of a finished run that a job of a sweep returns to its sweeper.

A name is a column of ``metrics.csv``, of which the last value counts, or an entry of ``summary.json``.
:mod:`gcn.metrics.directions` says which way each is better.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn.config.offered import knobs
from gcn.config.override_words import hydra_key
from gcn.config.parse import Config
from gcn.config.preflight import from_noise
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.metrics.directions import HIGHER, LOSS, better, worst
from gcn.report.metrics_table import MetricsTable
from gcn.report.verdicts import read_summary
from gcn.schema.fields import Field, suggestion
from gcn.schema.plugins import names, of_settings

WORD = "objective"
DIRECTION = "hydra.sweeper.direction"
FIELD = Field.parse("list of str or null ; with -m: numbers that hydra/sweeper=optuna improves, as val/swd")
VALIDATED = ("psnr", "ms_ssim", "swd", "bpp", "dead_channels")
EVALUATED = (*VALIDATED, "bpp_actual", "seconds")  # in summary.json
OF_SAMPLES = ("swd", "seconds")  # of a generator from noise, which has no original and no file


def named(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names in the word ``objective=[a,b]`` (or ``objective=a,b``), and the other words.

    Raises:
        InputError: the word was given twice, or names nothing.
    """
    own = [word for word in words if hydra_key(word) == WORD]
    if len(own) > 1:
        raise InputError(f"{WORD}= was given twice; write {WORD}=[a,b]")
    found = [name for word in own for name in names(word.partition("=")[2])]
    if own and not found and own[0].partition("=")[2] != "null":
        raise InputError(f"{own[0]}: names nothing; give a number of a run, {WORD}=val/swd")
    return found, [word for word in words if word not in own]


def offered(cfg: Config) -> list[str]:
    """Names of all numbers that a run of this configuration measures and that are better one way."""
    samples = from_noise(cfg)
    found = [name for name in EVALUATED if not samples or name in OF_SAMPLES]
    found += [f"val/{name}" for name in VALIDATED if not samples or name in OF_SAMPLES]
    if min(cfg.val_every, cfg.panel_every) < cfg.steps:  # it compares two validations
        found.append("val/jitter")
    if cfg.log_every <= cfg.steps:
        found += [] if samples else ["train/psnr", "train/bpp"]
        known = knobs(of_settings(cfg))
        found += [
            f"{LOSS}{name}" for name, knob in known.items() if knob.trains_g and cfg.get(name) is not None
        ]
    return found


def check(objective: Sequence[str], cfg: Config) -> None:
    """Raise InputError for a name that a run of this configuration will not measure."""
    measured = offered(cfg)
    for name in objective:
        if name not in measured:
            known = better(name) is not None
            why = "such a run does not measure it" if known else "no number of a run that is better one way"
            near = suggestion(name, measured, f"one of {', '.join(measured)}")
            raise InputError(f"{WORD}={printable(name)}: {why}; {near}")
    if len(set(objective)) < len(objective):
        raise InputError(f"{WORD}={','.join(objective)}: names a number twice; name each once")


def directed(objective: Sequence[str], words: Sequence[str]) -> str:
    """Override that tells Optuna which way each number is better.

    Raises:
        InputError: the user gave a direction that would look for the worst run.
    """
    ways = ["maximize" if better(name) == HIGHER else "minimize" for name in objective]
    for word in words:
        if hydra_key(word) == DIRECTION and names(word.partition("=")[2]) != ways:
            told = ", ".join(f"{better(name)} is better for {name}" for name in objective)
            raise InputError(f"{word}: {told}; drop {DIRECTION}, which follows from {WORD}=")
    return f"{DIRECTION}={ways[0] if len(ways) == 1 else '[' + ','.join(ways) + ']'}"


def value(objective: Sequence[str], folder: Path) -> float | list[float]:
    """The number of a finished run, or a list of several; of a diverged run each is infinite, with the worse sign.

    Raises:
        InputError: a number was not measured, though the run did not diverge.
    """
    summary = read_summary(folder / "summary.json") or {}
    rows = MetricsTable(folder / "metrics.csv").rows()
    found = [_number(name, summary, rows) for name in objective]
    if summary.get("verdict") == "diverged":
        found = [worst(name) for name in objective]
    for name, number in zip(objective, found, strict=True):
        if math.isnan(number):
            raise InputError(
                f"{WORD}={name}: the run in {printable(folder)} has no such number, so the sweeper learns nothing from "
                "it; choose another one"
            )
    return found if len(found) > 1 else found[0]


def _number(name: str, summary: dict[str, Any], rows: Sequence[dict[str, Any]]) -> float:
    """The number in a summary or in the last row that has it; NaN where there is none."""
    column = [row[name] for row in rows if row.get(name) is not None]
    number = column[-1] if column else summary.get(name)
    return float(number) if isinstance(number, int | float) else math.nan
