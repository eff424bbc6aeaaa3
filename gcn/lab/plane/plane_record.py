"""What a run in the plane leaves behind, in numbers."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gcn.files.atomic import write_csv
from gcn.lab.modes_report import interval
from gcn.lab.plane.plane import PlaneRun

LATE = 4  # the last quarter of the looks is the end of a run


def record(run: PlaneRun) -> dict[str, Any]:
    """Means over seeds at the end and over the last quarter of the looks, with half of its 95 % interval."""
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
    for name, curve in run.curves.items():
        last, late = _numpy(curve[-1]), _numpy(curve[-max(1, len(curve) // LATE) :]).mean(0)
        found[name] = {"mean": last.mean(), "half_interval": interval(last).half, "late_mean": late.mean()}
    return found


def write_curves(path: Path, run: PlaneRun) -> None:
    """One row for each look and seed."""
    rows = (
        [int(step), seed, *(repr(float(curve[i, game])) for curve in run.curves.values())]
        for i, step in enumerate(run.steps.tolist())
        for game, seed in enumerate(run.seeds)
    )
    write_csv(path, [["update", "seed", *run.curves], *rows])


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return values.double().numpy()
