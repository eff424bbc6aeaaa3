"""Steps instead of time: the bilinear game, critical step sizes of four rules, and what Adam makes of it all."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import drawing as draw
from drawing import RULES
from gcn.game.rules import Alternating, Extragradient, Optimistic, Simultaneous
from gcn.lab.ensemble import play
from gcn.lab.games import Bilinear
from gcn.lab.sweep import heat_map
from small_games import FORCES, Array, Complex, ensemble, flows, grid, repeated, roots

MADE = {
    "simultaneous": Simultaneous, "alternating": Alternating, "extragradient": Extragradient, "optimistic": Optimistic,
}  # fmt: skip
P = FORCES["ns"]


# the bilinear game

H, UPDATES, START = 0.1, 300, (1.0, 0.0)


def bilinear_paths() -> dict[str, Tensor]:
    """Trajectories (T, 2) of the game xy: the flow at the time of each update, and every rule."""
    _, path = flows(ensemble("wgan", Bilinear()), repeated(START, 1), UPDATES * H, H)
    found = {"flow": path[:, 0]}
    for name, rule in MADE.items():
        found[name] = play(ensemble("wgan", Bilinear(), rule=rule, h=H), repeated(START, 1), UPDATES)[:, 0]
    return found


def bilinear(path: Path) -> Path:
    """The game xy: the flow circles, and what descent does depends on the rule."""

    def panels(canvas: Any) -> None:
        *planes, radii = canvas.subplots(2, 3).flat
        paths = bilinear_paths()
        verdicts = ("circles", "spirals out", "stays on an ellipse", "spirals in", "spirals in")
        for axes, (name, points), verdict in zip(planes, paths.items(), verdicts, strict=True):
            draw.field(axes, ensemble("wgan", Bilinear()), 2.1, density=0.55)
            draw.trajectory(axes, points[: 150 if name == "simultaneous" else None], RULES[name].colour, 1.1)
            draw.rest(axes)
            axes.set_title(f"{name} {verdict}", color=RULES[name].colour)
        _radii(radii, paths)

    title = "In the game xy the flow circles: circles that widen are caused by simultaneous descent"
    detail = (
        r"Step size $h=0.1$, 300 updates (simultaneous, in the plane: 150). Dashes, from above: "
        r"$(1+h^2)^{t/2}$, $1$, $(1-h^2+h^4)^{t/2}$, optimistic's $|\lambda|^t$."
    )
    return draw.figure(path, (9.4, 6.6), title, detail, panels)


def _radii(axes: Any, paths: dict[str, Tensor]) -> None:
    t = np.arange(UPDATES + 1)
    for name, points in paths.items():
        width = 2.4 if name == "flow" else 1.8
        axes.semilogy(t, draw.radius(points), color=RULES[name].colour, linewidth=width)
    ogda = np.abs(moduli("optimistic", np.array([1j]), H))[0]
    for modulus in (np.sqrt(1 + H**2), 1.0, np.sqrt(1 - H**2 + H**4), ogda):
        draw.formula(axes, t, modulus**t)
    axes.set(xlim=(0, UPDATES), ylim=(0.18, 5.5), xlabel="updates", title="distance from the equilibrium")
    axes.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    axes.minorticks_off()
    axes.set_ylabel("radius")
    labels = {
        "simultaneous": (115, 2.6),
        "alternating": (200, 1.13),
        "flow": (150, 1.13),
        "extragradient": (15, 0.29),
    }
    for name, place in (labels | {"optimistic": (15, 0.24)}).items():
        axes.text(
            *place,
            name,
            color=RULES[name].colour,
            fontsize=8.5,
            ha="right" if name in ("simultaneous", "flow") else "left",
        )
    axes.set_box_aspect(1)


# critical step sizes


def moduli(rule: str, eigenvalue: Complex, h: Array | float, mu: Array | float = 0.0, p: float = P) -> Array:
    """Largest modulus of the update's eigenvalues, from those λ of the field (…); alternating needs μ and p.

    simultaneous 1 + z, extragradient 1 + z + z², optimistic the roots of w² - (1 + 2z)w + z, with z = hλ;
    alternating the roots of w² - (2 - 2hμ - h²p²)w + (1 - 2hμ).
    """
    z = np.asarray(h * eigenvalue, dtype=complex)
    if rule == "simultaneous":
        return np.abs(1 + z)
    if rule == "extragradient":
        return np.abs(1 + z + z**2)
    if rule == "optimistic":
        half, product = (1 + 2 * z) / 2, z
    else:
        half = np.asarray(2 - 2 * h * mu - h**2 * p**2, dtype=complex) / 2
        product = np.asarray(1 - 2 * h * mu, dtype=complex)
    root = np.sqrt(half**2 - product)
    return np.maximum(np.abs(half + root), np.abs(half - root))


def closed_growth(rule: str, mu: Array, h: Array) -> Array:
    """log of the spectral radius of an update of ns with a distortion, (H, W)."""
    spectra = roots(-mu, mu**2 - P**2)  # (W, 2)
    each = [moduli(rule, spectra[None, :, branch], h[:, None], mu[None]) for branch in range(2)]
    return np.log(np.maximum(*each).clip(1e-12))


def critical(rule: str, mu: Array) -> Array | None:
    """The largest stable step size in closed form, where there is one."""
    over = np.sqrt(np.maximum(mu**2 - P**2, 0))
    if rule == "simultaneous":
        return np.where(mu <= P, 2 * mu / P**2, 2 / (mu + over))
    return 2 / (mu + np.sqrt(mu**2 + P**2)) if rule == "alternating" else None


SIDE, UPTO, LARGEST = 90, 2.0, 4.0
AWAY = 1e-150


def growth(rule: str, mu: Tensor, h: Tensor) -> Array:
    """log of how much a game grows an update, measured near rest: games of weights and step sizes (E,).

    They start so close to rest that no growth that the figure can show leaves the linear regime. The largest distance
    in the last third is compared with that of the third before: maxima, for an oscillation may pass through rest.
    """
    third, every = 8, 10
    start = AWAY * repeated((0.8, 0.6), len(mu))
    path = play(ensemble("ns", mse=mu, rule=MADE[rule], h=h), start, 3 * third * every, every)
    distance = path.abs().amax(2)[1:].nan_to_num(torch.inf, torch.inf)
    before, after = distance[third : 2 * third].amax(0), distance[2 * third :].amax(0)
    rate = (after / before).log() / (third * every)
    rate = torch.where(after == 0, -torch.inf, rate)
    return torch.where(after.isinf(), torch.inf, rate).numpy()


def measured_growth(rule: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (W,), step sizes (H,) and the growth an update (H, W), each cell a game that was played."""
    mu, h = grid(UPTO / SIDE, UPTO, SIDE), grid(LARGEST / SIDE, LARGEST, SIDE)
    steps, weights = torch.meshgrid(h, mu, indexing="ij")
    rates = growth(rule, weights.reshape(-1), steps.reshape(-1))
    return mu, h, torch.from_numpy(rates).reshape(SIDE, SIDE)


