"""The losses themselves: what the non-saturating one does without any help, and the force of the relativistic ones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

import drawing as draw
from drawing import LOSSES, METHODS
from gcn.game.rules import Simultaneous
from gcn.lab.ensemble import GameEnsemble, play
from gcn.losses.adversarial import Relativistic
from small_games import Array, eigenvalues, ensemble, grid, loss_of, numbers

DURATION = 400.0


def long_flow(game: GameEnsemble, starts: Tensor, times: Array) -> Tensor:
    """Solution (T, E, N) of w' = v(w) at times (T,) far apart: an adaptive Runge-Kutta method of order 8."""
    field = game.field(len(starts))

    def velocity(_: float, w: Array) -> Array:
        return field(torch.from_numpy(w).reshape(starts.shape)).reshape(-1).numpy()

    solution = solve_ivp(
        velocity, (0, times[-1]), starts.reshape(-1).numpy(), "DOP853", times, rtol=1e-5, atol=1e-7
    )
    return torch.from_numpy(solution.y.T).reshape(len(times), *starts.shape)


def cycle_radii(steps: Array) -> Array:
    """Radius of the limit cycle of simultaneous descent with ns, from inside and from outside: (2, H).

    The mean of the last turns, for each step size.
    """
    h = numbers(*steps, *steps)
    first = torch.where(torch.arange(len(h)) < len(steps), 0.6, 1.6) * (2 * h).sqrt()
    starts = torch.stack([first, torch.zeros_like(first)], 1)
    updates = round(30 / float(h.min()) ** 2)
    path = play(ensemble("ns", rule=Simultaneous, h=h), starts, updates, every=5)
    return draw.radius(path)[-len(path) // 5 :].mean(0).reshape(2, -1)


def non_saturating(path: Path) -> Path:
    """ns converges without any damping term, but slowly; simultaneous descent ends on a cycle."""

    def panels(canvas: Any) -> None:
        plane, slow, cycle = canvas.subplots(1, 3, width_ratios=(1, 1.2, 1.2))
        _same_jacobian(plane)
        _sublinear(slow)
        _limit_cycles(cycle)

    title = r"ns has vanilla's eigenvalues $\pm ip$, and yet its flow converges, as $r^2\approx 8/t$"
    detail = (
        "Dirac-GAN without any penalty: the linearisation does not decide. Solid and dots: measured. "
        r"Dashes: $8/t$ and $\sqrt{2h}$, the cycle of simultaneous descent."
    )
    return draw.figure(path, (11.2, 3.9), title, detail, panels)


def _same_jacobian(axes: Any) -> None:
    start = numbers(1.0, 1.0)[None]
    draw.field(axes, ensemble("ns"), 1.85, density=0.7)
    for loss in ("vanilla", "ns"):
        path = long_flow(ensemble(loss), start, np.linspace(0, 80, 801))
        draw.trajectory(axes, path[:, 0], LOSSES[loss].colour, 1.2)
    draw.rest(axes)
    axes.set_title("the flow from (1, 1) to $t=80$")
    draw.note(axes, 0.03, 0.98, r"vanilla keeps $r$", color=LOSSES["vanilla"].colour, fontsize=9)
    draw.note(axes, 0.97, 0.09, "ns spirals in", color=LOSSES["ns"].colour, fontsize=9, ha="right")


def _sublinear(axes: Any) -> None:
    times = np.concatenate([np.linspace(0, 10, 41)[:-1], np.geomspace(10, DURATION, 400)])
    first = (0.5, 1.0, 3.0)
    starts = torch.tensor([[r, 0.0] for r in first], dtype=torch.float64)
    for loss, shades in (
        ("ns", ("#999999", "#666666", "#222222")),
        ("vanilla", ("#eeb0ad", "#d96d69", "#c1272d")),
    ):
        path = long_flow(ensemble(loss), starts, times)
        for i, colour in enumerate(shades):
            axes.loglog(
                times[1:], draw.radius(path[1:, i]) ** 2, color=colour, label=loss if i == 2 else None
            )
    draw.formula(axes, times[1:], 8 / times[1:])
    axes.text(70, 0.16, r"$8/t$", color=draw.INK)
    axes.set(xlim=(0.3, DURATION), ylim=(5e-3, 30), xlabel="time $t$", ylabel=r"$r^2=\theta^2+\psi^2$")
    axes.set_title("from every start, sublinear")
    axes.legend(loc="lower left")


def _limit_cycles(axes: Any) -> None:
    steps, line = np.array([0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), np.linspace(0, 1.05, 200)
    colour = draw.RULES["simultaneous"].colour
    inside, outside = cycle_radii(steps)
    axes.plot(steps, inside, "o", color=colour, markersize=4, label="from inside")
    axes.plot(steps, outside, "o", color=colour, markersize=8, markerfacecolor="none", label="from outside")
    draw.formula(axes, line, np.sqrt(2 * line))
    axes.text(0.53, 0.86, r"$\sqrt{2h}$", color=draw.INK)
    axes.set(xlim=(0, 1.05), ylim=(0, 1.6), xlabel="step size $h$", ylabel="radius of the limit cycle")
    axes.set_title("simultaneous descent ends on a cycle")
    axes.legend(loc="lower right")


# relativistic losses

PAIRINGS = {"alone": None, "pair": "pair", "average": "average", "average, sum": "average"}


def relative(name: str, kind: str, mu: Tensor | float = 0.0) -> GameEnsemble:
    """A loss alone or of differences; ``sum`` leaves out the production's ½, as the paper's formulas do."""
    loss = loss_of(name, PAIRINGS[kind])
    if kind.endswith("sum"):
        assert isinstance(loss, Relativistic)
        loss.loss.pairing_weight *= 2
    return ensemble(loss, mse=mu)


def force(name: str, kind: str) -> float:
    """p of the eigenvalues ±ip, measured."""
    found = eigenvalues(relative(name, kind))[0]
    assert np.abs(found.real).max() < 1e-9, "not a rotation"
    return float(found[0].imag)


def critical_weight(name: str, kind: str) -> float:
    """The least weight of a distortion at which nothing rotates, by bisection of the measured spectrum."""
    low, high = 0.0, 8.0
    for _ in range(22):
        middle = (low + high) / 2
        rotates = np.abs(eigenvalues(relative(name, kind, middle)).imag).max() > 1e-7
        low, high = (middle, high) if rotates else (low, middle)
    return (low + high) / 2


def relativistic(path: Path) -> Path:
    """The force of every loss, alone and relativistic, and the weight of a distortion that ends its rotation."""

    def panels(canvas: Any) -> None:
        table, fade, diagonal = canvas.subplots(1, 3, width_ratios=(1.25, 1.15, 0.95))
        _forces(table)
        _fading(fade)
        _critical(diagonal)

    title = (
        r"Relativistic losses rotate as the others do, $\lambda=\pm ip$; a distortion ends it at $\mu_c=p$"
    )
    detail = (
        "Dirac-GAN, measured spectra of the production losses; pair and average with the ½ of the code, “sum” without "
        "it, as in the paper. Rings: found by bisection."
    )
    return draw.figure(path, (11.2, 4.0), title, detail, panels)


def _forces(axes: Any) -> None:
    found = np.array([[force(name, kind) for kind in PAIRINGS] for name in LOSSES])
    axes.imshow(np.log2(found), cmap="Blues", vmin=-2, vmax=4, aspect="auto")
    for (row, column), value in np.ndenumerate(found):
        number = "±i" if abs(value - 1) < 1e-9 else f"±{value:g}i"
        axes.text(column, row, number, ha="center", va="center", fontsize=10, color=draw.INK)
    axes.set_xticks(range(len(PAIRINGS)), ["alone", "pair", "average", "average,\nsum"])
    axes.set_yticks(range(len(LOSSES)), list(LOSSES))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.set_title(r"eigenvalues without a distortion: $\pm ip$")


def _fading(axes: Any) -> None:
    weights = grid(0, 4.5, 181)
    line = weights.numpy()
    for name in LOSSES:
        for kind in PAIRINGS:
            found = eigenvalues(relative(name, kind, weights), len(weights)).imag.max(axis=1)
            axes.plot(line, found, color=METHODS["mse"].colour, linewidth=2.2)
    for p in (0.5, 1.0, 2.0, 4.0):
        closed = np.sqrt(np.maximum(p**2 - line**2, 0))
        draw.formula(axes, line[line <= p + 0.03], closed[line <= p + 0.03])
        axes.text(0.1, p + 0.05, "$p=½$" if p < 1 else f"$p={p:g}$", fontsize=8.5, color=draw.INK)
    axes.set(xlim=(0, 4.5), ylim=(0, 4.5), aspect="equal", xlabel=r"MSE $\mu$", ylabel=r"Im $\lambda$")
    axes.set_title(r"rotation ends at $\mu=p$: Im $\lambda=\sqrt{p^2-\mu^2}$")


def _critical(axes: Any) -> None:
    sizes = {"ns": 4, "vanilla": 7, "wgan": 10, "hinge": 13, "lsgan": 16}
    for name, look in LOSSES.items():
        p = [force(name, kind) for kind in PAIRINGS]
        found = [critical_weight(name, kind) for kind in PAIRINGS]
        ring = {
            "markersize": sizes[name],
            "markerfacecolor": "none",
            "color": look.colour,
            "linestyle": "none",
        }
        axes.plot(p, found, "o", **ring, label=name)
    draw.formula(axes, [0, 4.5], [0, 4.5])
    axes.set(
        xlim=(0, 4.5), ylim=(0, 4.5), aspect="equal", xlabel="force $p$", ylabel=r"critical weight $\mu_c$"
    )
    axes.set_title(r"all twenty on $\mu_c=p$")
    axes.legend(loc="lower right", markerscale=0.6)
