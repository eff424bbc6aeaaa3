"""scripts/lab.py: a run of the lab from its configuration to its folder."""

import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gcn.config.build import build, objective, present_terms
from gcn.config.offered import knobs
from gcn.config.parse import Config
from gcn.errors import InputError
from gcn.files.atomic import write_csv
from gcn.game.rules import Simultaneous
from gcn.lab.analysis import equilibrium
from gcn.lab.ensemble import CommonStreams, GameEnsemble, Quadrature
from gcn.lab.examine import Examination, examine
from gcn.lab.figure import portrait
from gcn.lab.film import film
from gcn.lab.games import SmallGame
from gcn.lab.plane import plane_figure, plane_record, plane_spectrum
from gcn.lab.plane.plane import Plane
from gcn.lab.players import Factory
from gcn.lab.sweep import locus, phase_diagram
from gcn.report.summary import print_summary, write_json_atomic
from gcn.schema.fields import show, suggestion
from gcn.schema.kinds import resolve
from gcn.schema.plugins import of_settings

LOOKS = 40  # at a game in the plane


def run(cfg: Config) -> dict[str, Any]:
    """Train the small game and write the run folder; returns the content of ``lab.json``.

    Raises:
        InputError: what only the built game can tell, such as a start of the wrong length.
    """
    torch.set_num_threads(1)  # tensors are too small for more
    folder, game = Path(cfg.run_dir), build(cfg, "game")
    record = {"game": cfg.choices.game, "loss": cfg.choices.loss}
    record |= _plane(cfg, game, folder) if isinstance(game, Plane) else _numbers(cfg, game, folder)
    write_json_atomic(folder / "lab.json", record)  # the last file: a folder that has it is complete
    return record


def job(cfg: Config) -> dict[str, Any]:
    """Call :func:`run` and print the record."""
    record = run(cfg)
    print_record(record)
    return record


def ensemble(cfg: Config, game: SmallGame) -> GameEnsemble:
    """The configured small game with its objective, rule and optimizers; InputError if quadrature lacks its noise."""
    paid, constraints = objective(cfg, present_terms(cfg))
    g, d = _optimizers(cfg)
    exact = cfg.sampling == "quadrature"
    if exact and cfg.terms.get("instance_noise", {}).get("per_image"):
        raise InputError(
            "terms.instance_noise.per_image=true: the two-point rule has one level of noise for all samples; add "
            "sampling=random"
        )
    if exact and paid.fakes is not None:
        raise InputError(
            "history: each draw from the buffer is another game, which quadrature cannot average; add sampling=random"
        )
    return GameEnsemble(
        game, paid, rule=partial(build, cfg, "dynamics") if cfg.dynamics["_target_"] else Simultaneous,
        optimizer=g, d_optimizer=d, d_steps=cfg.d_steps, constraints=tuple(constraints),
        streams=Quadrature() if exact else CommonStreams(cfg.seed), copies=None if exact else cfg.samples,
    )  # fmt: skip


def _optimizers(cfg: Config) -> tuple[Factory, Factory]:
    """Functions that make an optimizer of parameters, for G and for D."""
    options = {k: v for k, v in cfg.optimizer.items() if k not in ("_target_", "lr", "ratio")}
    make = resolve("optimizer", cfg.optimizer["_target_"], of_settings(cfg).packages)
    lr = cfg.optimizer.lr
    return partial(make, lr=lr, **options), partial(make, lr=lr * cfg.optimizer.ratio, **options)


def _numbers(cfg: Config, game: SmallGame, folder: Path) -> dict[str, Any]:
    """Run a game of a few numbers; returns its record."""
    if not cfg.spectrum:
        raise InputError(
            "spectrum=false: the eigenvalues are what a game of numbers is judged by; drop it, or choose a game in the "
            "plane, game=ring"
        )
    made = ensemble(cfg, game)
    _check(cfg, made)
    examination = examine(made, cfg.steps, cfg.start, continuous=cfg.dynamics["_target_"] is None)
    if cfg.figure:
        portrait(folder / "lab", examination, _title(cfg))
    _write_trajectory(folder / "trajectory.csv", game.names, examination)
    if cfg.phase is not None:
        phase_diagram(folder / "phase", made, cfg.phase, cfg.upto)
    if cfg.locus is not None:
        locus(folder / "locus", made, cfg.locus, cfg.upto)
    if cfg.animate:
        film(folder / "lab.gif", examination)
    return examination.record()


