"""An experiment: what stabilisers and a distortion do to the modes that a GAN recovers, on ring and grid, over seeds.

A *cell* is one setting; its games, one a seed, are played at once. Finished cells are kept in files named by their
settings, so that a stopped experiment goes on where it was and a changed setting cannot meet an old result.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gcn.files.atomic import make_folder, replacing
from gcn.game.objective import Objective
from gcn.game.slots import AdversarialLoss, Term
from gcn.lab.plane.distributions import Distribution, Grid, Ring
from gcn.lab.plane.plane import Plane
from gcn.lab.plane.plane_figure import View, view
from gcn.lab.players import Adam
from gcn.losses.adversarial import Adversarial, Hinge, NonSaturating, Relativistic, Wasserstein
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1
from gcn.losses.perturbation import InstanceNoise

Row = dict[str, Any]

DATA: dict[str, Callable[[], Distribution]] = {"ring": Ring, "grid": Grid}
LOSSES: dict[str, Callable[[], Adversarial]] = {"ns": NonSaturating, "wgan": Wasserstein, "hinge": Hinge}
ARMS = ("none", "r1", "gp", "instance_noise", "pair")
WEIGHTED: dict[str, Callable[[], Term]] = {"r1": R1, "gp": GP, "mse": partial(MSE, unit=255.0)}
LADDER = (0.01, 0.1, 1.0)
STEEP = (0.1, 1.0, 10.0)  # wgan's D has no scale but that of its penalty
SIGMAS = (0.03, 0.1, 0.3)
SCAN_SEED = 100  # the first of the scan's, which the experiment does not use
CODE = {
    "ring": 2,
    "grid": 4,
}  # levels of each of the code's two numbers: 2 and 4 bits, fewer than log2 8 and log2 25


@dataclass(frozen=True)
class Budget:
    """What all cells have in common.

    Args:
        steps: updates of G.
        seeds: games of a cell.
        scan_seeds: of a cell of the preliminary scan.
        batch: points of an update.
        width: hidden units of a layer, of which there are two.
        latent: numbers of z.
        lr: Adam's step size, of both players.
    """

    steps: int = 4000
    seeds: int = 10
    scan_seeds: int = 3
    batch: int = 128
    width: int = 64
    latent: int = 8
    lr: float = 2e-3

    @property
    def of_the_scan(self) -> tuple[int, ...]:
        """Its seeds."""
        return tuple(range(SCAN_SEED, SCAN_SEED + self.scan_seeds))


@dataclass(frozen=True)
class Cell:
    """One setting, played once for each weight and seed.

    Args:
        data: ``ring`` or ``grid``.
        generator: ``noise`` or ``autoencoder``.
        loss: adversarial loss; ``none``: the distortion alone.
        arm: stabiliser, one of ``ARMS``, or ``mse`` where the scan looks for its weight.
        weights: of the arm, one a group of games; one number for what has no weight.
        mse: weight of the distortion.
        seeds: of each group.
        budget: the rest.
    """

    data: str
    generator: str
    loss: str
    arm: str
    weights: tuple[float, ...]
    mse: float
    seeds: tuple[int, ...]
    budget: Budget

    @property
    def file(self) -> str:
        """Name of the result; another setting, another name."""
        digest = hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=4).hexdigest()
        return f"{self.data}-{self.generator}-{self.loss}-{self.arm}-{digest}.npz"

    @property
    def setting(self) -> str:
        """As :func:`setting` of its rows."""
        return setting(asdict(self))

    @property
    def cost(self) -> float:
        """About how long it takes, in games without a penalty."""
        penalty = {"r1": 1.3, "gp": 1.6}.get(self.arm, 1.0) * (0.5 if self.loss == "none" else 1.0)
        return (
            penalty * len(self.weights) * len(self.seeds) * (1.2 if self.generator == "autoencoder" else 1.0)
        )

    def plane(self) -> Plane:
        """The game."""
        return Plane(
            DATA[self.data](), self.generator, width=self.budget.width, activation="leaky", batch=self.budget.batch,
            latent=self.budget.latent, code=2, levels=CODE[self.data],
        )  # fmt: skip

    def objective(self) -> Objective:
        """What is paid; weights are a row a game where there are several."""
        loss: AdversarialLoss | None = None if self.loss == "none" else LOSSES[self.loss]()
        if self.arm == "pair":
            assert loss is not None
            loss = Relativistic("pair").wrap(loss)
        terms: dict[str, tuple[float | Tensor, Term]] = {}
        if self.arm in WEIGHTED:
            several = torch.tensor(self.weights).repeat_interleave(len(self.seeds))
            terms[self.arm] = (several if len(self.weights) > 1 else self.weights[0], WEIGHTED[self.arm]())
        if self.mse:
            terms["mse"] = (self.mse, WEIGHTED["mse"]())
        perturbations = [InstanceNoise(self.weights[0])] if self.arm == "instance_noise" else []
        return Objective(loss, 1.0, terms, perturbations)


class Result(NamedTuple):
    """What is kept of a cell.

    Attributes:
        rows: one a game.
        steps: updates at which the games were looked at (T,).
        good: share of good samples then (T, E).
        first: the picture of the first game.
    """

    rows: list[Row]
    steps: Tensor
    good: Tensor
    first: View


def play(cell: Cell, folder: Path) -> None:
    """Play a cell and write its result, in full or not at all."""
    torch.set_num_threads(1)
    began = time.process_time()
    seeds = cell.seeds * len(cell.weights)
    run = cell.plane().train(
        cell.objective(), g_optimizer=partial(Adam, lr=cell.budget.lr), steps=cell.budget.steps, seeds=seeds,
        log_every=max(1, cell.budget.steps // 50),
    )  # fmt: skip
    seconds = (time.process_time() - began) / len(seeds)
    last = {name: values[-1].tolist() for name, values in run.curves.items()}
    known = {
        "data": cell.data,
        "generator": cell.generator,
        "loss": cell.loss,
        "mse": cell.mse,
        "arm": cell.arm,
    }
    rows = [
        known
        | {"weight": cell.weights[i // len(cell.seeds)], "seed": seed, "parts": run.plane.distribution.parts}
        | {name: last[name][i] for name in ("recovered", "held", "good", "kl", "logit_gap")}
        | {"distortion": last["mse"][i] if cell.generator == "autoencoder" else None}
        | {"diverged": int(run.diverged[i]), "updates": cell.budget.steps, "cpu_seconds": seconds}
        for i, seed in enumerate(seeds)
    ]
    shown = view(run)
    with replacing(folder / cell.file) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(
            file, rows=json.dumps(rows), steps=run.steps.numpy(), good=run.curves["good"].numpy(),
            real=shown.real[:1000].numpy(), samples=shown.samples[:1000].numpy(), mesh=shown.mesh.numpy(),
            logits=shown.logits.half().numpy(),
        )  # fmt: skip


def load(cell: Cell, folder: Path) -> Result:
    """The result of a finished cell."""
    with np.load(folder / cell.file) as kept:
        real, samples, mesh, logits = (
            torch.from_numpy(kept[n]) for n in ("real", "samples", "mesh", "logits")
        )
        return Result(
            json.loads(str(kept["rows"])), torch.from_numpy(kept["steps"]), torch.from_numpy(kept["good"]),
            View(real, samples, mesh, logits.float()),
        )  # fmt: skip


def play_all(
    cells: Sequence[Cell], folder: Path, workers: int, told: Callable[[Cell, float, float], None]
) -> None:
    """Play the cells that are not finished, several at a time, each in a process with one thread.

    Args:
        cells: the cells.
        folder: where results are kept.
        workers: number of processes.
        told: called when a cell is finished, with the cost that is done and that of all that had to be done.
    """
    make_folder(folder)
    todo = [cell for cell in cells if not (folder / cell.file).exists()]
    whole, done = sum(cell.cost for cell in todo), 0.0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: dict[Future[None], Cell] = {pool.submit(play, cell, folder): cell for cell in todo}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    cell = running.pop(future)
                    future.result()
                    done += cell.cost
                    told(cell, done, whole)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


Choice = Mapping[tuple[str, str, str, str], float]


def scan_of_settings(budget: Budget) -> Iterator[Cell]:
    """The scan's first part: the distortion's weight, and those of the stabilisers without a distortion."""
    for data in DATA:
        for loss in LOSSES:
            yield Cell(data, "autoencoder", loss, "mse", STEEP, 0.0, budget.of_the_scan, budget)
            for generator in ("noise", "autoencoder"):
                yield from _scan(data, generator, loss, 0.0, budget)


def scan_with_distortion(budget: Budget, choice: Choice) -> Iterator[Cell]:
    """The scan's second part: the stabilisers' weights beside the distortion whose weight is known by now."""
    for data in DATA:
        for loss in LOSSES:
            yield from _scan(data, "autoencoder", loss, choice[data, "auto0", loss, "mse"], budget)


def _scan(data: str, generator: str, loss: str, mse: float, budget: Budget) -> Iterator[Cell]:
    penalties = STEEP if loss == "wgan" else LADDER
    # σ is no factor of a term: its values cannot share an ensemble
    groups = [("r1", penalties), ("gp", penalties), *(("instance_noise", (sigma,)) for sigma in SIGMAS)]
    for arm, weights in groups:
        yield Cell(data, generator, loss, arm, weights, mse, budget.of_the_scan, budget)


def setting(row: Row) -> str:
    """``noise``, ``auto0`` (a codec without a distortion) or ``auto`` (with one)."""
    return "noise" if row["generator"] == "noise" else "auto" if row["mse"] else "auto0"


def score(row: Row) -> float:
    """What the scan maximises: share of modes recovered times share of good samples."""
    return row["recovered"] / row["parts"] * row["good"]


def scores(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], dict[float, float]]:
    """For each (data, setting, loss, arm) and weight the mean score over the scan's seeds."""
    found: dict[tuple[str, str, str, str], dict[float, list[float]]] = {}
    for row in rows:
        of_arm = found.setdefault((row["data"], setting(row), row["loss"], row["arm"]), {})
        of_arm.setdefault(row["weight"], []).append(score(row))
    return {key: {w: sum(x) / len(x) for w, x in of_arm.items()} for key, of_arm in found.items()}


def choose(rows: Iterable[Row]) -> Choice:
    """For each (data, setting, loss, arm) the weight with the largest mean score."""
    return {key: max(of_arm, key=lambda w: of_arm[w]) for key, of_arm in scores(rows).items()}


def cells(budget: Budget, choice: Choice) -> Iterator[Cell]:
    """The experiment: every arm with a GAN, and with a codec without and with a distortion."""
    seeds = tuple(range(budget.seeds))
    for data in DATA:
        for loss in LOSSES:
            distortion = choice[data, "auto0", loss, "mse"]
            for name, generator, mse in (
                ("noise", "noise", 0.0), ("auto0", "autoencoder", 0.0), ("auto", "autoencoder", distortion)
            ):  # fmt: skip
                for arm in ARMS:
                    weight = choice.get((data, name, loss, arm), 0.0)
                    yield Cell(data, generator, loss, arm, (weight,), mse, seeds, budget)
        yield Cell(data, "autoencoder", "none", "none", (0.0,), 1.0, seeds, budget)
