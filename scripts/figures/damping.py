"""What damps: the same spectrum by other hands, too much of one thing, two things together, four penalties unmasked."""

from pathlib import Path
from typing import Any

import numpy as np

import drawing as draw
from drawing import METHODS
from small_games import (
    FORCES,
    Array,
    decay,
    eigenvalues,
    ensemble,
    flows,
    grid,
    numbers,
    repeated,
    roots,
)

# the weight of each method that damps as a distortion of weight μ does, in a game of force p
EQUIVALENT = {
    "mse": lambda mu, p: {"mse": mu},
    "grad_norm": lambda mu, p: {"grad_norm": mu / p**2},
    "r1": lambda mu, p: {"r1": 2 * mu},
    "noise": lambda mu, p: {"noise": 4 * mu},
}
P = FORCES["ns"]


def same_spectrum(path: Path) -> Path:
    """Four methods whose eigenvalues coincide, and whose trajectories do not: each damps one player."""

    def panels(canvas: Any) -> None:
        left, middle, right = canvas.subfigures(1, 3, width_ratios=(1.25, 1.2, 1.05))
        _four_loci(left.subplots())
        _four_fields(middle, 0.25)
        _four_distances(right.subplots(), 0.25)

    title = (
        "MSE, Nagarajan-Kolter, R1 and instance noise have one spectrum: the same damping, on other players"
    )
    detail = (
        r"Dirac-GAN with ns, $p=½$; R1 $\gamma=2\mu$, noise $\sigma^2=4\mu$, Nagarajan-Kolter $\eta=\mu/p^2$. "
        r"Rings: measured. Dashes: $-\mu\pm\sqrt{\mu^2-p^2}$. Middle and right: $\mu=¼$, the flow."
    )
    return draw.figure(path, (11.4, 4.4), title, detail, panels)


def _four_loci(axes: Any) -> None:
    draw.half_plane(axes, -1.55, 0.3, 0.78)
    weights = np.concatenate([np.linspace(0, 0.45, 10), [0.5, 0.52, 0.56, 0.62, 0.7, 0.8]])
    for size, method in zip((3.2, 6, 8.8, 11.6), EQUIVALENT, strict=True):
        found = [eigenvalues(ensemble("ns", **EQUIVALENT[method](float(mu), P)))[0] for mu in weights]
        draw.rings(axes, np.stack(found), METHODS[method].colour, size, METHODS[method].label)
    mu = np.linspace(0, 0.82, 400)
    draw.locus(axes, roots(-mu, mu**2 - P**2))
    axes.text(0.065, P, r"$\mu=0$", fontsize=8, va="center")
    axes.text(-P - 0.04, -0.11, r"$\mu=p$", fontsize=8, ha="right", va="center")
    axes.set_title("eigenvalues as the weight grows")
    axes.legend(loc="upper left", ncols=2, columnspacing=0.8, handletextpad=0.3)


def _four_fields(canvas: Any, mu: float) -> None:
    axes = canvas.subplots(2, 2, sharex=True, sharey=True)
    for i, (here, method) in enumerate(zip(axes.flat, EQUIVALENT, strict=True)):
        game = ensemble("ns", **EQUIVALENT[method](mu, P))
        draw.field(here, game, 1.3, density=0.6)
        _, paths = flows(game, repeated((1.0, 0.0), 1), 30.0, 0.2)
        draw.trajectory(here, paths[:, 0], METHODS[method].colour, 1.8)
        draw.rest(here)
        here.label_outer()
        who = "damps G" if i < 2 else "damps D"
        here.set_title(
            f"{METHODS[method].label.split(' $')[0]}: {who}", fontsize=8.5, color=METHODS[method].colour
        )


def _four_distances(axes: Any, mu: float) -> None:
    for method, style in zip(EQUIVALENT, ("-", (0, (5, 2)), "-", (0, (5, 2))), strict=True):
        game = ensemble("ns", **EQUIVALENT[method](mu, P))
        times, paths = flows(game, repeated((0.01, 0.0), 1), 30.0, 0.2)
        distance = draw.radius(paths[:, 0]) / 0.01
        axes.semilogy(times, distance, color=METHODS[method].colour, linestyle=style, linewidth=1.8)
    draw.formula(axes, times, np.exp(-mu * times))
    axes.text(19, np.exp(-mu * 19) * 2.2, r"$e^{-\mu t}$", color=draw.INK)
    axes.set(xlim=(0, 30), ylim=(3e-4, 1.5), xlabel="time $t$", ylabel=r"$\|w(t)\|\,/\,\|w(0)\|$")
    axes.set_title("distance: one rate, two curves")


