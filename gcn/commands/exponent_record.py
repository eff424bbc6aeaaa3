"""The exponents of a run: its training continued from a checkpoint, beside copies with small differences."""

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gcn.config.trained import run_of, trained
from gcn.errors import InputError
from gcn.files.atomic import check_results, make_folder
from gcn.report.summary import write_json_atomic
from gcn.schema.plugins import NONE, Extension
from gcn.spectrum.exponent import Settings, measure

NAME = "exponent.json"


@dataclass(frozen=True)
class Request:
    """The checked arguments of scripts/exponent.py.

    Args:
        checkpoint: run folder, or a checkpoint file in RUN/checkpoints.
        updates, align, every, directions, epsilon, distances, seed: see :class:`gcn.spectrum.exponent.Settings`.
        factor: learning rates as a share of the schedule's peak; None: as in the last update.
        out: folder of the result; None: the run folder.
        own: what the user adds, where the run has something of it.
    """

    checkpoint: Path
    updates: int
    align: int
    every: int
    directions: int
    epsilon: float
    distances: tuple[float, ...]
    seed: int
    factor: float | None
    out: Path | None
    own: Extension = NONE

    @property
    def folder(self) -> Path:
        """The folder in which the result is written."""
        return self.out or run_of(self.checkpoint)

    @property
    def settings(self) -> Settings:
        """The settings of the measurement."""
        return Settings(
            updates=self.updates, align=self.align, every=self.every, directions=self.directions,
            epsilon=self.epsilon, distances=self.distances, seed=self.seed,
        )  # fmt: skip

    def check(self) -> None:
        """Raise InputError for arguments that would fail only after minutes."""
        if self.updates < 2 * self.every:
            raise InputError(
                f"updates={self.updates}: too few for an interval with every={self.every}; use {2 * self.every} or more"
            )
        if self.out is not None or self.checkpoint.exists():  # else reading it says so
            check_results(self.folder)


def examine(request: Request) -> dict[str, Any]:
    """The record of a checkpoint's exponents; shows its progress on stderr."""
    request.check()
    of = trained(request.checkpoint, request.own)
    torch.set_num_threads(of.cfg.trainer.threads or torch.get_num_threads())
    training = of.training(request.factor)
    rates = {
        name: player.optimizer.param_groups[0]["lr"] for name, player in training.players._asdict().items()
    }
    patient = 0.2 if sys.stderr.isatty() else 30.0  # seconds between lines in a log file
    with tqdm(desc="updates", unit="update", dynamic_ncols=True, mininterval=patient) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = measure(training, request.settings, progress)
    record: dict[str, Any] = {
        "checkpoint": str(request.checkpoint),
        "words": {
            name: value for name, value in asdict(request).items() if name not in ("checkpoint", "own")
        },
        "rule": of.cfg.choices.dynamics if of.playing else "descend",
        "learning_rates": rates,
        "exponent_per_learning_rate": found.value / rates["g"] if math.isfinite(found.value) else None,
    }
    return record | found.record()


def write(request: Request, record: dict[str, Any]) -> None:
    """Write ``exponent.json`` whole or not at all."""
    make_folder(request.folder)
    write_json_atomic(request.folder / NAME, record)
