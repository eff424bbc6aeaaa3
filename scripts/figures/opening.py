"""The first figure: circles become spirals, then nothing rotates; and the numbers of a wrong derivation."""

from pathlib import Path
from typing import Any

import numpy as np

import drawing as draw
from gcn.lab.ensemble import play
from gcn.lab.examine import examine
from gcn.lab.figure import portrait
from gcn.lab.games import Dirac
from gcn.report.plots import GREY, RED
from small_games import (
    eigenvalues,
    ensemble,
    flows,
    loss_of,
    numbers,
    repeated,
    roots,
)

SHOWN = {"ns": None, "vanilla": None, "wgan": None, "hinge": None, "lsgan": None, "ns, paired": "pair"}
WEIGHTS = (0.0, 0.25, 1.0)
UPDATES, STEP, START = 500, 0.1, (1.0, 1.0)


def run(path: Path) -> Path:
    """What a run of the lab looks like: ns with a distortion that leaves it rotating."""
    return portrait(
        path, examine(ensemble("ns", mse=0.25, h=STEP), UPDATES), "dirac: loss=ns  mse=0.25  sgd lr=0.1"
    )


def circles(path: Path) -> Path:
    """Field and 500 alternating updates of every loss, without a distortion and with two weights of it."""

    def panels(canvas: Any) -> None:
        axes = canvas.subplots(len(WEIGHTS), len(SHOWN), sharex=True, sharey=True)
        for column, (name, pairing) in enumerate(SHOWN.items()):
            loss = loss_of(name.split(",")[0], pairing)
            game = ensemble(loss, mse=numbers(*WEIGHTS), h=STEP)
            paths = play(game, repeated(START, len(WEIGHTS)), UPDATES)
            spectra = eigenvalues(game, len(WEIGHTS))
            for row, weight in enumerate(WEIGHTS):
                here = axes[row, column]
                draw.field(here, ensemble(loss, mse=weight), 1.75, density=0.65)
                draw.trajectory(here, paths[:, row], draw.METHODS["mse" if weight else "none"].colour)
                draw.rest(here)
                draw.note(here, 0.03, 0.97, rf"$\lambda$ = {draw.spelled(spectra[row])}", fontsize=7.5)
                here.label_outer()
            axes[0, column].set_title("ns, relativistic pair" if pairing else name, loc="center")
        words = (
            "no distortion:\nrotation",
            "+ MSE $\\mu=¼$:\nspirals in",
            "+ MSE $\\mu=1$:\nno rotation",
        )
        for row, text in enumerate(words):
            look = draw.METHODS["mse" if row else "none"]
            place = {"xycoords": "axes fraction", "ha": "center", "va": "center", "rotation": 90}
            axes[row, 0].annotate(text, (-0.42, 0.5), color=look.colour, fontsize=10, **place)

    title = "Without a distortion every game rotates; with a small one it spirals in, with a larger one nothing rotates"
    detail = (
        "Dirac-GAN, 500 alternating updates of step size 0.1 from the dot (1, 1). Grey: the field of training. "
        r"$\lambda$: measured eigenvalues at the equilibrium (cross)."
    )
    return draw.figure(path, (11.4, 6.4), title, detail, panels)


def missing_square(path: Path) -> Path:
    """The spectrum with the square of f'(0) and without, and why no rotation does not mean fast."""

    def panels(canvas: Any) -> None:
        real, imaginary, rates = canvas.subplots(1, 3, width_ratios=(1.15, 1.15, 1.2))
        _with_and_without(real, imaginary)
        for axes, part, reach in ((real, "Re", (-2.3, 0.3)), (imaginary, "Im", (-2.15, 2.15))):
            axes.set(ylabel=rf"{part} $\lambda$", xlabel=r"$f\,'(0)$", xlim=(0, 2.2), ylim=reach)
            for p in (0.5, 1.0, 2.0):
                axes.axvline(p, color="#aaaaaa", linewidth=0.8, linestyle=":", zorder=0)
        for p, names in ((0.5, "ns\nvanilla"), (1.0, "wgan, hinge\nlsgan"), (2.0, "lsgan\npair")):
            real.text(p + 0.03, 0.27, names, fontsize=7.5, color=GREY, va="top")
        real.set_title(r"Real parts with $\mu=1$")
        imaginary.set_title(r"Imaginary parts with $\mu=1$")
        imaginary.legend(loc="lower left")
        _not_fast(rates)

    title = r"The force enters squared: $\lambda=-1\pm\sqrt{1-f\,'(0)^2}$.  And a game that does not rotate may be slow"
    detail = (
        "Left and middle: Dirac-GANs with $D(x)=s\\psi x$, whose force $f\\,'(0)$ is $s$ times that of the loss. "
        "Right: the flow of ns from near its equilibrium."
    )
    return draw.figure(path, (11.2, 4.0), title, detail, panels)


def _with_and_without(real: Any, imaginary: Any) -> None:
    """The eigenvalues over f'(0): measured, by the formula, and by the formula without the square."""
    scales = np.linspace(0.1, 2.2, 22)
    measured = np.stack([eigenvalues(ensemble("wgan", Dirac(scale=s), mse=1.0))[0] for s in scales])
    force = np.linspace(0, 2.2, 441)
    wrong, right = (roots(-np.ones_like(force), 1 - power) for power in (force, force**2))
    texts = [r"not squared: $-1\pm\sqrt{1-f\,'(0)}$", "measured", r"$-1\pm\sqrt{1-f\,'(0)^2}$"]
    for axes, part in ((real, np.real), (imaginary, np.imag)):
        axes.plot(force, part(wrong), color=RED, linewidth=1.5, label=[texts[0], None])
        blue = draw.METHODS["mse"].colour
        axes.plot(scales, part(measured), "o", color=blue, markersize=4.5, label=[texts[1], None])
        draw.formula(axes, force, part(right), [texts[2], None])


def _not_fast(axes: Any) -> None:
    """Distances over time: a game that rotates and is fast, two that do not and are slow."""
    looks = {0.5: (1.6, "#0072b2", "double root"), 0.25: (2.4, "#3e9ad1", "rotates")}
    looks |= {2.0: (1.6, "#8cc3e6", "no rotation"), 4.0: (1.6, "#c2dff2", "no rotation")}
    game = ensemble("ns", mse=numbers(*looks))
    times, paths = flows(game, repeated((0.01, 0.0), len(looks)), 40.0, 0.2)
    for i, (weight, (width, colour, kind)) in enumerate(looks.items()):
        distance = draw.radius(paths[:, i]) / draw.radius(paths[0, i])
        text = rf"$\mu={weight:g}$: {kind}, rate {-eigenvalues(ensemble('ns', mse=weight))[0, 0].real:.3f}"
        axes.semilogy(times, distance, color=colour, linewidth=width, label=text)
    axes.set(ylim=(1e-9, 3), xlim=(0, 40), xlabel="time $t$", ylabel=r"$\|w(t)\|\,/\,\|w(0)\|$")
    axes.set_title("A rotating game may be the faster one")
    axes.legend(loc="lower left")
