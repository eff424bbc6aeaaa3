"""Analysis of a small game: its equilibrium, its spectrum in continuous and discrete time, its trajectories."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import root
from torch import Tensor

from gcn.errors import InputError
from gcn.lab.ensemble import GameEnsemble

MOST_CALLS = 30_000  # of the field along a flow; a smooth one takes a few thousand
AT_REST = 1e-9  # |v| below which a point is an equilibrium
BOUND = 1e6  # of a flow's coordinates and of its speed, beyond which it has escaped
NEAR = 1e3  # a speed from which one step does not lead to the bound
KINK = 1e-4  # side of the neighbourhood in which the field must be smooth
CONVERGED = 0.01  # distance that counts as arrived, and share of a smaller starting distance


def point(values: Sequence[float]) -> Tensor:
    """A tensor (1, N) in float64 of one point."""
    return torch.tensor([list(values)], dtype=torch.float64)


@dataclass(frozen=True)
class Equilibrium:
    """A point where both players' gradients vanish.

    Attributes:
        point: (N,), or None where none was found.
        smooth: the field is differentiable there; else it has no spectrum.
        note: what is wrong, if anything is.
    """

    point: Tensor | None
    smooth: bool = True
    note: str = ""


def equilibrium(ensemble: GameEnsemble, after: Tensor | None = None) -> Equilibrium:
    """The equilibrium nearest to the nominal one of the game; ``after`` (N,) is a further point to search from.

    Newton's method on the production field, with its Jacobian. A smooth one is preferred to one on a kink of the field
    (that of a one-centred penalty).
    """
    nominal = point(ensemble.small.rest(ensemble.strengths))[0]
    kinked = None
    for guess in [nominal] if after is None else [nominal, after]:
        for search in (
            lambda w: w,
            partial(_newton, ensemble),
        ):  # the search only where the guess is not at rest
            candidate = search(guess)
            if candidate is not None and _speed(ensemble, candidate) < AT_REST:
                if is_smooth(ensemble, candidate):
                    return Equilibrium(candidate)
                kinked = candidate if kinked is None else kinked
    if kinked is not None:
        return Equilibrium(kinked, False, "the field has a kink at the equilibrium")
    return Equilibrium(None, False, "no equilibrium found near the nominal one")


def _speed(ensemble: GameEnsemble, at: Tensor) -> float:
    return float(ensemble.velocity(at[None]).norm())


def _newton(ensemble: GameEnsemble, guess: Tensor) -> Tensor | None:
    velocity = ensemble.field(1)

    def field(w: NDArray[np.float64]) -> NDArray[np.float64]:
        return velocity(torch.from_numpy(w)[None])[0].numpy()

    def jacobian(w: NDArray[np.float64]) -> NDArray[np.float64]:
        return ensemble.jacobian(point(w.tolist()))[0].numpy()

    solution = root(field, guess.numpy(), jac=jacobian, tol=1e-14)
    found = torch.from_numpy(solution.x)
    near = bool(found.isfinite().all()) and float((found - guess).norm()) < 1 + float(guess.norm())
    return found if near and _speed(ensemble, found) < AT_REST else None


def is_smooth(ensemble: GameEnsemble, at: Tensor) -> bool:
    """Whether the Jacobian at a point (N,) predicts the field on both sides of it, along every axis."""
    n = len(at)
    offsets = KINK * torch.cat([torch.eye(n, dtype=at.dtype), -torch.eye(n, dtype=at.dtype)])
    jacobian = ensemble.jacobian(at[None])[0]
    moved = ensemble.velocity(at + offsets) - ensemble.velocity(at[None])
    expected = offsets @ jacobian.T
    scale = KINK * (1 + moved.abs().max() / KINK)
    return bool(((moved - expected).abs() < 0.02 * scale).all())


def spectrum(jacobian: Tensor) -> list[complex]:
    """Eigenvalues of a matrix (N, N), by falling real part and then imaginary part."""
    return in_order(torch.linalg.eigvals(jacobian).tolist())


def in_order(values: Sequence[complex]) -> list[complex]:
    """Eigenvalues in the order in which they are reported, which rounding does not change."""
    return sorted((complex(v) for v in values), key=lambda v: (-round(v.real, 9), -round(v.imag, 9)))


def rotation_index(jacobian: Tensor) -> float:
    """‖A‖²/(‖A‖² + ‖S‖²), A and S the skew and the symmetric part of (N, N): 1 for a pure rotation."""
    skew, symmetric = (jacobian - jacobian.T) / 2, (jacobian + jacobian.T) / 2
    whole = float(skew.square().sum() + symmetric.square().sum())
    return float(skew.square().sum()) / whole if whole else 0.0


# continuous time


def step_sizes(ensemble: GameEnsemble, lr: tuple[float, float]) -> Tensor:
    """Learning rate of each coordinate (N,), from those of G and of D."""
    n = len(ensemble.small.names)
    return torch.tensor([lr[0]] * ensemble.split + [lr[1]] * (n - ensemble.split), dtype=torch.float64)


def flow(ensemble: GameEnsemble, start: Tensor, lr: tuple[float, float], steps: int) -> Tensor:
    """The solution of w' = lr·v(w) from ``start`` (N,) at times 0, 1, …, ``steps``: (steps + 1, N).

    Time is that of updates with these step sizes of G and D. SciPy's LSODA, which switches to a stiff method where the
    game is overdamped; relative tolerance 1e-9. Where the flow leaves every bound the remaining rows are NaN.
    """
    rates, calls, field = step_sizes(ensemble, lr), itertools.count(), ensemble.field(1)
    speed = math.inf  # |v| at the last point that was asked for

    def velocity(_: float, w: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal speed
        if next(calls) > MOST_CALLS:
            raise InputError(
                "dynamics=flow: the field jumps, as hinge's does outside of its margin, and has no flow that can be "
                "followed; choose dynamics=alternating, or another start"
            )
        found = (rates * field(torch.from_numpy(w)[None])[0]).numpy()
        speed = float(np.abs(found).max())
        return found

    def escaped(t: float, w: NDArray[np.float64]) -> float:
        if not speed < NEAR:  # else the integrator's own evaluation, close to w, says enough
            velocity(t, w)
        return float(BOUND - max(np.abs(w).max(), speed))

    path = np.full((steps + 1, len(start)), np.nan)
    path[0] = start.numpy()
    if escaped(0.0, path[0]) <= 0:  # an event is a change of sign
        return torch.from_numpy(path)
    escaped.terminal = True  # type: ignore[attr-defined]
    solution = solve_ivp(
        velocity, (0.0, float(steps)), start.numpy(), method="LSODA", t_eval=np.arange(steps + 1.0), rtol=1e-9,
        atol=1e-12, events=escaped,
    )  # fmt: skip
    if not solution.success:
        raise InputError(f"dynamics=flow: the integration failed ({solution.message}); try another start")
    path[: solution.y.shape[1]] = solution.y.T
    return torch.from_numpy(path)


# trajectories


@dataclass(frozen=True)
class Outcome:
    """How one trajectory ended.

    Attributes:
        name: ``converged`` (within .01 of where it rests, or within 1 % of a starting distance below 1),
            ``approaching``, ``persisting`` (it comes no nearer, as on a circle), ``receding`` or ``diverged``.
        distance: from the equilibrium (or from the trajectory's own late mean) at the end, over that at the start.
        rate: growth an update: log of the largest distance in the last quarter over that in the one before.
    """

    name: str
    distance: float
    rate: float

    @property
    def converged(self) -> bool:
        """Whether the trajectory has reached the equilibrium."""
        return self.name == "converged"


def outcome(path: Tensor, centre: Tensor | None) -> Outcome:
    """How a trajectory (T, N) ended, relative to the equilibrium (N,) or, without one, to its own late mean."""
    if not bool(path.isfinite().all()) or float(path[-1].norm()) > 1e6:
        return Outcome("diverged", math.inf, math.inf)
    late = len(path) - max(1, len(path) // 10)
    if centre is None:
        centre = path[late:].mean(0)
    radius = (path - centre).norm(dim=1)
    start = float(radius[0])
    if start == 0:
        return Outcome("converged", 0.0, -math.inf)
    middle = len(path) // 2
    halves = radius[middle:].tensor_split(2) if len(path) > 3 else (radius[-1:], radius[-1:])
    early, end = (float(part.max()) for part in halves)
    rate = math.log(max(end, 1e-300) / max(early, 1e-300)) / max((len(path) - middle) / 2, 1)
    distance = float(radius[late:].max()) / start
    if distance * start < CONVERGED * min(start, 1.0):
        name = "converged"
    elif end < 0.9 * early:
        name = "approaching"
    elif end > 1.1 * early:
        name = "receding"
    else:
        name = "persisting"
    return Outcome(name, distance, rate)


def angles(path: Tensor, velocities: Tensor, centre: Tensor) -> Tensor:
    """Angles in degrees (T,) between the field and the direction to ``centre`` (N,) on a path (T, N); 90°: a circle."""
    way = centre - path
    cosine = (way * velocities).sum(1) / (way.norm(dim=1) * velocities.norm(dim=1)).clamp(min=1e-300)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
