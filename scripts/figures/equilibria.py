"""Equilibria: with a slope of D in lossy games, and away from the data with a one-centred penalty."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import drawing as draw
from drawing import LOSSES, METHODS
from gcn.lab.analysis import equilibrium
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.games import Lossy, Quantiser
from gcn.report.plots import GREY
from small_games import FORCES, Array, ensemble, flows, grid, numbers, repeated

M = 1.0  # where the distortion of the lossy game is least; the data are at 0
P = FORCES["ns"]


def resting(game: GameEnsemble, after: Tensor | None = None) -> Tensor:
    """The equilibrium (N,) as Newton's method on the production field finds it."""
    found = equilibrium(game, after).point
    assert found is not None
    return found


def abscissa(game: GameEnsemble) -> float:
    """The largest real part of the field's eigenvalues at its equilibrium."""
    return float(torch.linalg.eigvals(game.jacobian(resting(game)[None])[0]).real.max())


def lossy(path: Path) -> Path:
    """A distortion whose optimum is not the data: D keeps a slope at the equilibrium, and vanilla becomes unstable."""

    def panels(canvas: Any) -> None:
        upper, lower = canvas.subfigures(2, 1)
        planes = upper.subplots(1, 4, width_ratios=(1, 1, 0.95, 0.95))
        _biased_plane(planes[0], "ns")
        _biased_plane(planes[1], "vanilla")
        _biased_numbers(planes[2], planes[3])
        row = lower.subplots(1, 4, width_ratios=(1, 1, 0.95, 0.95))
        _trade_off(row[0])
        _quantiser_path(row[1], row[2])
        _slope_of_d(row[3])

    title = r"With a distortion that opposes the data D keeps a slope: ns stays stable, vanilla only while $\mu m^2<½$"
    detail = (
        "Above: Dirac-GAN, data at 0, distortion least at $m=1$; flow from the dots, grey: field at 0.6. Below: a "
        r"Gaussian in two cells, $\hat x=\theta q(x)$, $D(x)=\psi x^2$, wgan. Rings: measured equilibria. "
        "Dashes: closed forms."
    )
    return draw.figure(path, (11.6, 6.4), title, detail, panels)


LOW, HIGH = 0.45, 0.6
SHADES = {LOW: METHODS["mse"].colour, HIGH: LOSSES["vanilla"].colour}


def _biased_plane(axes: Any, loss: str) -> None:
    centre = (0.25, -2.1)
    draw.field(axes, ensemble(loss, Lossy(M), mse=HIGH), 1.75, centre, density=0.6)
    game = ensemble(loss, Lossy(M), mse=numbers(LOW, HIGH))
    starts = torch.stack([resting(ensemble(loss, Lossy(M), mse=mu)) for mu in (LOW, HIGH)]) + numbers(
        0.25, 0.0
    )
    _, paths = flows(game, starts, 90.0, 0.15)
    for i, (mu, colour) in enumerate(SHADES.items()):
        inside = (paths[:, i] - torch.tensor(centre)).abs().amax(1) < 1.75
        end = len(inside) if bool(inside.all()) else int(inside.int().argmin())
        draw.trajectory(axes, paths[:end, i], colour, 1.2, label=rf"$\mu={mu:g}$")
        draw.rest(axes, 0.0, -2 * mu * M / P)
    axes.set_title(f"{loss}: " + ("both converge" if loss == "ns" else r"$\mu=0.6$ escapes to $m$"))
    axes.legend(loc="upper right", handlelength=1.2)


def _biased_numbers(slope: Any, real: Any) -> None:
    weights = np.linspace(0.05, 1.0, 20)
    line = np.linspace(0, 1, 201)
    for loss, size in (("ns", 7.5), ("vanilla", 4)):
        look = LOSSES[loss]
        games = [ensemble(loss, Lossy(M), mse=float(mu)) for mu in weights]
        found = torch.stack([resting(game) for game in games])
        ring = {"markersize": size, "markerfacecolor": "none", "color": look.colour, "label": loss}
        slope.plot(weights, found[:, 1], "o", **ring)
        real.plot(weights, [abscissa(game) for game in games], "o", **(ring | {"markersize": 5}))
        curvature = 0.25 if loss == "ns" else -0.25
        a = -line - 0.5 * curvature * (2 * line * M / P) ** 2
        draw.formula(real, line, (a + np.sqrt((a**2 - P**2).astype(complex))).real)
    draw.formula(slope, line, -2 * line * M / P)
    slope.text(0.45, -1.1, r"$\psi^\star=-2\mu m/p$", color=draw.INK)
    slope.set(
        xlabel=r"$\mu$",
        ylabel=r"$\psi^\star$",
        title="D's slope at the equilibrium",
        xlim=(0, 1.03),
        ylim=(-4.3, 0.1),
    )
    slope.legend(loc="lower left")
    real.axhline(0, color=draw.EDGE, linewidth=1.0)
    real.axvline(0.5 / M**2, color=GREY, linewidth=0.8, linestyle=":")
    real.text(0.52, -0.33, r"$\mu m^2=½$", color=GREY)
    real.set(
        xlabel=r"$\mu$",
        ylabel=r"max Re $\lambda$",
        title="above 0: unstable",
        xlim=(0, 1.03),
        ylim=(-0.56, 0.42),
    )


