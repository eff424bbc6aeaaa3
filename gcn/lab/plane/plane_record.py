"""The numbers that a run in the plane writes."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gcn.files.atomic import replacing, write_csv
from gcn.lab.intervals import interval
from gcn.lab.plane.plane import PlaneRun
from gcn.lab.plane.plane_figure import SHOWN, View, view

LATE = 4  # the last quarter of the looks is the end of a run


def record(run: PlaneRun) -> dict[str, Any]:
    """Means over seeds at the end, with half of its 95 % interval, and over the last quarter of the looks; each end."""
    lost = [seed for seed, step in zip(run.seeds, run.diverged.tolist(), strict=True) if step >= 0]
    found: dict[str, Any] = {
        "outcome": "diverged" if lost else "finished",
        "converged": False if lost else None,  # there is no equilibrium to measure a distance from
        "final": None,  # thousands of weights
        "seeds": list(run.seeds),
        "updates": int(run.steps[-1]),
        "diverged": lost,
        "rate_bits": run.plane.bits,
    }
    if run.w1_of_data is not None:
        floor = _numpy(run.w1_of_data)
        found["w1_of_data"] = {
            "mean": floor.mean(), "half_interval": interval(floor).half, "each": floor.tolist()
        }  # fmt: skip
    for name, curve in run.curves.items():
        last, late = _numpy(curve[-1]), _numpy(curve[-max(1, len(curve) // LATE) :]).mean(0)
        found[name] = {
            "mean": last.mean(), "half_interval": interval(last).half, "late_mean": late.mean(), "each": last.tolist()
        }  # fmt: skip
    return found


def write_curves(path: Path, run: PlaneRun) -> None:
    """Write one row for each validation and seed."""
    rows = (
        [int(step), seed, *(repr(float(curve[i, game])) for curve in run.curves.values())]
        for i, step in enumerate(run.steps.tolist())
        for game, seed in enumerate(run.seeds)
    )
    write_csv(path, [["update", "seed", *run.curves], *rows])


def write_view(path: Path, run: PlaneRun) -> None:
    """Write the first game's picture: ``real``, ``samples`` (N, 2), ``mesh`` (M,), ``logits`` (M, M)."""
    shown = view(run)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, real=shown.real[:SHOWN].numpy(), samples=shown.samples[:SHOWN].numpy(), mesh=shown.mesh.numpy(),
            logits=shown.logits.half().numpy(),
        )  # fmt: skip


def read_view(file: BinaryIO) -> View:
    """The picture that :func:`write_view` wrote."""
    with np.load(file) as kept:
        real, samples, mesh, logits = (
            torch.from_numpy(kept[n]) for n in ("real", "samples", "mesh", "logits")
        )
    return View(real, samples, mesh, logits.float())


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return values.double().numpy()