def _plane(cfg: Config, plane: Plane, folder: Path) -> dict[str, Any]:
    """Run ``seeds`` games of networks in the plane at once; returns their record."""
    for name in ("start", "phase", "locus", "animate"):
        if cfg[name]:
            raise InputError(
                f"{name}={show(cfg[name])}: not of networks in the plane; choose game=dirac, or drop it"
            )
    paid, constraints = objective(cfg, present_terms(cfg))
    g, d = _optimizers(cfg)
    patient = 0.2 if sys.stderr.isatty() else 30.0  # seconds between lines in a log file
    with tqdm(total=cfg.steps, desc="playing", unit="update", dynamic_ncols=True, mininterval=patient) as bar:
        played = plane.train(
            paid, partial(build, cfg, "dynamics"), g, d, steps=cfg.steps, log_every=max(1, cfg.steps // LOOKS),
            seeds=range(cfg.seed, cfg.seed + cfg.seeds), d_steps=cfg.d_steps, constraints=constraints,
            progress=lambda done, _: bar.update(done - bar.n),
        )  # fmt: skip
    if cfg.figure:
        plane_figure.portrait(folder / "lab", played, _title(cfg))
    plane_record.write_curves(folder / "curves.csv", played)
    plane_record.write_view(folder / "view.npz", played)
    record = plane_record.record(played)
    if cfg.spectrum and played.diverged[0] < 0:
        record |= plane_spectrum.spectrum(played, partial(build, cfg, "dynamics"), cfg.d_steps)
    return record


def _check(cfg: Config, made: GameEnsemble) -> None:
    """Raise InputError for a combination that only the built game can show to be impossible."""
    if cfg.seeds > 1:
        raise InputError(
            f"seeds={cfg.seeds}: a game of numbers has no chance; choose a game in the plane, game=ring"
        )
    names, weights = made.small.names, ["adv", *made.objective.weights]
    if cfg.start is not None and len(cfg.start) != len(names):
        raise InputError(f"start={show(cfg.start)}: this game has {len(names)} numbers, {', '.join(names)}")
    for axis in ("phase", "locus"):
        name = cfg[axis]
        if name is not None and name not in weights:
            remedy = (
                f"set {name}=1 too"
                if name in knobs(of_settings(cfg))
                else suggestion(name, weights, "choose adv")
            )
            raise InputError(
                f"{axis}={name}: no weight of this game, which has {', '.join(weights)}; {remedy}"
            )
        if name is not None and not equilibrium(made.with_weights({name: cfg.upto / 2})).smooth:
            raise InputError(f"{axis}={name}: no smooth equilibrium with it, hence no spectrum to draw")


def _title(cfg: Config) -> str:
    """Title of the figure: the choices and values of this run."""
    knobs = [f"{name}={show(cfg[name])}" for name in cfg.terms if cfg[name] is not None]
    settings = [f"adv={cfg.adv:g}"] if cfg.adv != 1 else []
    rule = [cfg.choices.dynamics] if cfg.choices.dynamics != "alternating" else []
    optimizer = f"{cfg.choices.optimizer} lr={cfg.optimizer.lr:g}"
    return "  ".join([f"{cfg.choices.game}: loss={cfg.choices.loss}", *knobs, *settings, *rule, optimizer])


def _write_trajectory(path: Path, names: tuple[str, ...], run: Examination) -> None:
    rows = ([step, *map(repr, row)] for step, row in enumerate(run.path.tolist()))
    write_csv(path, [["update", *names], *rows])


def print_record(record: Mapping[str, Any]) -> None:
    """Print the record, eigenvalues in readable form."""
    spectra = ("eigenvalues", "closed_form", "discrete_eigenvalues", "largest", "rotating")
    shown = {name: _complex(value) if name in spectra else value for name, value in record.items()}
    texts = {name: _text(value) for name, value in shown.items()}
    print_summary({name: text for name, text in texts.items() if text not in ("", None)})


def _complex(pairs: list[list[float]] | None) -> str | None:
    return (
        None if pairs is None else "  ".join(f"{re:.4f}{im:+.4f}i" if im else f"{re:.4f}" for re, im in pairs)
    )


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return "  ".join(str(_text(entry)) for entry in value)
    if isinstance(value, Mapping) and "low" in value:
        return f"{_text(value['value'])} [{_text(value['low'])}, {_text(value['high'])}]"
    if isinstance(value, Mapping) and "mean" in value:
        half = value["half_interval"]
        return f"{value['mean']:.4g}" + (f" ± {half:.2g} (95 %)" if math.isfinite(half) else "")
    return f"{value:.4g}" if isinstance(value, float) else value
