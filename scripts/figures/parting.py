"""Two nearly equal trainings of the Dirac-GAN: their distance stays, shrinks or grows like exp(Λ · updates)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

import drawing as draw
from gcn.game.rules import Alternating, Rule, Simultaneous
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.neighbours import exponents_at_rest
from small_games import ensemble, repeated

STEP, UPDATES, START, APART = 0.1, 150, (1.0, 0.4), 0.15


class Case(NamedTuple):
    """A way to train the Dirac-GAN with loss=wgan."""

    name: str
    rule: Callable[[], Rule]
    mse: float
    look: str


CASES = (
    Case("alternating: circles", Alternating, 0.0, "alternating"),
    Case("alternating, mse=0.1: spirals in", Alternating, 0.1, "alternating"),
    Case("simultaneous: widens", Simultaneous, 0.0, "simultaneous"),
)


def game_of(case: Case) -> GameEnsemble:
    """The game of a case."""
    return ensemble("wgan", rule=case.rule, h=STEP, mse=case.mse)


def exponent_of(case: Case, updates: int = 400) -> float:
    """Λ per update at the equilibrium; the update is the same linear map everywhere."""
    return float(exponents_at_rest(game_of(case), repeated((0.0, 0.0), 1), updates)[0, 0])


def two_trainings(case: Case) -> Tensor:
    """Trajectories (T, 2, 2) of two trainings that start ``APART`` from one another."""
    starts = repeated(START, 2)
    starts[1, 0] += APART
    return play(game_of(case), starts, UPDATES)


def exponent(path: Path) -> Path:
    """Circles, spirals and widening, each as two trainings and as their distance."""

    def panels(canvas: Any) -> None:
        planes, distances = canvas.subplots(2, len(CASES), height_ratios=(1.5, 1))
        for plane, below, case in zip(planes, distances, CASES, strict=True):
            both, value, colour = two_trainings(case), exponent_of(case), draw.RULES[case.look].colour
            draw.field(plane, ensemble("wgan", mse=case.mse), 2.6, density=0.55)
            draw.trajectory(plane, both[:, 0], colour, 1.1)
            draw.trajectory(plane, both[:, 1], draw.ORANGE, 1.1)
            draw.rest(plane)
            plane.set_title(case.name)
            updates = np.arange(UPDATES + 1)
            below.semilogy(updates, draw.radius(both[:, 0] - both[:, 1]), color=colour)
            draw.formula(below, updates, APART * np.exp(value * updates))
            sign = "0" if abs(value) < 1e-4 else f"{value:+.4f}".replace("-", "−")
            below.set(
                xlabel="updates", ylim=(0.02, 0.6), xlim=(0, UPDATES), title=rf"$\Lambda$ = {sign} per update"
            )
            below.set_yticks([0.02, 0.05, 0.15, 0.5], ["0.02", "0.05", "0.15", "0.5"])
            below.minorticks_off()
        distances[0].set_ylabel("distance of the two")

    title = "The distance of two trainings stays, shrinks or grows: the exponent is its slope"
    detail = (
        r"Dirac-GAN, loss=wgan, step size 0.1. Orange and blue or violet: two trainings that start 0.15 apart. "
        r"Dashes: $0.15\,e^{\Lambda t}$ with the measured $\Lambda$."
    )
    return draw.figure(path, (9.4, 6.2), title, detail, panels)
