"""More than two numbers and other data: a game of many modes, and the uniform example."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import drawing as draw
from drawing import METHODS
from gcn.lab.games import LinearND, Uniform
from gcn.report.plots import RED
from small_games import (
    Array,
    Complex,
    at_rest,
    eigenvalues,
    ensemble,
    flows,
    numbers,
    ordered,
    roots,
    with_term,
)

SINGULAR = (0.25, 0.5, 1.0, 2.0)
SHADES = ("#a9d18e", "#4fae8b", "#1f7a8c", "#153b6b")  # of the modes, from the weakest
MU, GAMMA = 0.6, 0.4


def mode_spectra(weights: Array, gamma: float = 0.0) -> tuple[Complex, Array]:
    """Eigenvalues of each mode (W, modes, 2) and of D's kernel (W,) over weights of the distortion.

    The Jacobian is cut along θ_i, ψ_i; that nothing is lost by the cut is asserted.
    """
    small = LinearND(SINGULAR)
    game = ensemble("wgan", small, mse=numbers(*weights), r1=gamma)
    jacobian = game.jacobian(at_rest(game, len(weights)))
    n = len(SINGULAR)
    pairs = [[i, n + i] for i in range(n)]
    blocks = torch.stack([jacobian[:, pair][:, :, pair] for pair in pairs], 1)
    kernel = jacobian[:, 2 * n, 2 * n]
    kept = blocks.square().sum((1, 2, 3)) + kernel.square()
    assert torch.allclose(kept, jacobian.square().sum((1, 2))), "the modes are coupled"
    return ordered(torch.linalg.eigvals(blocks).numpy()), kernel.numpy()


def modes_nd(path: Path) -> Path:
    """Each singular value of the cross block is a game of its own, and D's kernel is out of the distortion's reach."""

    def panels(canvas: Any) -> None:
        plane, real, without, with_r1 = canvas.subplots(1, 4, width_ratios=(1.25, 1.1, 1, 1))
        _mode_loci(plane)
        _mode_rates(real)
        _mode_paths(without, 0.0)
        _mode_paths(with_r1, GAMMA)

    title = r"Each singular value is a game of its own; only a penalty on D damps what lies in the kernel"
    detail = (
        r"$D(x)=\psi^\top Bx$, wgan, singular values $s$ of $B$ from 0.25 to 2 and one dimension out of G's reach. "
        r"Dots: measured. Dashes: $-\mu\pm\sqrt{\mu^2-s^2}$. Right: flow, $\mu=0.6$."
    )
    return draw.figure(path, (11.8, 3.8), title, detail, panels)


def _mode_loci(axes: Any) -> None:
    weights = np.linspace(0, 1.3, 14)
    spectra, kernel = mode_spectra(weights)
    draw.half_plane(axes, -2.7, 0.3, 2.3)
    line = np.linspace(0, 1.3, 400)
    for i, (s, colour) in enumerate(zip(SINGULAR, SHADES, strict=True)):
        values = spectra[:, i].ravel()
        axes.plot(values.real, values.imag, "o", color=colour, markersize=4.2, label=f"$s={s:g}$", zorder=4)
        draw.locus(axes, roots(-line, line**2 - s**2))
    axes.plot(kernel, 0 * kernel, "s", color=RED, markersize=6, label="kernel", zorder=6)
    axes.set_title(r"eigenvalues, $\mu$ from 0 to 1.3")
    axes.legend(loc="upper left", handletextpad=0.2, ncols=1)


def _mode_rates(axes: Any) -> None:
    weights = np.linspace(0.0, 2.6, 27)
    spectra, kernel = mode_spectra(weights)
    line = np.linspace(0, 2.6, 400)
    for i, (s, colour) in enumerate(zip(SINGULAR, SHADES, strict=True)):
        axes.plot(weights, spectra[:, i].real.max(1), "o", color=colour, markersize=3.6)
        draw.formula(axes, line, roots(-line, line**2 - s**2).real.max(axis=1))
        axes.plot(s, -s, "o", markersize=8, markerfacecolor="none", markeredgecolor=draw.INK)
    axes.plot(weights, kernel, "s", color=RED, markersize=3)
    axes.text(
        1.3,
        -1.72,
        r"on Re $\lambda=-\mu$" + "\nuntil $\\mu=s$ (ring)",
        color=draw.INK,
        fontsize=8,
        ha="right",
    )
    axes.set(
        xlim=(0, 2.6), ylim=(-2.15, 0.15), xlabel=r"MSE $\mu$", ylabel=r"Re $\lambda$, the slower of a mode"
    )
    axes.set_title("every mode has its best weight")


def _mode_paths(axes: Any, gamma: float) -> None:
    small = LinearND(SINGULAR)
    game = ensemble("wgan", small, mse=MU, r1=gamma)
    times, paths = flows(game, numbers(*small.start)[None], 25.0, 0.1)
    n = len(SINGULAR)
    for i, colour in enumerate(SHADES):
        size = paths[:, 0, [i, n + i]].norm(dim=1)
        axes.semilogy(times, size / size[0], color=colour)
    kernel = paths[:, 0, 2 * n].abs()
    axes.semilogy(times, kernel / kernel[0], color=RED, linewidth=2)
    if gamma:
        draw.formula(axes, times, np.exp(-gamma * times))
    place, text = ((12.5, 0.014), r"kernel: $e^{-\gamma t}$") if gamma else ((18.5, 1.25), "kernel")
    axes.text(*place, text, color=RED)
    axes.set(
        xlim=(0, 25), ylim=(1e-8, 3), xlabel="time $t$", ylabel="distance of a mode" if not gamma else ""
    )
    axes.set_title(rf"MSE and R1 $\gamma={gamma:g}$" if gamma else "MSE alone")


# data and z uniform on [-1, 1]

FORMULAS = {
    "mse": ((lambda w: -w / 3), (lambda w: (w**2 - 4) / 9), 2.0, r"$-\frac{\mu}{3}\pm\frac{1}{3}\sqrt{\mu^2-4}$"),
    "grad_norm": (
        (lambda w: -4 * w / 9), (lambda w: 4 * (4 * w**2 - 9) / 81), 1.5,
        r"$-\frac{4\eta}{9}\pm\frac{2}{9}\sqrt{4\eta^2-9}$",
    ),
    "r1": (
        (lambda w: -2 * w / 3), (lambda w: 4 * (w**2 - 1) / 9), 1.0,
        r"$-\frac{2\gamma}{3}\pm\frac{2}{3}\sqrt{\gamma^2-1}$",
    ),
}  # fmt: skip
LETTERS = {"mse": r"\mu", "grad_norm": r"\eta", "r1": r"\gamma"}


def uniform(path: Path) -> Path:
    """One locus for three methods in the uniform example, and the weights at which each ends the rotation."""

    def panels(canvas: Any) -> None:
        plane, *each = canvas.subplots(1, 4, width_ratios=(1.3, 1, 1, 1))
        _uniform_locus(plane)
        for axes, method in zip(each, FORMULAS, strict=True):
            _parts(axes, method)
        each[0].set_ylabel(r"parts of $\lambda$")
        each[0].legend(loc="lower left")

    title = r"Data uniform on [−1, 1]: eigenvalues leave the circle of radius ⅔ at $\mu=2$, $\eta=3/2$ or $\gamma=1$"
    detail = r"$G(z)=az$, $D(x)=wx^2$, wgan, equilibrium $a=1$, $w=0$. Rings and dots: measured. Dashes: closed forms."
    return draw.figure(path, (11.8, 3.7), title, detail, panels)


def uniform_spectra(method: str, weights: Array) -> Complex:
    """Measured eigenvalues (W, 2) over weights of one method."""
    return eigenvalues(with_term("wgan", method, numbers(*weights), Uniform()), len(weights))


def _uniform_locus(axes: Any) -> None:
    draw.half_plane(axes, -1.75, 0.25, 1.0)
    shares = np.array(
        [*np.linspace(0, 0.9, 10), 1.0, 1.1, 1.25, 1.45]
    )  # of the weight that ends the rotation
    for size, (method, (mean, square, end, _)) in zip((3.4, 6.6, 9.8), FORMULAS.items(), strict=True):
        found = uniform_spectra(method, shares * end)
        draw.rings(axes, found, METHODS[method].colour, size, METHODS[method].label)
        line = end * np.linspace(0, 1.5, 300)
        draw.locus(axes, roots(mean(line), square(line)))
    axes.set_title("eigenvalues as a weight grows")
    axes.legend(loc="upper left")


def _parts(axes: Any, method: str) -> None:
    mean, square, end, text = FORMULAS[method]
    colour = METHODS[method].colour
    weights, line = np.linspace(0, 2 * end, 21), np.linspace(0, 2 * end, 400)
    found, closed = uniform_spectra(method, weights), roots(mean(line), square(line))
    axes.plot(weights, found.real, "o", color=colour, markersize=4, label=[r"Re $\lambda$", None])
    faint = {"color": colour, "markerfacecolor": "white", "markersize": 4}
    axes.plot(weights, found.imag, "o", **faint, label=[r"Im $\lambda$", None])
    draw.formula(axes, line, closed.real)
    draw.formula(axes, line, closed.imag)
    axes.axvline(end, color="#999999", linewidth=0.8, linestyle=":")
    axes.text(end * 1.04, 0.82, f"${LETTERS[method]}={end:g}$", color="#666666", fontsize=8.5)
    axes.set(xlim=(0, 2 * end), ylim=(-2.6, 1.0), xlabel=METHODS[method].label)
    axes.set_title(text, fontsize=11, color=colour)
