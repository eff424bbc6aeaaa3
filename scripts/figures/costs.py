"""Loss of G at a probability D(G(z)), by the losses that train a codec, and the slopes of that loss."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import drawing as draw
from divergences import Array
from gcn.losses.adversarial import Adversarial, MaximumLikelihood, NonSaturating, Vanilla
from gcn.report.plots import BLUE, GREEN, ORANGE


class PlayedCost(NamedTuple):
    """Loss of G at probabilities D(G(z)), and its slopes in D and in D's logit; all of the same shape."""

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
    """The three losses over D(G(z)), and how steeply they fall in D and in D's logit: at D → 0 one slope is left."""
    d = np.concatenate((np.geomspace(1e-4, 0.1, 100), np.linspace(0.1, 0.995, 300)[1:]))
    with draw.page(path, (10, 3.7)) as figure:
        value, slope_d, slope_logit = figure.subplots(1, 3)
        for loss, label, colour in COSTS.values():
            played = played_cost(loss(), d)
            value.plot(d, played.cost, color=colour, label=label)
            slope_d.plot(d, -played.slope_d, color=colour)
            slope_logit.plot(d, -played.slope_logit, color=colour)
        for axes in (value, slope_d, slope_logit):
            axes.axvspan(0, EARLY, color=draw.PALE, linewidth=0)
            axes.set(xlim=(0, 1), xlabel="$D(G(z))$ (probability of being real)")
        value.set(ylim=(-5, 5), ylabel="$J$, loss of $G$ (nats)", title="Loss of $G$")
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
        _limit(slope_d, 1, r"$\to 1$ as $D\to 0$", (EARLY + 0.03, 0.68), draw.INK)
        _limit(slope_logit, 1, r"$\to 1$ as $D\to 0$", (EARLY + 0.03, 1.02), ORANGE)
        _limit(slope_logit, 0, r"$\to 0$ as $D\to 0$", (EARLY + 0.12, 0.04), draw.INK)
        figure.legend(*value.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return path


def _limit(axes: Any, height: float, text: str, place: tuple[float, float], colour: str) -> None:
    """Mark what a slope tends to at D → 0."""
    axes.plot(0, height, "o", color=colour, markersize=5, clip_on=False, zorder=5)
    axes.text(*place, text, color=colour, fontsize=10)