CELLS = 2
QUANTISER_WEIGHTS = (0.25, 0.5, 1.0, 2.0)
BLUES = ("#b5d6ec", "#74b4dc", "#2f8bc6", "#0b4f83")


def _trade_off(axes: Any) -> None:
    """Distortion and error of the variance over θ: least at 1 and at θ_p."""
    small = Quantiser(CELLS)
    theta = grid(0.7, 1.5, 161)
    x = small.source().expand(len(theta), -1, -1)
    x_hat = small.decode(theta[:, None], x)
    distortion = (x - x_hat).square().mean((1, 2))
    variance = (x_hat.square().mean((1, 2)) - 1).abs()
    axes.plot(
        theta, distortion, color=METHODS["mse"].colour, linewidth=1.8, label=r"distortion $E(x-\hat x)^2$"
    )
    axes.plot(theta, variance, color=draw.INK, linewidth=1.8, label=r"perception $|E\hat x^2-1|$")
    good = small.energy**-0.5
    for at, colour in ((1.0, METHODS["mse"].colour), (good, draw.INK)):
        axes.axvline(at, color=colour, linewidth=0.8, linestyle=":")
    axes.text(0.985, 0.05, r"$\theta_d=1$", color=METHODS["mse"].colour, ha="right")
    axes.text(good + 0.015, 0.63, rf"$\theta_p={good:.3f}$", color=draw.INK)
    for mu in QUANTISER_WEIGHTS:
        found = float(resting(ensemble("wgan", small, mse=mu))[0])
        axes.plot(
            found,
            0,
            "o",
            markersize=4 + 3 * mu,
            markerfacecolor="none",
            color=draw.INK,
            clip_on=False,
            zorder=6,
        )
    axes.set(xlim=(0.7, 1.5), ylim=(0, 0.98), xlabel=r"$\theta$", title="equilibrium: the right variance")
    axes.legend(loc="upper right", fontsize=7.5)


def _quantiser_path(plane: Any, time: Any) -> None:
    small = Quantiser(CELLS)
    game = ensemble("wgan", small, mse=numbers(*QUANTISER_WEIGHTS))
    times, paths = flows(game, repeated(small.start, 4), 16.0, 0.05)
    centre = (1.1, 0.15)
    draw.field(plane, ensemble("wgan", small, mse=1.0), 0.75, centre, density=0.6)
    for i, (mu, colour) in enumerate(zip(QUANTISER_WEIGHTS, BLUES, strict=True)):
        draw.trajectory(plane, paths[:, i], colour, 1.3)
        found = resting(ensemble("wgan", small, mse=mu))
        plane.plot(*found.tolist(), "o", markersize=7, markerfacecolor="none", color=draw.INK, zorder=6)
        time.plot(times, paths[:, i, 0], color=colour, label=rf"$\mu={mu:g}$")
        time.plot(times, paths[:, i, 1], color=colour)
    plane.axvline(1.0, color=METHODS["mse"].colour, linewidth=0.8, linestyle=":")
    plane.set_title(r"all weights end at $\theta_p$")
    time.text(15.8, small.energy**-0.5 + 0.05, r"$\theta\to\theta_p$", ha="right")
    time.text(15.8, -0.27, r"$\psi\to\psi^\star\neq 0$", ha="right")
    time.set(xlim=(0, 16), ylim=(-0.35, 2.1), xlabel="time $t$", title="D balances the distortion")
    time.legend(loc="upper right", ncols=2, handlelength=1, columnspacing=0.8)


def _slope_of_d(axes: Any) -> None:
    """ψ* over μ for coarser and finer quantisers: the finer, the less the two goals disagree."""
    weights = np.linspace(0.2, 2, 10)
    line = np.linspace(0, 2, 50)
    for levels, colour in zip((2, 4, 8), ("#0b4f83", "#2f8bc6", "#74b4dc"), strict=True):
        small = Quantiser(levels)
        found = [float(resting(ensemble("wgan", small, mse=float(mu)))[1]) for mu in weights]
        theta = small.energy**-0.5
        ring = {"markersize": 5.5, "markerfacecolor": "none", "color": colour}
        axes.plot(weights, found, "o", **ring, label=rf"{levels} cells, $\theta_p={theta:.3f}$")
        draw.formula(axes, line, line * (theta - 1) / theta)
    axes.set(
        xlabel=r"$\mu$",
        ylabel=r"$\psi^\star$",
        xlim=(0, 2.05),
        ylim=(0, 0.56),
        title=r"$\psi^\star=\mu(\theta_p-1)/\theta_p$",
    )
    axes.legend(loc="upper left")