def step_sizes(path: Path) -> Path:
    """Weight of the distortion against step size for four rules: where the game converges, and how fast."""

    def panels(canvas: Any) -> None:
        axes = canvas.subplots(1, 4, sharey=True)
        for here, rule in zip(axes, MADE, strict=True):
            mu, h, rate = measured_growth(rule)
            colours = heat_map(here, mu, h, rate)
            fine, steps = np.linspace(0.005, UPTO, 400), np.linspace(0.01, LARGEST, 400)
            here.contour(
                fine, steps, closed_growth(rule, fine, steps), [0.0], colors=draw.INK, linewidths=1.6
            )
            here.axvline(P, color=draw.INK, linewidth=0.7, linestyle=":")
            here.set(xlim=(0, UPTO), ylim=(0, LARGEST), xlabel=r"MSE $\mu$", title=rule)
            _points_of_the_table(here, rule)
            here.label_outer()
        bar = canvas.colorbar(colours, ax=axes, extend="both", pad=0.01)
        bar.set_label("log growth an update: blue converges")

    title = "What a distortion does depends on the rule: without it only simultaneous descent diverges at every step"
    detail = (
        r"Dirac-GAN with ns, $p=½$ (dotted). Colour: measured, each of the 90 × 90 cells is a game of 240 updates near "
        r"rest. Black: critical step in closed form; squares: at $\mu=0.1$, ¼, ½, 1, 2."
    )
    return draw.figure(path, (11.8, 3.7), title, detail, panels)


def _points_of_the_table(axes: Any, rule: str) -> None:
    some = np.array([0.1, 0.25, 0.5, 1.0, 2.0])
    found = critical(rule, some)
    if found is not None:
        axes.plot(
            some, found, "s", markersize=5, markerfacecolor="white", color=draw.INK, clip_on=False, zorder=6
        )
