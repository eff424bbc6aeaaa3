"""Games of the figures, made of the production losses, terms and rules, and what is measured of them.

Many games are played at once: a weight may be a tensor (E,), one value a game.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gcn.game.objective import Objective
from gcn.game.rules import Alternating, Rule
from gcn.game.slots import AdversarialLoss, Term
from gcn.lab import strengths
from gcn.lab.discrete import update_map
from gcn.lab.ensemble import GameEnsemble
from gcn.lab.games import Dirac, SmallGame
from gcn.lab.players import PLAIN, SGD
from gcn.losses.adversarial import (
    LSGAN,
    Adversarial,
    Hinge,
    NonSaturating,
    Relativistic,
    Vanilla,
    Wasserstein,
)
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1
from gcn.losses.perturbation import InstanceNoise
from gcn.losses.regularizers import JARE, Consensus, GradNorm

Complex = NDArray[np.complex128]
Array = NDArray[np.float64]
Weight = float | Tensor

LOSSES: Mapping[str, Callable[[], Adversarial]] = {
    "ns": NonSaturating, "vanilla": Vanilla, "wgan": Wasserstein, "hinge": Hinge, "lsgan": LSGAN,
}  # fmt: skip
FORCES = {name: strengths.FORCES[type(make())].d for name, make in LOSSES.items()}  # p = |f'(0)|
TERMS: Mapping[str, Callable[[], Term]] = {
    "mse": partial(MSE, unit=255.0), "r1": R1, "gp": GP, "grad_norm": GradNorm, "consensus": Consensus, "jare": JARE,
}  # fmt: skip


def numbers(*values: float) -> Tensor:
    """A weight, or a step size, for each game: (E,) float64."""
    return torch.tensor(values, dtype=torch.float64)


def grid(low: float, high: float, size: int) -> Tensor:
    """``size`` numbers from ``low`` to ``high``."""
    return torch.linspace(low, high, size, dtype=torch.float64)


def loss_of(name: str, pairing: str | None = None) -> AdversarialLoss:
    """A production loss by its name, alone or of differences of logits."""
    loss = LOSSES[name]()
    return loss if pairing is None else Relativistic(pairing).wrap(loss)


def ensemble(
    loss: str | AdversarialLoss, small: SmallGame | None = None, *, rule: Callable[[], Rule] = Alternating,
    h: Weight = 0.1, noise: float = 0.0, **weights: Weight,
) -> GameEnsemble:  # fmt: skip
    """A small game, by default the Dirac-GAN, and gradient descent of step size ``h``.

    Args:
        loss: the adversarial loss or its name.
        small: the game.
        rule: how the players move.
        h: step size, one for all games or one each.
        noise: variance σ² of the instance noise.
        weights: of the terms, by the names in ``TERMS``.
    """
    paid = {name: (weight, TERMS[name]()) for name, weight in weights.items()}
    if "mse" in paid and small is not None:  # a mean over coordinates, where the formulas have their sum
        paid["mse"] = (weights["mse"], MSE(unit=255.0 / math.sqrt(small.source().shape[1])))
    perturbations = [InstanceNoise(math.sqrt(noise))] if noise else []
    adversarial = loss_of(loss) if isinstance(loss, str) else loss
    return GameEnsemble(
        small or Dirac(), Objective(adversarial, 1.0, paid, perturbations), rule, partial(SGD, lr=h)
    )


def with_term(
    loss: str, name: str, weight: Weight, small: SmallGame | None = None, **how: Any
) -> GameEnsemble:
    """:func:`ensemble` with one term that is known by its name only."""
    terms: dict[str, Any] = {name: weight}
    return ensemble(loss, small, **how, **terms)


def repeated(start: Sequence[float], games: int) -> Tensor:
    """The same start for all games, (E, N)."""
    return numbers(*start).expand(games, -1).clone()


def at_rest(game: GameEnsemble, games: int = 1) -> Tensor:
    """Where games rest whatever the weights of their terms (E, N); the production field is asserted to vanish there."""
    bare = game.with_weights(dict.fromkeys(game.objective.weights, 0.0))
    points = repeated(game.small.rest(bare.strengths), games)
    assert float(game.velocity(points).abs().max()) < 1e-9, "not at rest"
    return points


def eigenvalues(game: GameEnsemble, games: int = 1) -> Complex:
    """Eigenvalues of the production field's Jacobian at rest (E, N), by falling real and then imaginary part."""
    return ordered(torch.linalg.eigvals(game.jacobian(at_rest(game, games))).numpy())


def rule_eigenvalues(game: GameEnsemble, h: float) -> Complex:
    """Those of the field along which a rule that is linear in its step size moves: (update - 1)/h, (N,)."""
    rest = at_rest(game)[0]
    change = update_map(game, rest, (h, h), (PLAIN, PLAIN))
    return ordered((torch.linalg.eigvals(change).numpy() - 1) / h)


def ordered(values: Complex) -> Complex:
    """Eigenvalues (..., N) by falling real and then imaginary part; rounding does not decide."""
    order = np.lexsort((-values.imag.round(6), -values.real.round(6)), axis=-1)
    return np.take_along_axis(values, order, axis=-1)


def roots(mean: Array, square: Array) -> Complex:
    """mean ± √square (E, 2), imaginary where the square is negative."""
    root = np.sqrt(np.asarray(square, dtype=complex))
    return ordered(np.stack([mean + root, mean - root], axis=-1))


def flows(game: GameEnsemble, starts: Tensor, duration: float, dt: float = 0.1) -> tuple[Array, Tensor]:
    """Times (T,) and solutions (T, E, N) of w' = v(w) from ``starts`` (E, N): classical Runge-Kutta, all at once."""
    steps = round(duration / dt)
    velocity, w, path = game.field(len(starts)), starts, [starts]
    for _ in range(steps):
        k1 = velocity(w)
        k2 = velocity(w + dt / 2 * k1)
        k3 = velocity(w + dt / 2 * k2)
        k4 = velocity(w + dt * k3)
        w = w + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(w)
    return np.arange(steps + 1) * dt, torch.stack(path)


def decay(times: Array, distance: Array) -> Array:
    """Rate at which distances (T, E) fall late in time: minus the slope of their logarithm, (E,)."""
    late = times > 0.3 * times[-1]
    return -np.polyfit(times[late], np.log(distance[late]), 1)[0]
