"""Densities on a line: the Gaussian nearest to two modes by three divergences, and the optimal discriminator."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

import drawing as draw
from divergences import Array, Divergence, fit_gaussian, js, kl, reverse_kl
from gcn.report.plots import GREY

HEAVY = 0.65  # weight of the left mode
SEPARATION = 5.5  # of the two modes, in their deviations: where the three fits differ
FITS = {
    r"$\mathrm{KL}(p\,\|\,q)$": (kl, draw.KL),
    r"$\mathrm{KL}(q\,\|\,p)$": (reverse_kl, draw.REVERSE_KL),
    r"$\mathrm{JS}(p,q)$": (js, draw.JS),
}


def two_modes(x: Array, separation: float) -> Array:
    """Density (n,) of 0.65 N(−s/2, 1) + 0.35 N(s/2, 1) at x."""
    return HEAVY * norm.pdf(x, -separation / 2) + (1 - HEAVY) * norm.pdf(x, separation / 2)


def one_gaussian(path: Path) -> Path:
    """The Gaussian q nearest to two modes p by KL, reverse KL and JS, and its width as the modes move apart."""
    with draw.page(path, (8.6, 4.0)) as figure:
        grid = figure.add_gridspec(3, 2, width_ratios=(1.15, 1))
        fits, widths = [figure.add_subplot(grid[row, 0]) for row in range(3)], figure.add_subplot(grid[:, 1])
        for axes, (label, (divergence, colour)) in zip(fits, FITS.items(), strict=True):
            _fit(axes, label, divergence, colour)
            _widths(widths, label, divergence, colour)
            axes.label_outer()
        fits[0].set_title("Nearest Gaussian $q$ (line) to $p$ (grey)")
        fits[1].set_ylabel(r"density (per $\sigma$)")
        fits[2].set_xlabel(r"$x$ (in $\sigma$, the deviation of a mode)")
        widths.axvline(SEPARATION, color=GREY, linewidth=0.8, linestyle=":")
        widths.text(SEPARATION + 0.1, 0.56, "shown left", color=GREY)
        widths.set(xlim=(0, 8), ylim=(0.5, 4.2), title="Width of $q$ as the modes move apart")
        widths.set(xlabel=r"distance of the modes (in $\sigma$)", ylabel=r"deviation of $q$ (in $\sigma$)")
        widths.legend(loc="upper left", fontsize=9)
    return path


def _fit(axes: Any, label: str, divergence: Divergence, colour: str) -> None:
    """Target and fit; the label says how far they remain apart."""
    x = np.linspace(-20, 20, 401)
    target = two_modes(x, SEPARATION)
    fit = fit_gaussian(x, target, divergence)
    axes.fill_between(x, target, color=draw.PALE, linewidth=0)
    axes.plot(x, target, color=GREY, linewidth=0.8)
    axes.plot(x, norm.pdf(x, fit.mean, fit.std), color=colour)
    axes.set(xlim=(-8, 8), ylim=(0, 0.44), yticks=[0, 0.2, 0.4])
    text = f"{label} = {fit.value:.2f} nats"
    axes.text(0.98, 0.9, text, transform=axes.transAxes, ha="right", va="top", color=colour, fontsize=10)


def _widths(axes: Any, label: str, divergence: Divergence, colour: str) -> None:
    """The fit's deviation over the distance of the modes; it jumps where one mode becomes the better answer."""
    x, distances = np.linspace(-24, 24, 241), np.linspace(0, 8, 25)
    fits = [fit_gaussian(x, two_modes(x, distance), divergence) for distance in distances]
    widths = np.array([fit.std for fit in fits])
    jumps = np.flatnonzero(np.abs(np.diff(widths)) > 0.5) + 1
    for piece, (d, width) in enumerate(zip(np.split(distances, jumps), np.split(widths, jumps), strict=True)):
        axes.plot(d, width, color=colour, label=None if piece else label)


def optimal_discriminator(path: Path) -> Path:
    """Two densities, D* = p/(p+q) and its logit log p − log q: ½ and 0 where the densities are equal."""
    x = np.linspace(-4.5, 4, 851)
    p, q = norm.pdf(x, -0.8, 0.8), norm.pdf(x, 0.8, 1.3)
    best_d, best_logit = p / (p + q), np.log(p) - np.log(q)  # Goodfellow et al. 2014, proposition 1
    crossings = x[1:][np.diff(np.sign(best_logit)) != 0]
    with draw.page(path, (6.2, 5.6)) as figure:
        densities, probability, logit = figure.subplots(3, 1, sharex=True)
        for density, label, colour in ((p, "$p$, data", draw.P), (q, "$q$, generator", draw.Q)):
            densities.plot(x, density, color=colour, label=label)
            densities.fill_between(x, density, color=colour, alpha=0.15, linewidth=0)
        for axes, curve, middle in ((probability, best_d, 0.5), (logit, best_logit, 0.0)):
            axes.axhline(middle, color=GREY, linewidth=0.8)
            axes.plot(x, curve, color=draw.INK)
            axes.fill_between(x, curve, middle, where=curve >= middle, color=draw.P, alpha=0.15, linewidth=0)
            axes.fill_between(x, curve, middle, where=curve <= middle, color=draw.Q, alpha=0.15, linewidth=0)
        for axes in (densities, probability, logit):
            for crossing in crossings:
                axes.axvline(crossing, color=GREY, linewidth=0.8, linestyle=":")
        densities.set(ylim=(0, 0.55), ylabel="density (per unit)", title="Densities of data and generator")
        densities.legend(loc="upper right")
        probability.set(
            ylim=(-0.02, 1.02),
            yticks=[0, 0.5, 1],
            ylabel=r"$D^\star$",
            title=r"Optimal discriminator $D^\star=p/(p+q)$",
        )
        logit.set(
            ylabel=r"$t^\star$ (nats)",
            title=r"Its logit $t^\star=\log p-\log q$",
            xlabel="$x$ (units of the data)",
            xlim=(x[0], x[-1]),
        )
    return path
