"""The spectrum of a trained game: a run's checkpoint linearised, with all of its terms and with each one switched off.

What is compared is one point, one batch and one draw of the noise; only the terms differ. The point is where training
with all terms went, so that without one of them it is no equilibrium of anything: read the arms as what each term adds
to the game here, not as what training without it would end in.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gcn.config.trained import Trained, crops, run_of, trained
from gcn.errors import InputError
from gcn.files.atomic import check_results, make_folder
from gcn.files.names import printable
from gcn.game.game import Game
from gcn.game.labelled import Batch, images_of
from gcn.report.spectra import spectra
from gcn.report.summary import write_json_atomic
from gcn.schema.plugins import NONE, Extension
from gcn.spectrum.eigenvalues import TOLERANCE, Krylov, as_record, read, rotation_index, skew_norm
from gcn.spectrum.linearised import Linearised
from gcn.spectrum.update_map import UpdateMap

NAME = "spectrum"  # of the files


@dataclass(frozen=True)
class Request:
    """The checked arguments of scripts/spectrum.py.

    Args:
        checkpoint: run folder, or a checkpoint file in RUN/checkpoints.
        images: crops of the run's training data in the one batch.
        k: eigenvalues of each kind.
        basis: products of the Jacobian (and of the update) that are spent on them.
        probes: of the rotation index.
        seed: of crops, probes and start vectors.
        factor: step sizes as a share of the schedule's peak; None: as in the last update.
        out: folder of the results; None: the run folder.
        own: what the user adds, where the run has something of it.
    """

    checkpoint: Path
    images: int
    k: int
    basis: int
    probes: int
    seed: int
    factor: float | None
    out: Path | None
    own: Extension = NONE

    @property
    def folder(self) -> Path:
        """The folder in which results are written."""
        return self.out or run_of(self.checkpoint)

    def check(self) -> None:
        """Raise InputError for arguments that would fail only after minutes."""
        if self.basis <= self.k + 1:
            raise InputError(f"basis={self.basis}: too few products for k={self.k}; use {self.k + 2} or more")
        if self.out is None and not self.checkpoint.exists():
            return  # reading it says so; its folder would be another one
        check_results(self.folder)
        there = [name for name in (f"{NAME}.png", f"{NAME}.svg") if os.path.lexists(self.folder / name)]
        if there and not any((self.folder / own).is_file() for own in ("config.yaml", f"{NAME}.json")):
            raise InputError(
                f"{printable(self.folder)}: holds {there[0]}, which is of no spectrum and would be replaced;"
                " give another folder, out=FOLDER"
            )


def arms(of: Trained) -> list[str | None]:
    """The compared arms: None for all terms, then the name of each optimised term."""
    objective = of.game.objective
    paid = [
        n
        for n, w in objective.weights.items()
        if w and (of.playing or not objective.terms[n].needs_discriminator)
    ]
    return [None, *(["adv"] if of.playing and objective.adv else []), *paid]


@contextmanager
def switched(game: Game, off: str | None) -> Iterator[None]:
    """In the block, set one term's weight to 0 and apply lazy terms at every update."""
    objective = game.objective
    adv, weights = objective.adv, dict(objective.weights)
    lazy = {term: term.every for term in objective.terms.values() if term.every > 1}
    for term in lazy:
        term.every = 1
    if off == "adv":
        objective.adv = 0.0
    elif off is not None:
        objective.weights[off] = 0.0
    try:
        yield
    finally:
        objective.adv, objective.weights = adv, weights
        for term, every in lazy.items():
            term.every = every


def examine(request: Request) -> dict[str, Any]:
    """The record of a checkpoint's spectra; prints a line for each as it is computed."""
    request.check()
    of = trained(request.checkpoint, request.own)
    if of.cfg.adv == "adaptive":
        raise InputError(
            "adv=adaptive: a spectrum needs the derivative of this weight, which is not computed; train the run "
            "with a number, such as a value of train/g/adv_weight in its metrics.csv"
        )
    torch.set_num_threads(of.cfg.trainer.threads or torch.get_num_threads())
    x = crops(of.cfg, request.images, request.seed)
    of.players(request.factor)  # refuses at once what could not be moved
    numbers = {arm: _arm(request, of, x, arm) for arm in arms(of)}
    images = images_of(x)
    record: dict[str, Any] = {
        "checkpoint": str(request.checkpoint), "step": of.step, "images": len(images), "crop": images.shape[-1],
        "words": {name: value for name, value in asdict(request).items() if name not in ("checkpoint", "own")},
        "rule": of.cfg.choices.dynamics if of.playing else "descend", "parameters": of.parameters,
        "closed_form": None, "tolerance": TOLERANCE,
    }  # fmt: skip
    record |= numbers.pop(None)
    record["inexact"] += [list(remark) for remark in of.remarks()]
    return record | {"without": numbers}