def slow_mode(path: Path) -> Path:
    """The rate of convergence over the weight of the distortion: highest at μ = p, then a mode that creeps."""

    def panels(canvas: Any) -> None:
        rate, distance = canvas.subplots(1, 2, width_ratios=(1.35, 1))
        for loss, colour in (("wgan", LIGHT), ("ns", METHODS["mse"].colour)):
            _rates(rate, loss, colour)
        rate.set(xlim=(0, 4), ylim=(0, 1.12), xlabel=r"weight of the distortion $\mu$")
        rate.set_ylabel(r"rate of convergence $-\max\,$Re $\lambda$")
        rate.set_title(r"the rate over $\mu$")
        rate.legend(loc="upper right")
        _creeping(distance)

    title = (
        r"More distortion is not more stability: the best weight is $\mu=p$, beyond it a slow mode remains"
    )
    detail = (
        "Dirac-GAN. Lines: Jacobian of the field. Dots: slopes of trajectories (flow). Black dashes: "
        r"$\mu-\mathrm{Re}\sqrt{\mu^2-p^2}$; dotted: $p^2/2\mu$."
    )
    return draw.figure(path, (9.6, 4.2), title, detail, panels)


LIGHT = "#56b4e9"  # MSE in games of force 1


def _rates(axes: Any, loss: str, colour: str) -> None:
    p = FORCES[loss]
    weights = grid(0.01, 4, 400)
    found = -eigenvalues(ensemble(loss, mse=weights), len(weights)).real.max(axis=1)
    axes.plot(weights, found, color=colour, linewidth=2.2, label=rf"{loss}, $p={p:g}$")
    some = grid(0.2, 3.8, 19)
    axes.plot(
        some,
        measured_rates(loss, some.tolist()),
        "o",
        color=colour,
        markersize=5,
        markeredgecolor="white",
        zorder=6,
    )
    mu = weights.numpy()
    draw.formula(axes, mu, -roots(-mu, mu**2 - p**2).real.max(axis=1))
    tail = mu[mu > 1.2 * p]
    axes.plot(tail, p**2 / (2 * tail), color=draw.INK, linewidth=1.1, linestyle=":", zorder=5)
    axes.text(p + 0.07, p + 0.01, r"$\mu=p=½$" if p < 1 else r"$\mu=p=1$", color=draw.INK)
    axes.plot(p, p, "o", markersize=9, markerfacecolor="none", markeredgecolor=draw.INK, zorder=7)


def measured_rates(loss: str, weights: list[float]) -> Array:
    """Rates of convergence of the flow's trajectories, with these weights of the distortion."""
    game = ensemble(loss, mse=numbers(*weights))
    times, paths = flows(game, repeated((1e-4, 0.5e-4), len(weights)), 60.0, 0.2)
    return decay(times, draw.radius(paths))


def _creeping(axes: Any) -> None:
    looks = {0.1: "#9fb8c9", 0.5: METHODS["mse"].colour, 1.0: "#4d9bc9", 2.0: "#8cc3e6", 4.0: "#c2dff2"}
    game = ensemble("ns", mse=numbers(*looks))
    times, paths = flows(game, repeated((0.01, 0.0), len(looks)), 40.0, 0.2)
    for i, (mu, colour) in enumerate(looks.items()):
        distance = draw.radius(paths[:, i]) / 0.01
        label = rf"$\mu={mu:g}$" + (r"$\,=p$" if mu == P else "")
        axes.semilogy(times, distance, color=colour, linewidth=1.8, label=label)
    axes.legend(loc="lower left")
    axes.set(xlim=(0, 40), ylim=(1e-6, 1.6), xlabel="time $t$", ylabel=r"$\|w(t)\|\,/\,\|w(0)\|$")
    axes.set_title("distance from the equilibrium, ns")


def complementary(path: Path) -> Path:
    """The rate over the weights of distortion and penalty: together they have no slow mode."""

    def panels(canvas: Any) -> None:
        plane, portrait, distance = canvas.subplots(1, 3, width_ratios=(1.35, 1, 1.05))
        _rate_map(canvas, plane)
        _three_arms(portrait, distance)

    title = "Distortion and penalty are complementary: each removes the slow mode that the other leaves"
    detail = (
        r"Dirac-GAN with ns, $p=½$. Left: measured rate $-\max\,$Re $\lambda$; between the dashes $|\gamma-2\mu|=2p$ "
        "the game rotates. Right: flow from the dot, dashes: $e^{\\mathrm{Re}\\,\\lambda\\,t}$."
    )
    return draw.figure(path, (11.4, 4.1), title, detail, panels)


