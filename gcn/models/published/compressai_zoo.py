"""CompressAI's published models ``bmshj2018-factorized``, ``bmshj2018-hyperprior`` and ``mbt2018-mean``.

Transforms and hyperpriors have the same layers and names here. Two things differ: GDN's parameters are stored as roots
without a bound, and densities are stored divided by ``speed``.
"""

import math
import re
from functools import partial

from torch import Tensor

from gcn.models.published.codec_target import buffer, codec_target, density, same, write
from gcn.models.published.conversion import Drop, Layout, Shapes, Target, Use
from gcn.models.published.licences import BSD_CLEAR

PEDESTAL = 2.0**-36  # of the reparametrisation of GDN's β and γ
BETA_MIN = 1e-6
_BOUNDS = {"beta": math.sqrt(BETA_MIN + PEDESTAL), "gamma": math.sqrt(PEDESTAL)}
_CONV = re.compile(r"(g_[as]\.[0246]|h_[as]\.[024])\.(weight|bias)")
_GDN = re.compile(r"(g_[as]\.[135])\.(beta|gamma)")
_REPARAMETRISED = re.compile(r"g_[as]\.[135]\.(beta|gamma)_reparam\.(pedestal|lower_bound\.bound)")
_DENSITY = re.compile(r"entropy_bottleneck\.((?:matrices|biases|factors)\.\d)")


def effective(value: Tensor, kind: str) -> Tensor:
    """GDN's β or γ from the stored parameter: max(value, bound)² - pedestal."""
    return value.clamp(min=_BOUNDS[kind]).square() - PEDESTAL


def root(value: Tensor, kind: str) -> Tensor:
    """Our b = √(β - 10⁻⁶) or g = √γ from the parameter that CompressAI stores."""
    least = BETA_MIN if kind == "beta" else 0.0
    return (effective(value, kind) - least).clamp(min=0).sqrt()


def _rule(name: str, target: Target) -> Use | Drop | None:
    if _CONV.fullmatch(name):
        return Use(name, same)
    if found := _GDN.fullmatch(name):
        return Use(f"{found[1]}.{'b' if found[2] == 'beta' else 'g'}", partial(root, kind=found[2]))
    if found := _REPARAMETRISED.fullmatch(name):
        value = PEDESTAL if found[2] == "pedestal" else _BOUNDS[found[1]]
        return Drop("constant of the form in which CompressAI stores GDN", value)
    if found := _DENSITY.fullmatch(name):
        return density(found[1], target)
    model, _, rest = name.partition(".")
    return buffer(rest) if model in ("entropy_bottleneck", "gaussian_conditional") else None


def _is_codec(shapes: Shapes) -> bool:
    needed = ("g_a.0.weight", "g_a.1.gamma", "g_a.6.weight", "g_s.6.weight", "entropy_bottleneck.quantiles")
    return all(name in shapes for name in needed) and not any(name.startswith("context_") for name in shapes)


def _has_means(shapes: Shapes) -> bool:
    """Whether the hyper-synthesis predicts a mean and a scale for each latent, or a scale alone."""
    return shapes["h_s.4.weight"][:1] == tuple(2 * channels for channels in shapes["g_a.6.weight"][:1])


def _kind(shapes: Shapes) -> str | None:
    if not _is_codec(shapes):
        return None
    if not any(name.startswith("h_") for name in shapes):
        return "bmshj2018_factorized"
    if "h_s.4.weight" not in shapes:
        return None
    return "mbt2018" if _has_means(shapes) else "bmshj2018"


def _target(choice: str, shapes: Shapes) -> Target:
    return codec_target(choice, N=shapes["g_a.0.weight"][0], M=shapes["g_a.6.weight"][0])


def _layout(name: str, choice: str) -> Layout:
    return Layout(
        f"{name} of CompressAI",
        BSD_CLEAR,
        lambda shapes: _kind(shapes) == choice,
        partial(_target, choice),
        _rule,
        write,
    )


LAYOUTS = (
    _layout("bmshj2018-factorized", "bmshj2018_factorized"),
    _layout("bmshj2018-hyperprior", "bmshj2018"),
    _layout("mbt2018-mean", "mbt2018"),
)
