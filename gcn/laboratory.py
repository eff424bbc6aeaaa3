"""A run of the lab from its configuration to its folder."""

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class

from gcn.build import build, objective, present_terms
from gcn.compose import knobs
from gcn.config import Config
from gcn.dynamics import Simultaneous
from gcn.errors import InputError
from gcn.lab.arena import Arena, Quadrature
from gcn.lab.examine import Examination, examine
from gcn.lab.figure import portrait
from gcn.lab.film import film
from gcn.lab.players import Factory
from gcn.lab.sweep import locus, phase_diagram
from gcn.report.summary import print_summary, write_json_atomic
from gcn.rng import Streams
from gcn.schema import show, suggestion


def arena(cfg: Config) -> Arena:
    """The small game of a configuration, and how its players move."""
    paid, constraints = objective(cfg, present_terms(cfg))
    small = build(cfg.game)
    g, d = _optimizers(cfg)
    exact = cfg.sampling == "quadrature"
    return Arena(
        small, paid, rule=partial(build, cfg.dynamics) if cfg.dynamics["_target_"] else Simultaneous,
        optimizer=g, d_optimizer=d, d_steps=cfg.d_steps, constraints=tuple(constraints),
        streams=Quadrature() if exact else Streams(cfg.seed), copies=None if exact else cfg.samples,
    )  # fmt: skip


def _optimizers(cfg: Config) -> tuple[Factory, Factory]:
    """What makes a player of parameters, for G and for D."""
    options = {k: v for k, v in cfg.optimizer.items() if k not in ("_target_", "lr", "ratio")}
    make, lr = get_class(cfg.optimizer["_target_"]), cfg.optimizer.lr
    return partial(make, lr=lr, **options), partial(make, lr=lr * cfg.optimizer.ratio, **options)


def run(cfg: Config) -> dict[str, Any]:
    """Play, write the run folder (``lab.json``, ``trajectory.csv``, ``lab.png``, ``lab.svg``), return the record.

    Raises:
        InputError: a start of the wrong length, or a weight that is not there.
    """
    torch.set_num_threads(1)  # tensors are too small for more
    folder, made = Path(cfg.run_dir), arena(cfg)
    names = made.small.names
    _check(cfg, made)
    examination = examine(made, cfg.steps, cfg.start, continuous=cfg.dynamics["_target_"] is None)
    record = {"game": cfg.choices.game, "loss": cfg.choices.loss} | examination.record()
    portrait(folder / "lab", examination, _title(cfg))
    _write_trajectory(folder / "trajectory.csv", names, examination)
    if cfg.phase is not None:
        phase_diagram(folder / "phase", made, cfg.phase, cfg.upto)
    if cfg.locus is not None:
        locus(folder / "locus", made, cfg.locus, cfg.upto)
    if cfg.animate:
        film(folder / "lab.gif", examination)
    write_json_atomic(folder / "lab.json", record)  # the last file: a folder that has it is complete
    return record


def _check(cfg: Config, made: Arena) -> None:
    """Refuse what only the built game can tell."""
    names, weights = made.small.names, ["adv", *made.objective.weights]
    if cfg.start is not None and len(cfg.start) != len(names):
        raise InputError(f"start={show(cfg.start)}: this game has {len(names)} numbers, {', '.join(names)}")
    for axis in ("phase", "locus"):
        name = cfg[axis]
        if name is not None and name not in weights:
            remedy = f"set {name}=1 too" if name in knobs() else suggestion(name, weights, "choose adv")
            raise InputError(
                f"{axis}={name}: no weight of this game, which has {', '.join(weights)}; {remedy}"
            )


def _title(cfg: Config) -> str:
    """The words that make this run what it is."""
    knobs = [f"{name}={show(cfg[name])}" for name in cfg.terms if cfg[name] is not None]
    settings = [f"adv={cfg.adv:g}"] if cfg.adv != 1 else []
    rule = [cfg.choices.dynamics] if cfg.choices.dynamics != "alternating" else []
    optimizer = f"{cfg.choices.optimizer} lr={cfg.optimizer.lr:g}"
    return "  ".join([f"{cfg.choices.game}: loss={cfg.choices.loss}", *knobs, *settings, *rule, optimizer])


def _write_trajectory(path: Path, names: tuple[str, ...], run: Examination) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["update", *names])
        table.writerows([step, *map(repr, row)] for step, row in enumerate(run.path.tolist()))


def print_record(record: Mapping[str, Any]) -> None:
    """The record in the terminal, eigenvalues as a reader writes them."""
    spectra = ("eigenvalues", "closed_form", "discrete_eigenvalues")
    shown = {name: _numbers(value) if name in spectra else value for name, value in record.items()}
    lists = {name: "  ".join(map(_short, value)) for name, value in shown.items() if isinstance(value, list)}
    print_summary({name: lists.get(name, value) for name, value in shown.items() if value != ""})


def _numbers(pairs: list[list[float]] | None) -> str | None:
    return (
        None if pairs is None else "  ".join(f"{re:.4f}{im:+.4f}i" if im else f"{re:.4f}" for re, im in pairs)
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
