"""Strength of each ingredient of an objective at an equilibrium: the parameters of the closed forms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from gcn.game.objective import Objective
from gcn.game.slots import AdversarialLoss
from gcn.losses.adversarial import (
    EBGAN,
    FGAN,
    LSGAN,
    Hinge,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Vanilla,
    Wasserstein,
)
from gcn.losses.began import BEGAN
from gcn.losses.perturbation import InstanceNoise


@dataclass(frozen=True)
class Force:
    """Derivatives of an adversarial loss where D is constant.

    Attributes:
        g, d: how fast G follows D's slope, how fast D follows G's position: bc of the closed forms is g·d.
        curvature: second derivative of D's loss for a unit of variance of D's logits.
        curvature_of_bias: the same for a constant added to all logits.
        curvature_of_g: second derivative of G's loss for its own logit.
        level: the logit at rest.
        margin: logits below which the loss is linear, if it is at all.
        g_at_zero, d_at_zero: g and d at the logit 0, where a D without a bias rests; where the level is not 0.
    """

    g: float
    d: float
    curvature: float
    curvature_of_bias: float
    curvature_of_g: float
    level: float = 0.0
    margin: float = math.inf
    g_at_zero: float = math.nan
    d_at_zero: float = math.nan


FORCES: Mapping[type[AdversarialLoss], Force] = {
    NonSaturating: Force(0.5, 0.5, 0.5, 0.5, 0.25),
    Vanilla: Force(0.5, 0.5, 0.5, 0.5, -0.25),
    MaximumLikelihood: Force(1.0, 0.5, 0.5, 0.5, -1.0),
    Hinge: Force(1.0, 1.0, 0.0, 0.0, 0.0, margin=1.0),
    Wasserstein: Force(1.0, 1.0, 0.0, 0.0, 0.0),
    LSGAN: Force(1.0, 1.0, 2.0, 2.0, 1.0),
}
DIVERGENCES: Mapping[str, Force] = {  # of FGAN
    "kl": Force(1.0, 1.0, 1.0, 1.0, -1.0, level=1.0, g_at_zero=math.exp(-1), d_at_zero=math.exp(-1)),
    "reverse_kl": Force(1.0, 1.0, 1.0, 1.0, 0.0),
    "pearson": Force(1.0, 1.0, 0.5, 0.5, -0.5),
    "hellinger": Force(1.0, 1.0, 2.0, 2.0, -1.0),
    "js": FORCES[Vanilla],
    "tv": Force(0.5, 0.5, 0.0, 0.0, 0.0),
}
LABELS_01 = Force(0.5, 0.5, 2.0, 2.0, 1.0, level=0.5, g_at_zero=1.0, d_at_zero=0.0)


def force(loss: AdversarialLoss) -> Force | None:
    """Force of a loss, alone or relativistic; None for a loss without a known formula.

    Pairs see noise twice: its variance is that of a difference.
    """
    if isinstance(loss, LSGAN) and loss.fake_label == 0:
        return LABELS_01
    if isinstance(loss, EBGAN | BEGAN):
        return _of_energies(loss)
    if isinstance(loss, FGAN):
        return DIVERGENCES[loss.divergence]
    if not isinstance(loss, Relativistic):
        return FORCES.get(type(loss))
    plain, weight = FORCES.get(type(loss.loss)), loss.loss.pairing_weight
    if plain is None:
        return None
    noise = 1.0 if loss.pairing == "average" else 2.0
    # ½[f1(a) + f2(-a)] has the plain force in D; G feels both halves, each of which is D's force with its sign
    return Force(
        g=2 * weight * plain.d, d=2 * weight * plain.d, curvature=weight * plain.curvature * noise,
        curvature_of_bias=0.0, curvature_of_g=0.0, margin=plain.margin,
    )  # fmt: skip


def _of_energies(loss: EBGAN | BEGAN) -> Force:
    if isinstance(loss, BEGAN):
        return Force(1.0, float(loss.k), 0.0, 0.0, 0.0)
    return Force(1.0, 1.0, 0.0, 0.0, 0.0, margin=loss.margin)


@dataclass(frozen=True)
class Strengths(Force):
    """The parameters of the closed forms, of an objective; ``g`` and ``curvature_of_g`` of the loss contain ``adv``.

    Attributes:
        relativistic: the loss is one of differences.
        mse: μ, in squared units of the data.
        r1, r2, grad_norm, consensus, jare: weights γ₁, γ₂, η, g.
        sigma2: variance of the instance noise.
        ratio: k, D's step size over G's: D's part of the field is k times as strong.
        other: something else is paid, of which nothing is known here.
    """

    relativistic: bool = False
    mse: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    grad_norm: float = 0.0
    consensus: float = 0.0
    jare: float = 0.0
    sigma2: float = 0.0
    ratio: float = 1.0
    other: bool = False

    TERMS = ("mse", "r1", "r2", "grad_norm", "consensus", "jare")

    def only(self, *names: str) -> bool:
        """Whether nothing damps the game but the ingredients of these names."""
        others = [getattr(self, name) for name in (*self.TERMS, "sigma2") if name not in names]
        return not any(others)

    @classmethod
    def of(cls, objective: Objective) -> "Strengths":
        """The strengths of an objective whose weights are plain numbers."""
        loss = objective.loss
        known: dict[str, Any] = {}
        other = objective.fakes is not None
        for name, weight in objective.weights.items():
            if not weight:
                continue
            if name in cls.TERMS:
                scale = getattr(objective.terms[name], "scale", 1.0)
                known[name] = float(weight) * scale
            else:
                other = True
        for perturbation in objective.perturbations:
            if isinstance(perturbation, InstanceNoise):
                known["sigma2"] = known.get("sigma2", 0.0) + perturbation.variance
        f, adv = None if loss is None else force(loss), float(cast(float, objective.adv))
        if f is None:
            return cls(0.0, 0.0, 0.0, 0.0, 0.0, other=other or loss is not None, **known)
        f = replace(f, g=f.g * adv, curvature_of_g=f.curvature_of_g * adv, g_at_zero=f.g_at_zero * adv)
        return cls(**vars(f), relativistic=isinstance(loss, Relativistic), other=other, **known)
