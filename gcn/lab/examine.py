"""One run of the lab: training, equilibrium, spectra and how the trajectory ended."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from gcn.lab.analysis import (
    Equilibrium,
    Outcome,
    angles,
    equilibrium,
    flow,
    in_order,
    outcome,
    point,
    rotation_index,
    spectrum,
    step_sizes,
)
from gcn.lab.discrete import update_map
from gcn.lab.ensemble import GameEnsemble, play_on
from gcn.lab.neighbours import exponent_along, exponents_at_rest
from gcn.lab.players import Descent
from gcn.spectrum.growth import Estimate

Spectrum = list[complex]
UPDATES = 300  # over which exponents are measured


@dataclass(frozen=True)
class Examination:
    """The trajectory of a run, with its equilibrium and spectra.

    Attributes:
        ensemble: the game.
        path: the trajectory (T, N), θ and then ψ, a row an update.
        lr: step sizes of G and D.
        continuous: the flow was followed, and a row stands for the time of one step.
        rest: the equilibrium.
        jacobian: of the field there (N, N), or None; D's rows are multiplied by its step size over G's.
        eigenvalues: of that, or None.
        closed_form: the same by formula, or None.
        discrete: eigenvalues of one period of updates, or None.
        period: updates in it.
        outcome: what became of the trajectory.
        exponents: leading exponents per update at rest; None without a smooth equilibrium, for a flow, and for an
            optimizer that adapts.
        onward: the largest exponent per update along the trajectory from its end on; None for a flow, and after a
            divergence.
        frozen: the optimizer adapts; ``discrete`` holds for its preconditioner as the run left it.
    """

    ensemble: GameEnsemble
    path: Tensor
    lr: tuple[float, float]
    continuous: bool
    rest: Equilibrium
    jacobian: Tensor | None
    eigenvalues: Spectrum | None
    closed_form: Spectrum | None
    discrete: Spectrum | None
    period: int
    outcome: Outcome
    exponents: list[float] | None = None
    onward: Estimate | None = None
    frozen: bool = False

    def velocities(self) -> Tensor:
        """The field along the trajectory (T, N)."""
        return self.ensemble.velocity(self.path)

    def angles(self) -> Tensor | None:
        """Angles (T,) in degrees between the field and the direction to the equilibrium; None without equilibrium."""
        return None if self.rest.point is None else angles(self.path, self.velocities(), self.rest.point)

    def record(self) -> dict[str, Any]:
        """Content of ``lab.json``; complex numbers are [re, im], and null means that a quantity does not exist."""
        names = list(self.ensemble.small.names)
        radius = None if self.discrete is None else max(map(abs, self.discrete))
        return {
            "eigenvalues": _pairs(self.eigenvalues),
            "closed_form": _pairs(self.closed_form),
            "discrete_eigenvalues": _pairs(self.discrete),
            "discrete_period": self.period,
            "discrete_note": "the preconditioner is frozen as the run left it" if self.frozen else "",
            "spectral_abscissa": None if self.eigenvalues is None else self.eigenvalues[0].real,
            "spectral_radius": radius,
            "exponent": None if self.exponents is None else self.exponents[0],
            "exponents": self.exponents,
            "exponent_trajectory": None if self.onward is None else self.onward.record(),
            "rotation_index": None if self.jacobian is None else rotation_index(self.jacobian),
            "converged": self.outcome.converged,
            "outcome": self.outcome.name,
            "rate": _finite(self.outcome.rate),
            "distance": _finite(self.outcome.distance),
            "final": [_finite(value) for value in self.path[-1].tolist()],
            "parameters": names,
            "start": self.path[0].tolist(),
            "equilibrium": None if self.rest.point is None else self.rest.point.tolist(),
            "equilibrium_note": self.rest.note,
            "updates": len(self.path) - 1,
            "step_sizes": list(self.lr),
            "continuous_time": self.continuous,
        }


def examine(
    ensemble: GameEnsemble, steps: int, start: Sequence[float] | None = None, continuous: bool = False
) -> Examination:
    """Train from ``start`` (by default the game's own) and compute equilibrium, spectra and outcome.

    Args:
        ensemble: the game and how the players move.
        steps: updates of G.
        start: θ and then ψ.
        continuous: follow the flow instead, for the time of that many steps of G.
    """
    at = point(ensemble.small.start if start is None else start)
    points, players = play_on(ensemble, ensemble.game(at), 0 if continuous else steps)
    g, d = cast(tuple[Descent, Descent], players)
    lr, linear = (float(g.lr), float(d.lr)), None if continuous else (g.linear(), d.linear())
    path = flow(ensemble, at[0], lr, steps) if continuous else points[:, 0]
    still = bool(path[-1].isfinite().all())
    rest = equilibrium(ensemble, path[-1] if still else None)
    jacobian = discrete = None
    cycle = 1 if continuous else ensemble.period
    if rest.point is not None and rest.smooth:
        plain = ensemble.jacobian(rest.point[None])[0]
        jacobian = step_sizes(ensemble, (1.0, lr[1] / lr[0]))[:, None] * plain
        if linear is None:
            change = torch.linalg.matrix_exp(step_sizes(ensemble, lr)[:, None] * plain)
        else:
            change = update_map(ensemble, rest.point, lr, linear)
        if bool(change.isfinite().all()):
            discrete = sorted(spectrum(change), key=lambda v: -round(abs(v), 9))
    strengths = replace(ensemble.strengths, ratio=lr[1] / lr[0])
    formula = None if jacobian is None else ensemble.small.closed_form(strengths)
    frozen = linear is not None and any(bool((p != 1).any()) for l in linear for p in l.precondition)
    exponents = None if discrete is None or continuous or frozen else _at_rest(ensemble, rest)
    onward = None if continuous or not still else exponent_along(ensemble, path[-1], players, UPDATES)
    return Examination(
        ensemble, path, lr, continuous, rest, jacobian, None if jacobian is None else spectrum(jacobian),
        None if formula is None else in_order(formula), discrete, cycle, outcome(path, rest.point), exponents,
        None if onward is None or not math.isfinite(onward.value) else onward, frozen,
    )  # fmt: skip


def _at_rest(ensemble: GameEnsemble, rest: Equilibrium) -> list[float] | None:
    assert rest.point is not None
    found: list[float] = exponents_at_rest(ensemble, rest.point[None], UPDATES)[0].tolist()
    return found if all(map(math.isfinite, found)) else None


def _pairs(values: Spectrum | None) -> list[list[float]] | None:
    return None if values is None else [[v.real + 0.0, v.imag + 0.0] for v in map(complex, values)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
