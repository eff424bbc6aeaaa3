"""The figures of docs/theory.md by name: which module draws each, and what that module is about.

A figure is the function of its name. It is computed by the production losses, terms and rules; closed forms are drawn
over what was measured. It takes a path without a suffix, writes ``path.png`` and ``path.svg``, and returns the path. A
module is imported when one of its figures is drawn.
"""

import time
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Module(NamedTuple):
    """A module of this folder: the figures that it draws, and what they show in a line."""

    figures: tuple[str, ...]
    about: str


MODULES = {
    "opening": Module(
        ("run", "circles", "missing_square"), "circles, spirals, and the missing square of a derivation"
    ),
    "damping": Module(
        ("same_spectrum", "slow_mode", "complementary"), "one spectrum by four methods, the slow mode"
    ),
    "pulls": Module(("penalties",), "Nagarajan-Kolter, consensus, JARE, SGA: what each adds to the field"),
    "equilibria": Module(("lossy", "wrong_point"), "equilibria of lossy games and of one-centred penalties"),
    "dimensions": Module(("modes_nd", "uniform"), "many modes and D's kernel, the uniform example"),
    "discrete_time": Module(("bilinear", "step_sizes"), "the bilinear game, critical step sizes"),
    "adaptive": Module(("adam",), "Adam and its betas"),
    "forces": Module(("non_saturating", "relativistic"), "the flow of ns, the forces of relativistic losses"),
    "earth_mover": Module(("piles", "segments"), "Wasserstein-1 of four piles and of two parallel segments"),
    "densities": Module(("one_gaussian", "optimal_discriminator"), "one Gaussian for two, the best D"),
    "costs": Module(("costs",), "loss of G over D(G(z)), for three losses"),
    "parting": Module(
        ("exponent",), "Lyapunov exponents: two trainings and their distance (docs/exponent.md)"
    ),
}
FIGURES = {figure: name for name, module in MODULES.items() for figure in module.figures}


def draw(name: str, folder: Path) -> float:
    """Draw a figure into a folder, under its name; returns the seconds it took."""
    begin = time.monotonic()
    getattr(import_module(FIGURES[name]), name)(folder / name)
    return time.monotonic() - begin


def one_thread() -> None:
    """Let torch use one thread in this process: the tensors are too small for more."""
    import torch

    torch.set_num_threads(1)
