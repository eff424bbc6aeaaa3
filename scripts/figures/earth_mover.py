"""Moving earth: a cheapest plan for four piles, and what each divergence sees of two parallel segments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance_nd

import drawing as draw
from divergences import Array, js, kl, total_variation
from gcn.report.plots import GREY

EARTH_P, EARTH_Q = (3, 2, 1, 4), (1, 2, 4, 3)
CEILING = 1.25  # where the segments' plot draws infinity


def piles(path: Path) -> Path:
    """Piles P = (3, 2, 1, 4) and Q = (1, 2, 4, 3): a cheapest plan, as arrows and as a matrix, and the recursion.

    Both ways give W = 5.
    """
    places = np.arange(1.0, len(EARTH_P) + 1)
    plan = cheapest_plan(EARTH_P, EARTH_Q)
    with draw.page(path, (10, 3.5)) as figure:
        earth, matrix, recursion = figure.subplots(1, 3, width_ratios=(1.1, 0.95, 1.25))
        _earth(earth, places, plan)
        _plan(matrix, plan)
        _recursion(recursion, carried(EARTH_P, EARTH_Q))
    return path


def cheapest_plan(p: Sequence[float], q: Sequence[float]) -> Array:
    """Mass (n, n) that goes from pile i to pile j on a line, at the least Σ mass·|i - j|: no two ways cross.

    Both are laid out along one line in the order of the piles; what lies at the same place belongs together.
    """
    to_p, to_q = np.cumsum(p), np.cumsum(q)
    return np.maximum(np.minimum.outer(to_p, to_q) - np.maximum.outer(to_p - p, to_q - q), 0.0)


def carried(p: Sequence[float], q: Sequence[float]) -> Array:
    """δ (n + 1,), what crosses each gap to the right: δ₀ = 0, δᵢ = δᵢ₋₁ + pᵢ - qᵢ; Σ |δᵢ| is W₁ (Vallender 1974)."""
    return np.concatenate(([0.0], np.cumsum(np.subtract(p, q))))


def _earth(axes: Any, places: Array, plan: Array) -> None:
    """P stands above, Q hangs below, in blocks of one unit; an arrow for each move of the plan."""
    from matplotlib.patches import Rectangle

    above, below = 2.0, -2.0  # where the piles begin
    for masses, foot, way, colour in ((EARTH_P, above, 1, draw.P), (EARTH_Q, below, -1, draw.Q)):
        for place, mass in zip(places, masses, strict=True):
            for level in range(mass):
                corner = (place - 0.3, foot + (level if way > 0 else -level - 1))
                axes.add_patch(Rectangle(corner, 0.6, 1, facecolor=colour, edgecolor="white", linewidth=1.2))
    for source, target in np.argwhere(plan > 0.5):
        mass, colour = int(plan[source, target].round()), draw.INK if source != target else "#a0a0a0"
        lean = 0.13 * (target - source)  # arrows of one pile leave and arrive side by side
        ends = np.array([(places[source] + lean, above - 0.15), (places[target] - lean, below + 0.15)])
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.8 * mass}
        axes.annotate("", xy=ends[1], xytext=ends[0], arrowprops=arrow)
        label = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"}
        axes.text(*ends.mean(axis=0), str(mass), ha="center", va="center", color=colour, bbox=label)
    axes.set_title("Piles and a cheapest plan")
    axes.set(xlim=(0.4, 4.6), ylim=(-6.3, 6.3), xlabel="position $i$ (paces)", xticks=places)
    axes.set_yticks([above + 2, below - 2], ["$P$", "$Q$"], fontsize=12)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def _plan(axes: Any, plan: Array) -> None:
    """The plan as a matrix; the longer the way, the darker the cell."""
    rows, columns = np.indices(plan.shape)
    distance = np.abs(rows - columns)
    axes.imshow(distance, cmap="Greys", vmin=0, vmax=9, aspect="auto")
    for (row, column), mass in np.ndenumerate(plan.round().astype(int)):
        style = {"weight": "bold", "fontsize": 12} if mass else {"color": "#999999"}
        axes.text(column, row, mass, ha="center", va="center", **style)
    for axis, letter, masses in ((axes.xaxis, "q", EARTH_Q), (axes.yaxis, "p", EARTH_P)):
        axis.set_ticks(range(len(masses)), [f"${letter}_{i}={mass}$" for i, mass in enumerate(masses, 1)])
    axes.set_title(r"Plan $\gamma_{ij}$: mass from $i$ to $j$")
    axes.set_xlabel(
        rf"$W=\sum_{{ij}}\,\gamma_{{ij}}\,|i-j|={(plan * distance).sum():.0f}$", color=draw.INK, fontsize=11
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)


def _recursion(axes: Any, deltas: Array) -> None:
    """δ over the gaps between the piles: its area is W."""
    edges = np.arange(len(deltas) + 1)  # δ_i lies between position i and i + 1
    axes.stairs(deltas, edges, baseline=0, fill=True, color=draw.W, alpha=0.2)
    axes.stairs(deltas, edges, baseline=None, color=draw.W, linewidth=1.6)
    axes.axhline(0, color=GREY, linewidth=0.8)
    for index, delta in enumerate(deltas):
        place, side = (delta + 0.08, "bottom") if delta >= 0 else (delta - 0.12, "top")
        axes.text(index + 0.5, place, rf"$\delta_{index}={delta:.0f}$", ha="center", va=side)
    axes.set_title(r"Recursion $\delta_i=\delta_{i-1}+p_i-q_i$")
    axes.set(xlim=(0, len(deltas)), ylim=(-1.7, 3), xticks=edges[1:-1], yticks=range(-1, 4))
    axes.set(xlabel="position $i$ (paces)", ylabel="earth carried to the right (units)")
    total = rf"$W=\sum_i\,|\delta_i|={np.abs(deltas).sum():.0f}$"
    axes.text(0.98, 0.97, total, transform=axes.transAxes, ha="right", va="top", fontsize=11)


# Two parallel segments


def segments(path: Path) -> Path:
    """P on (0, u), Q on (θ, u): KL, JS and total variation only see whether θ is 0, W is |θ|."""
    thetas = np.linspace(-1, 1, 41)
    with draw.page(path, (8.6, 3.5)) as figure:
        plane, plot = figure.subplots(1, 2, width_ratios=(1, 1.9))
        _plane(plane, theta=0.7)
        for label, divergence, colour in (
            (r"$\mathrm{KL}=\infty$", kl, draw.KL),
            (r"$\mathrm{TV}=1$", total_variation, draw.TV),
            (r"$\mathrm{JS}=\log 2$", js, draw.JS),
        ):
            values = np.array([divergence(*masses(theta)) for theta in thetas])
            _jump(plot, thetas, np.minimum(values, CEILING), label, colour)
        plot.plot(thetas, [earth_moved(theta) for theta in thetas], color=draw.W)
        plot.text(0.33, 0.22, r"$W=|\theta|$", color=draw.W, fontsize=10)
        plot.plot(0, 0, "o", color=draw.INK, markersize=5, clip_on=False, zorder=5)
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkB": 4, "relpos": (1, 0.4)}
        plot.annotate(
            r"all are 0 at $\theta=0$", (0, 0), (-0.4, 0.1), ha="right", va="center", arrowprops=line
        )
        _divergence_axes(plot)
    return path


POINTS = 12  # of a segment: no result depends on it


def masses(theta: float) -> tuple[Array, Array]:
    """P uniform on (0, u) and Q on (θ, u), u in [0, 1] (Arjovsky et al. 2017, example 1), on the points of both."""
    if theta == 0:
        return (np.full(POINTS, 1 / POINTS),) * 2
    here = np.repeat([1.0, 0.0], POINTS) / POINTS
    return here, here[::-1]


def earth_moved(theta: float) -> float:
    """W₁ of the segments, by SciPy's linear program."""
    u = (np.arange(POINTS) + 0.5) / POINTS
    p, q = (np.stack([np.full(POINTS, place), u], axis=1) for place in (0.0, theta))
    return float(wasserstein_distance_nd(p, q))