ARMS = {(2.0, 0.0): METHODS["mse"].colour, (0.0, 0.5): METHODS["r1"].colour, (2.0, 0.5): draw.BOTH}


def _rate_map(canvas: Any, axes: Any) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    mu, gamma = grid(0, 3, 121), grid(0, 6, 121)
    rates = rate_over(mu.repeat(len(gamma)), gamma.repeat_interleave(len(mu))).reshape(len(gamma), len(mu))
    pale = LinearSegmentedColormap.from_list("rates", ["#fdf3d8", "#cfe8cf", "#8cc5c6", "#4f97b8"])
    scale, levels = LogNorm(0.05, 6), [0.125, 0.25, 0.5, 1, 2, 4]
    colours = axes.pcolormesh(
        mu.numpy(), gamma.numpy(), rates.clip(1e-3), cmap=pale, norm=scale, shading="nearest", rasterized=True
    )
    axes.contour(mu.numpy(), gamma.numpy(), rates, levels, colors="white", linewidths=0.8)
    draw.formula(axes, mu, 2 * mu + 2 * P)
    draw.formula(axes, mu, 2 * mu - 2 * P)
    axes.text(1.42, 2.84, "rotates", rotation=40, fontsize=9, color=draw.INK, ha="center", va="center")
    for (x, y), colour in ARMS.items():
        axes.plot(x, y, "o", markersize=8, color=colour, markeredgecolor="white", clip_on=False, zorder=8)
        rate = float(rate_over(numbers(x), numbers(y))[0])
        axes.annotate(f"{rate:.4f}" if rate < 0.1 else f"{rate:.3f}", (x, y), (6, 6), textcoords="offset points",
                      fontsize=8.5, color=draw.INK, weight="bold")  # fmt: skip
    axes.grid(False)
    axes.set(
        xlim=(0, 3), ylim=(0, 6), xlabel=r"MSE $\mu$", ylabel=r"R1 $\gamma$", title="rate of convergence"
    )
    bar = canvas.colorbar(colours, ax=axes, pad=0.02, extend="min")
    bar.set_ticks([0.0625, *levels], labels=["1/16", "1/8", "1/4", "1/2", "1", "2", "4"])
    bar.minorticks_off()


def rate_over(mu: Any, gamma: Any) -> Array:
    """Minus the spectral abscissa of ns with distortions and penalties of weights (E,)."""
    return -eigenvalues(ensemble("ns", mse=mu, r1=gamma), len(mu)).real.max(axis=1)


def _three_arms(portrait: Any, distance: Any) -> None:
    mu, gamma = (numbers(*weights) for weights in zip(*ARMS, strict=True))
    times, paths = flows(ensemble("ns", mse=mu, r1=gamma), repeated((1.0, 1.0), 3), 20.0, 0.1)
    _, near = flows(ensemble("ns", mse=mu, r1=gamma), repeated((0.01, 0.01), 3), 20.0, 0.1)
    draw.field(portrait, ensemble("ns", mse=2.0, r1=0.5), 1.3)
    for i, ((x, y), colour) in enumerate(ARMS.items()):
        draw.trajectory(portrait, paths[:, i], colour, 1.8)
        parts = [rf"MSE $\mu={x:g}$"] * (x > 0) + [rf"R1 $\gamma={y:g}$"] * (y > 0)
        radius = draw.radius(near[:, i]) / draw.radius(near[0, i])
        distance.semilogy(times, radius, color=colour, linewidth=1.8, label=" + ".join(parts))
        rate = float(rate_over(numbers(x), numbers(y))[0])
        draw.formula(distance, times, np.exp(-rate * (times - 10)) * radius[len(times) // 2])
    draw.rest(portrait)
    portrait.set_title("trajectories (grey: the field of both)")
    distance.legend(loc="lower left")
    distance.set(xlim=(0, 20), ylim=(1e-6, 1.5), xlabel="time $t$", ylabel=r"$\|w(t)\|\,/\,\|w(0)\|$")
    distance.set_title("distance from the equilibrium")
