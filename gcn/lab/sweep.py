"""Figures over a growing weight: convergence of thousands of games, and the path of the eigenvalues."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gcn.lab.analysis import equilibrium, spectrum
from gcn.lab.discrete import growth
from gcn.lab.ensemble import GameEnsemble
from gcn.lab.figure import STABLE, write
from gcn.report.plots import GREY

SIDE, LARGEST_STEP = 120, 4.0  # of phase diagrams
POINTS = 201  # weights of a locus
NOWHERE = complex(np.nan, np.nan)


def phase(ensemble: GameEnsemble, name: str, upto: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (W,), learning rates (H,) and the growth rate (H, W) of games near the equilibrium.

    The rate is that of plain gradient descent with the ensemble's rule: log |λ| of the update's largest eigenvalue.
    """
    weights = torch.linspace(upto / SIDE, upto, SIDE, dtype=torch.float64)
    steps = torch.linspace(LARGEST_STEP / SIDE, LARGEST_STEP, SIDE, dtype=torch.float64)
    rest = torch.stack([_rest(ensemble.with_weights({name: weight})) for weight in weights.tolist()])
    h, w = torch.meshgrid(steps, weights, indexing="ij")
    rate = growth(ensemble, rest.repeat(SIDE, 1), h.reshape(-1), {name: w.reshape(-1)})
    return weights, steps, rate.reshape(SIDE, SIDE)


def _rest(ensemble: GameEnsemble) -> Tensor:
    found = equilibrium(ensemble)
    if found.point is None or not found.smooth:
        return torch.full((len(ensemble.small.names),), torch.nan, dtype=torch.float64)
    return found.point


def heat_map(axes: Any, weights: Tensor, steps: Tensor, rate: Tensor, limit: float = 0.3) -> Any:
    """Draw the growth of games over weight and learning rate: blue converges, red diverges."""
    colours = axes.pcolormesh(
        weights.numpy(), steps.numpy(), rate.clamp(-limit, limit).numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    axes.grid(False)
    axes.set_ylabel("step size $h$")
    return colours


def phase_diagram(path: Path, ensemble: GameEnsemble, name: str, upto: float) -> Path:
    """Draw the rate of convergence or divergence over weight and learning rate, with the ensemble's rule."""
    weights, steps, rate = phase(ensemble, name, upto)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        colours = heat_map(axes, weights, steps, rate)
        axes.set_xlabel(f"weight of {name}")
        axes.set_title(f"{ensemble.rule().__class__.__name__.lower()} gradient descent near rest")
        bar = figure.colorbar(colours, ax=axes, extend="both")
        bar.set_label(r"rate $\log|\lambda|$ an update: blue converges")

    return write(path, (5.4, 4.2), draw)


def eigenvalue_paths(ensemble: GameEnsemble, name: str, weights: Tensor) -> list[NDArray[np.complex128]]:
    """Eigenvalues of the field at equilibrium, one row for each weight; NaN where there is no smooth equilibrium."""
    rows = []
    for weight in weights.tolist():
        at = ensemble.with_weights({name: weight})
        rest = _rest(at)
        known = bool(rest.isfinite().all())
        rows.append(np.array(spectrum(at.jacobian(rest[None])[0]) if known else [NOWHERE] * len(rest)))
    return rows


def trace(axes: Any, weights: Tensor, rows: list[NDArray[np.complex128]]) -> Any:
    """Draw eigenvalues in the complex plane, coloured by the weight; the stable half-plane is shaded."""
    values = np.stack(rows)
    colours = axes.scatter(
        values.real, values.imag, c=np.repeat(weights.numpy()[:, None], values.shape[1], axis=1), s=9, cmap="viridis",
        zorder=3, linewidths=0,
    )  # fmt: skip
    low = min(float(np.nanmin(values.real)), -0.1)
    axes.axvspan(1.1 * low, 0, color=STABLE, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xlim(1.1 * low, max(float(np.nanmax(values.real)), -0.08 * low))
    axes.set_xlabel(r"Re $\lambda$")
    axes.set_ylabel(r"Im $\lambda$")
    return colours


def locus(path: Path, ensemble: GameEnsemble, name: str, upto: float) -> Path:
    """Draw the eigenvalues of the field as a weight grows from 0 to ``upto``, and their real parts over it."""
    weights = torch.linspace(0, upto, POINTS, dtype=torch.float64)
    rows = eigenvalue_paths(ensemble, name, weights)

    def draw(figure: Any) -> None:
        plane, real = figure.subplots(1, 2)
        colours = trace(plane, weights, rows)
        plane.set_title("eigenvalues of the field")
        figure.colorbar(colours, ax=plane, label=f"weight of {name}")
        real.plot(weights.numpy(), np.stack(rows).real)
        real.axhline(0, color=GREY, linewidth=0.8)
        real.set_title("their real parts: the highest decides")
        real.set_xlabel(f"weight of {name}")
        real.set_ylabel(r"Re $\lambda$")

    return write(path, (9.0, 3.8), draw)