def _divergence_axes(axes: Any) -> None:
    """A scale to 1 and, above a break, infinity."""
    top = 1.38
    axes.set_title("What each divergence sees of the distance")
    axes.set(xlim=(-1, 1), ylim=(0, top), xticks=[-1, -0.5, 0, 0.5, 1])
    axes.set(xlabel=r"distance $\theta$ (lengths of a segment)", ylabel="divergence (KL, JS in nats)")
    axes.set_yticks(
        [0, 0.25, 0.5, np.log(2), 1, CEILING], ["0", "0.25", "0.5", r"$\log 2$", "1", r"$\infty$"]
    )
    for height in (1.11, 1.14):
        slash = {"marker": [(-1, -0.4), (1, 0.4)], "markersize": 8, "color": GREY, "clip_on": False}
        axes.plot(0, height / top, transform=axes.transAxes, linestyle="none", **slash)


def _plane(axes: Any, theta: float) -> None:
    """The two segments, and the plan: everything moves by θ."""
    for height in np.linspace(0.1, 0.9, 5):
        arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 5, "shrinkB": 5}
        axes.annotate("", xy=(theta, height), xytext=(0, height), arrowprops=arrow)
    for place, name, colour in ((0.0, "$P$", draw.P), (theta, r"$Q_\theta$", draw.Q)):
        axes.plot([place, place], [0, 1], color=colour, linewidth=4, solid_capstyle="butt")
        axes.text(place, 1.06, name, ha="center", color=colour, fontsize=12)
    axes.set_title("Parallel segments")
    axes.set(xlim=(-0.3, 1.1), ylim=(-0.05, 1.25), xlabel="$x$ (lengths of a segment)", yticks=[0, 0.5, 1])
    axes.set_ylabel("$u$, uniform on [0, 1]")
    axes.set_xticks([0, theta], ["0", r"$\theta$"])
    axes.grid(False)


def _jump(axes: Any, thetas: Array, values: Array, label: str, colour: str) -> None:
    """A curve with a hole at θ = 0, where it is 0."""
    beside = thetas != 0
    axes.plot(thetas[beside], values[beside], color=colour)
    limit = values[beside][0]
    axes.plot(0, limit, "o", color=colour, markerfacecolor="white", markersize=5, zorder=4)
    axes.text(-0.42, limit + 0.03, label, ha="center", color=colour, fontsize=10)
