"""The lecture on divergences and GANs as five figures, each computed by the code that it explains.

The divergences are those of :mod:`gcn.lab.divergences`; the generator's costs and their slopes are those of the
losses that train a codec, so that picture and training cannot disagree. Each function writes ``path.png`` and
``path.svg`` (``path`` has no suffix, directories are made) and returns ``path``. The SVG holds no date
and no random name: it changes only when the figure does. matplotlib is imported when the first figure is drawn, and
its global state is left alone.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gcn.lab import divergences
from gcn.lab.divergences import Array, Divergence, Gaussian, kl, reverse_kl
from gcn.losses.adversarial import Adversarial, MaximumLikelihood, NonSaturating, Vanilla
from gcn.report.paper import paper_figure
from gcn.report.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PURPLE, RED

DPI = 200
INK = "#222222"  # of text inside the axes
PALE = "#e9e9e9"  # of areas in the background
PAPER: Any = {
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "text.color": INK,
}
P_COLOUR, Q_COLOUR = BLUE, ORANGE
KL_COLOUR, REVERSE_COLOUR, JS_COLOUR, TV_COLOUR, W_COLOUR = RED, GREEN, PURPLE, BROWN, BLUE

EARTH_P, EARTH_Q = (3, 2, 1, 4), (1, 2, 4, 3)
CEILING = 1.25  # where the segments' plot draws infinity


# Wasserstein-1: four piles of earth


def piles(path: Path) -> Path:
    """Piles P = (3, 2, 1, 4) and Q = (1, 2, 4, 3): a cheapest plan, as arrows and as a matrix, and the recursion.

    Both ways give W = 5.
    """
    places = np.arange(1.0, len(EARTH_P) + 1)
    plan = divergences.transport(EARTH_P, EARTH_Q, np.abs(places[:, None] - places)).plan
    with paper_figure(path, (10, 3.5), DPI, PAPER) as figure:
        earth, matrix, recursion = figure.subplots(1, 3, width_ratios=(1.1, 0.95, 1.25))
        _earth(earth, places, plan)
        _plan(matrix, plan)
        _recursion(recursion, divergences.wasserstein_line(EARTH_P, EARTH_Q).deltas)
    return path


def _earth(axes: Any, places: Array, plan: Array) -> None:
    """P stands above, Q hangs below, in blocks of one unit; an arrow for each move of the plan."""
    from matplotlib.patches import Rectangle

    above, below = 2.0, -2.0  # where the piles begin
    for masses, foot, way, colour in ((EARTH_P, above, 1, P_COLOUR), (EARTH_Q, below, -1, Q_COLOUR)):
        for place, mass in zip(places, masses, strict=True):
            for level in range(mass):
                corner = (place - 0.3, foot + (level if way > 0 else -level - 1))
                axes.add_patch(Rectangle(corner, 0.6, 1, facecolor=colour, edgecolor="white", linewidth=1.2))
    for source, target in np.argwhere(plan > 0.5):
        mass, colour = int(plan[source, target].round()), INK if source != target else "#a0a0a0"
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
        rf"$W=\sum_{{ij}}\,\gamma_{{ij}}\,|i-j|={(plan * distance).sum():.0f}$", color=INK, fontsize=11
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)


def _recursion(axes: Any, deltas: Array) -> None:
    """δ over the gaps between the piles: its area is W."""
    edges = np.arange(len(deltas) + 1)  # δ_i lies between position i and i + 1
    axes.stairs(deltas, edges, baseline=0, fill=True, color=W_COLOUR, alpha=0.2)
    axes.stairs(deltas, edges, baseline=None, color=W_COLOUR, linewidth=1.6)
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
    pairs = [divergences.parallel_segments(theta) for theta in thetas]
    with paper_figure(path, (8.6, 3.5), DPI, PAPER) as figure:
        plane, plot = figure.subplots(1, 2, width_ratios=(1, 1.9))
        _plane(plane, theta=0.7)
        for label, divergence, colour in (
            (r"$\mathrm{KL}=\infty$", kl, KL_COLOUR),
            (r"$\mathrm{TV}=1$", divergences.total_variation, TV_COLOUR),
            (r"$\mathrm{JS}=\log 2$", divergences.js, JS_COLOUR),
        ):
            values = np.array([divergence(pair.p, pair.q) for pair in pairs])
            _jump(plot, thetas, np.minimum(values, CEILING), label, colour)
        plot.plot(thetas, [divergences.transport(*pair).value for pair in pairs], color=W_COLOUR)
        plot.text(0.33, 0.22, r"$W=|\theta|$", color=W_COLOUR, fontsize=10)
        plot.plot(0, 0, "o", color=INK, markersize=5, clip_on=False, zorder=5)
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkB": 4, "relpos": (1, 0.4)}
        plot.annotate(
            r"all are 0 at $\theta=0$", (0, 0), (-0.4, 0.1), ha="right", va="center", arrowprops=line
        )
        _divergence_axes(plot)
    return path


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
    for place, name, colour in ((0.0, "$P$", P_COLOUR), (theta, r"$Q_\theta$", Q_COLOUR)):
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


# The generator's three costs


class PlayedCost(NamedTuple):
    """What G pays at probabilities D(G(z)), and its slopes in D and in D's logit; all of the same shape."""

    cost: Array
    slope_d: Array
    slope_logit: Array