# one-centred gradient penalties


def wrong_point(path: Path) -> Path:
    """WGAN-GP: a limit cycle without a distortion, with one a point beside the data."""

    def panels(canvas: Any) -> None:
        cycle, settled, off, other = canvas.subplots(1, 4, width_ratios=(1, 1, 1.1, 1.1))
        _one_centred(cycle, 0.0)
        _one_centred(settled, 0.5)
        _offsets(off)
        _offsets_over_penalty(other)

    title = "With a one-centred penalty the game never converges to the data: it cycles, or, with MSE, ends beside them"
    detail = (
        r"Dirac-GAN with wgan and $\lambda\,E(\|\nabla D\|-1)^2$; alternating updates, on the left $\lambda=0.3$, "
        r"$h=0.02$. Rings: measured equilibria. Dashes: $|\theta^\star|=2\lambda g_0/(1+4\mu\lambda)$."
    )
    return draw.figure(path, (11.6, 3.7), title, detail, panels)


LAMBDA, H = 0.3, 0.02


def _one_centred(axes: Any, mu: float) -> None:
    game = ensemble("wgan", gp=LAMBDA, mse=mu, h=H)
    draw.field(axes, game, 1.9, density=0.65)
    paths = play(game, torch.tensor([[0.05, 0.1], [-1.4, -1.4]], dtype=torch.float64), 1500)
    colours = (METHODS["none"].colour, "#9a9a9a") if not mu else (METHODS["mse"].colour, "#56b4e9")
    for i, colour in enumerate(colours):
        draw.trajectory(axes, paths[:, i], colour, 1.3)
    if mu:
        for end in paths[-1].tolist():
            draw.rest(axes, *end)
    axes.plot(0, 0, "D", color=draw.INK, markersize=5, zorder=7)
    draw.note(axes, 0.03, 0.97, "◆ data" + ("   × rest" if mu else ""))
    reached = float(paths[-700:, :, 0].abs().max())
    axes.set_title(
        rf"$\mu={mu:g}$: "
        + (rf"ends at $|\theta|={reached:.3f}$" if mu else rf"cycle to $|\theta|={reached:.2f}$")
    )


def settled_offsets(loss: str, penalties: Array, weights: Array) -> Array:
    """|θ*| of each penalty and each distortion (P, W), all played at once until they settle, then Newton's method."""
    gp, mse = (part.ravel() for part in np.meshgrid(penalties, weights, indexing="ij"))
    game = ensemble(loss, gp=numbers(*gp), mse=numbers(*mse), h=0.05)
    ends = play(game, repeated((0.5, 0.5), len(gp)), 500, every=500)[-1]
    each = zip(gp.tolist(), mse.tolist(), ends, strict=True)
    found = [abs(float(resting(ensemble(loss, gp=a, mse=b), end)[0])) for a, b, end in each]
    return np.array(found).reshape(len(penalties), len(weights))


def _offsets(axes: Any) -> None:
    penalties, weights, line = (
        np.array([0.1, 0.3, 1.0, 10.0]),
        np.linspace(0.2, 3, 15),
        np.linspace(0, 3, 200),
    )
    colours = ("#f3c97c", "#e69f00", "#b06f00", "#6b4000")
    for penalty, found, colour in zip(
        penalties, settled_offsets("wgan", penalties, weights), colours, strict=True
    ):
        ring = {"markersize": 5, "markerfacecolor": "none", "color": colour}
        axes.plot(weights, found, "o", **ring, label=rf"$\lambda={penalty:g}$")
        draw.formula(axes, line, 2 * penalty / (1 + 4 * line * penalty))
    axes.set(xlim=(0, 3), ylim=(0, 1.5), xlabel=r"MSE $\mu$", ylabel=r"$|\theta^\star|$")
    axes.set_title("wgan: how far beside the data")
    axes.legend(loc="upper right")


def _offsets_over_penalty(axes: Any) -> None:
    penalties, weights, line = np.geomspace(0.05, 10, 9), np.array([0.5, 1.0]), np.geomspace(0.04, 12, 200)
    for loss, marker in (("wgan", "o"), ("ns", "s")):
        found = settled_offsets(loss, penalties, weights)
        ring = {"markersize": 5, "markerfacecolor": "none", "color": LOSSES[loss].colour, "linestyle": "none"}
        axes.plot(penalties, found, marker, **ring, label=[loss, None])
    for mu in weights:
        draw.formula(axes, line, 2 * line / (1 + 4 * mu * line))
    axes.set(xscale="log", xlim=(0.04, 12), ylim=(0, 1.1), xlabel=r"GP $\lambda$", ylabel=r"$|\theta^\star|$")
    axes.set_title(r"$\mu=½$ (upper), $\mu=1$ (lower)")
    axes.legend(loc="upper left")