def _arm(request: Request, of: Trained, x: Batch, arm: str | None) -> dict[str, Any]:
    """All numbers of one arm."""
    clock = _Clock("all terms" if arm is None else f"without {arm}")
    with switched(of.game, arm):
        linear = Linearised(of.game, x, of.step, of.playing)
        record: dict[str, Any] = {"field_norm": _norms(linear)}
        if arm is None:
            _refuse_what_has_no_spectrum(linear)
            record |= {
                "inexact": [list(r) for r in linear.inexact],
                "finite_differences": _check(linear, request.seed),
            }
            clock("Jacobian against central differences")
        flow = Krylov(linear.vjp, linear.field, request.basis, request.seed)
        clock(f"Jacobian, {request.basis} products")
        rotation = rotation_index(linear, request.probes, request.seed)
        record |= {"rotation_index": rotation._asdict(), "skew_norm": skew_norm(linear, seed=request.seed)}
        clock(f"rotation, {request.probes} probes: {rotation.value:.3g} ± {rotation.standard_error:.1g}")
        del linear  # the update moves the parameters that its graph holds
        batches = [x] * (of.cfg.d_steps if of.playing else 1)
        update = UpdateMap(of.game, of.rule(), batches, of.players(request.factor), of.step)
        moved = Krylov(update.derivative, update.state, request.basis, request.seed)
        clock(f"update, {request.basis} products")
    found = read(flow, moved, request.k)
    record["converged"] = {name: [leading.converged, leading.asked] for name, leading in found.items()}
    return record | as_record(found)


def _refuse_what_has_no_spectrum(linear: Linearised) -> None:
    if not linear.field.isfinite().all():
        raise InputError("the gradients at this checkpoint are not finite; there is no spectrum")
    try:
        linear.vjp(linear.field)
    except RuntimeError as problem:
        raise InputError(
            f"torch cannot differentiate this game's field ({problem}); penalties need discriminator.norm=none"
        ) from None


class _Clock:
    """Prints a line for each piece of work, with its seconds."""

    def __init__(self, arm: str) -> None:
        self.arm, self.last = arm, time.perf_counter()

    def __call__(self, done: str) -> None:
        now = time.perf_counter()
        print(f"{self.arm}: {done}, {now - self.last:.1f} s", flush=True)
        self.last = now


def _norms(linear: Linearised) -> dict[str, float]:
    parts = {
        player: torch.cat([linear.field[b.where] for b in linear.blocks if b.player == player])
        for player in linear.players
    }
    return {player: float(part.norm()) for player, part in parts.items()} | {
        "all": float(linear.field.norm())
    }


def _check(linear: Linearised, seed: int) -> dict[str, float]:
    """|Ju - Δv|/|Δv| for a random direction u in each network, Δv central differences of the production field."""
    networks: dict[str, list[slice]] = {}
    for block in linear.blocks:
        depth = 2 if block.player == "g" else 1
        networks.setdefault(".".join(block.name.split(".")[:depth]), []).append(block.where)
    random, errors = torch.Generator().manual_seed(seed), {}
    for name, places in networks.items():
        u = torch.zeros_like(linear.field)
        for where in places:
            u[where] = torch.randn(u[where].shape, generator=random, dtype=u.dtype)
        expected = linear.secant(u)
        errors[name] = float((linear.jvp(u) - expected).norm() / expected.norm().clamp(min=1e-300))
    return errors


def write(request: Request, record: Mapping[str, Any]) -> None:
    """Write ``spectrum.png``, ``spectrum.svg`` and, last, ``spectrum.json``, each whole or not at all."""
    make_folder(request.folder)
    spectra(request.folder / NAME, record)
    write_json_atomic(request.folder / f"{NAME}.json", record)