COSTS: dict[str, tuple[type[Adversarial], str, str]] = {
    "saturating": (Vanilla, r"saturating, $\log(1-D)$", BLUE),
    "non_saturating": (NonSaturating, r"non-saturating, $-\log D$", ORANGE),
    "maximum_likelihood": (MaximumLikelihood, r"maximum likelihood, $-D/(1-D)$", GREEN),
}
EARLY = 0.08  # D's probability on a reconstruction that it does not believe, early in training


def played_cost(loss: Adversarial, d: Array) -> PlayedCost:
    """The generator's cost of a production loss at the logits of probabilities d in (0, 1), slopes by autograd."""
    probability = torch.from_numpy(d).requires_grad_()
    logit = torch.logit(probability)
    cost = loss.generator(logit)
    slopes = torch.autograd.grad(cost.sum(), (probability, logit))
    return PlayedCost(cost.detach().numpy(), *(slope.numpy() for slope in slopes))


def costs(path: Path) -> Path:
    """The three costs over D(G(z)), and how steeply they fall in D and in D's logit: at D → 0 only one pulls."""
    d = np.concatenate((np.geomspace(1e-4, 0.1, 100), np.linspace(0.1, 0.995, 300)[1:]))
    with paper_figure(path, (10, 3.7), DPI, PAPER) as figure:
        value, slope_d, slope_logit = figure.subplots(1, 3)
        for loss, label, colour in COSTS.values():
            played = played_cost(loss(), d)
            value.plot(d, played.cost, color=colour, label=label)
            slope_d.plot(d, -played.slope_d, color=colour)
            slope_logit.plot(d, -played.slope_logit, color=colour)
        for axes in (value, slope_d, slope_logit):
            axes.axvspan(0, EARLY, color=PALE, linewidth=0)
            axes.set(xlim=(0, 1), xlabel="$D(G(z))$ (probability of being real)")
        value.set(ylim=(-5, 5), ylabel="$J$, cost of $G$ (nats)", title="What $G$ pays")
        value.text(EARLY / 2, -2.7, "$D$ is sure: fake", rotation=90, ha="center", va="center", fontsize=8)
        slope_d.set(
            yscale="log",
            ylim=(0.5, 200),
            ylabel=r"$-\,\partial J/\partial D$ (nats)",
            title="How steeply it falls in $D$",
        )
        slope_d.set_yticks([1, 10, 100], ["1", "10", "100"])
        slope_logit.set(ylim=(0, 2), yticks=[0, 0.5, 1, 1.5, 2])
        slope_logit.set_ylabel(r"$-\,\partial J/\partial t$ (nats per unit of $t$)")
        slope_logit.set_title(r"How steeply in the logit $t$, $D=\sigma(t)$")
        slope_d.text(EARLY + 0.03, 90, r"$\to\infty$ as $D\to 0$", color=ORANGE, fontsize=10)
        _limit(slope_d, 1, r"$\to 1$ as $D\to 0$", (EARLY + 0.03, 0.68), INK)
        _limit(slope_logit, 1, r"$\to 1$ as $D\to 0$", (EARLY + 0.03, 1.02), ORANGE)
        _limit(slope_logit, 0, r"$\to 0$ as $D\to 0$", (EARLY + 0.12, 0.04), INK)
        figure.legend(*value.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return path


def _limit(axes: Any, height: float, text: str, place: tuple[float, float], colour: str) -> None:
    """Mark what a slope tends to at D → 0."""
    axes.plot(0, height, "o", color=colour, markersize=5, clip_on=False, zorder=5)
    axes.text(*place, text, color=colour, fontsize=10)


# One Gaussian for two

HEAVY = 0.65  # weight of the left mode
SEPARATION = 5.5  # of the two modes, in their deviations: where the three fits differ
FITS = {
    r"$\mathrm{KL}(p\,\|\,q)$": (kl, KL_COLOUR),
    r"$\mathrm{KL}(q\,\|\,p)$": (reverse_kl, REVERSE_COLOUR),
    r"$\mathrm{JS}(p,q)$": (divergences.js, JS_COLOUR),
}


def two_modes(x: Array, separation: float) -> Array:
    """Density (n,) of 0.65 N(−s/2, 1) + 0.35 N(s/2, 1) at x."""
    left, right = Gaussian(-separation / 2, 1.0), Gaussian(separation / 2, 1.0)
    return HEAVY * left.density(x) + (1 - HEAVY) * right.density(x)


def one_gaussian(path: Path) -> Path:
    """The Gaussian q nearest to two modes p by KL, reverse KL and JS, and its width as the modes move apart."""
    with paper_figure(path, (8.6, 4.0), DPI, PAPER) as figure:
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
    fit = divergences.fit_gaussian(x, target, divergence)
    axes.fill_between(x, target, color=PALE, linewidth=0)
    axes.plot(x, target, color=GREY, linewidth=0.8)
    axes.plot(x, fit.gaussian.density(x), color=colour)
    axes.set(xlim=(-8, 8), ylim=(0, 0.44), yticks=[0, 0.2, 0.4])
    text = f"{label} = {fit.value:.2f} nats"
    axes.text(0.98, 0.9, text, transform=axes.transAxes, ha="right", va="top", color=colour, fontsize=10)


def _widths(axes: Any, label: str, divergence: Divergence, colour: str) -> None:
    """The fit's deviation over the distance of the modes; it jumps where one mode becomes the better answer."""
    x, distances = np.linspace(-24, 24, 241), np.linspace(0, 8, 25)
    fits = [divergences.fit_gaussian(x, two_modes(x, distance), divergence) for distance in distances]
    widths = np.array([fit.gaussian.std for fit in fits])
    jumps = np.flatnonzero(np.abs(np.diff(widths)) > 0.5) + 1
    for piece, (d, width) in enumerate(zip(np.split(distances, jumps), np.split(widths, jumps), strict=True)):
        axes.plot(d, width, color=colour, label=None if piece else label)


# What the best D knows


def optimal_discriminator(path: Path) -> Path:
    """Two densities, D* = p/(p+q) and its logit log p − log q: ½ and 0 where the densities are equal."""
    x = np.linspace(-4.5, 4, 851)
    p, q = Gaussian(-0.8, 0.8).density(x), Gaussian(0.8, 1.3).density(x)
    best = divergences.optimal_discriminator(p, q)
    crossings = x[1:][np.diff(np.sign(best.logit)) != 0]
    with paper_figure(path, (6.2, 5.6), DPI, PAPER) as figure:
        densities, probability, logit = figure.subplots(3, 1, sharex=True)
        for density, label, colour in ((p, "$p$, data", P_COLOUR), (q, "$q$, generator", Q_COLOUR)):
            densities.plot(x, density, color=colour, label=label)
            densities.fill_between(x, density, color=colour, alpha=0.15, linewidth=0)
        for axes, curve, middle in ((probability, best.probability, 0.5), (logit, best.logit, 0.0)):
            axes.axhline(middle, color=GREY, linewidth=0.8)
            axes.plot(x, curve, color=INK)
            axes.fill_between(
                x, curve, middle, where=curve >= middle, color=P_COLOUR, alpha=0.15, linewidth=0
            )
            axes.fill_between(
                x, curve, middle, where=curve <= middle, color=Q_COLOUR, alpha=0.15, linewidth=0
            )
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


FIGURES = (piles, segments, costs, one_gaussian, optimal_discriminator)
