"""docs/methods.md: what each method is, what it does in the Dirac-GAN, and what was measured on a codec."""

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcn.lab.intervals import interval
from gcn.study.methods.catalogue import Method
from gcn.study.methods.effects import Effect, effects

Row = Mapping[str, Any]
Table = tuple[Sequence[str], Sequence[Sequence[str]]]
SECTIONS = {
    "losses": "Adversarial losses",
    "discriminator": "On the discriminator: penalties, perturbations, constraints",
    "both": "Terms of both players, and what G is told of D",
    "rules": "Update rules",
    "distortions": "Distortions and their controls",
    "networks": "Discriminators",
}
COMMAND = ("loss=ns", "mse=1")  # of scripts/train.py, to which a row's words are added
HEAD = """\
# Methods

Losses, terms, rules and networks of this project in one table, made from the configuration and from stored
runs by

    python scripts/methods.py

A test holds this page equal to what the command makes. [objective.md](objective.md) has the formulas at length,
[theory.md](theory.md) the derivations. t is a logit of D, sp is softplus, E a mean. A row's words are added to

    python scripts/train.py {command}

where a word such as `loss=wgan` replaces the first.
"""
DIRAC = """\
## In the Dirac-GAN

The data are the point 0, G is a number θ, D the line ψx. Given is the largest |λ| of one update's derivative at
the equilibrium, computed by the code that trains a codec: the distance from the equilibrium is multiplied by
|λ| in each update, in the long run. Both learning rates are {rate}, plain gradient descent, `loss=ns` and
alternating updates where a row says nothing else; every weight is {strength}, and the last columns have
`{distortion}` too, in the units of this game (`python scripts/lab.py`). "Stays" is an eigenvalue of exactly 1:
the update leaves a direction as it is, such as the mean of the past (`historical_averaging`), the share k of
`began`, or everything where a D without a bias has no force (`lsgan_01`). Charbonnier's ε is 1. Without an
eigenvalue, a trajectory of {steps} updates says whether it comes nearer.
"""
CODEC = """\
## On a codec, with and without a distortion

**Exploratory**: one strength each, chosen before the runs and not tuned, three seeds. The decoder of the model
`mid` is trained against a new discriminator, encoder and entropy model frozen, on crops of {crop} pixels of
eight photographs, Adam with β₁ = 0. G's learning rate is {lr} throughout; D's doubles {octaves} times in
{updates} updates, from {lowest} on. **h\\*** is D's rate up to which the training held: it fails when the
validation photographs have lost more than {decibels} dB of PSNR at two looks in succession. 3 dB is the price of
perfect realism (Blau and Michaeli 2019), so a larger loss is none that realism asks for. Given are the geometric
mean over seeds, and the difference to the plain game of the same seed in octaves (factors of two) with its 95 %
interval (Student's t, three seeds: wide). A look is {resolution:g} of an octave.

**Λ** is the [exponent](exponent.md) of a training at the constant rate {exponent_lr} of both players, over
{exponent_updates} updates after {exponent_before}: mean over seeds with its 95 % interval, the number of seeds, and
the difference to the plain game of the same seed with its interval. An update multiplies a small difference of two
trainings by exp(Λ).

    python scripts/study.py study=methods only.measured=margin minutes=20 table=docs/study/methods
    python scripts/study.py study=methods only.measured=exponent minutes=20 table=docs/study/methods

train what the table lacks, and go on where they were stopped. The runs are in [study/methods](study/methods).
"""
AGREEMENT = {
    "margin": (
        "Of {methods} methods {higher} held to a higher rate with `mse={beside}` than with `mse={without}` in each of"
        " their seeds, {lower} to a lower one. The median gain is {middle:.1f} octaves; a training that held to the end"
        " counts with the last rate.\n"
    ),
    "exponent": (
        "Of {methods} methods {lower} have a smaller Λ with `mse={beside}` than with `mse={without}` in each of their"
        " seeds, {higher} a larger one. The median change is {middle:+.3f} per update.\n"
    ),
}
NO_EXPONENTS = "Λ has not been measured yet: the second command does.\n"


@dataclass(frozen=True)
class Leading:
    """The slowest part of a small game's training.

    Attributes:
        modulus: largest |λ| of the update, per update; not a number without a linearisation.
        word: ``converges``, ``circles`` or ``diverges``; or what a trajectory did.
        reason: why there is no number; empty where there is one.
    """

    modulus: float
    word: str
    reason: str = ""


def page(
    methods: Sequence[Method],
    spectra: Mapping[str, Sequence[Leading]],
    rows: Sequence[Row],
    content: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> str:
    """The text of the page.

    Args:
        methods: of the catalogue.
        spectra: by name, alone and with a distortion.
        rows: of the table of the study's runs.
        content: of ``conf/study/methods.yaml``.
        settings: of the Dirac-GAN: ``rate``, ``strength``, ``distortion``, ``steps``.
    """
    parts = [HEAD.format(command=" ".join(COMMAND))]
    for section, title in SECTIONS.items():
        own = [method for method in methods if method.section == section]
        parts += [
            f"## {title}\n",
            _table(("method", "what it computes", "source", "code, test"), map(_what, own)),
        ]
    parts += [DIRAC.format(**settings), _dirac(methods, spectra)]
    protocol = content["protocol"]
    crop = next(word.partition("=")[2] for word in protocol["both"] if word.startswith("data.crop="))
    ramp = {name: _number(v) if isinstance(v, float) and v < 1 else v for name, v in protocol["ramp"].items()}
    resolution = protocol["ramp"]["octaves"] * protocol["ramp"]["look"] / protocol["updates"]
    parts += [CODEC.format(crop=crop, updates=protocol["updates"], resolution=resolution, **ramp)]
    known = any(row["measured"] == "exponent" for row in rows)
    parts += [part for part in (agreement(rows, content, "margin"),) if part]
    parts += [_table(*margins_table(methods, rows, content))]
    parts += [part for part in (agreement(rows, content, "exponent"),) if part]
    parts += [_table(*exponents_table(methods, rows, content)) if known else NO_EXPONENTS]
    parts += ["What these runs may not say:\n"]
    parts += ["\n".join(f"* {sentence}" for sentence in content["cannot_say"]) + "\n"]
    parts += ["## Not here, and why\n", _table(("method", "because"), content["not_here"].items())]
    parts += ["Files of the configuration that are no row:\n"]
    parts += [_table(("file", "because"), ((f"`{name}`", why) for name, why in content["not_a_row"].items()))]
    return "\n".join(parts)


def _what(method: Method) -> tuple[str, ...]:
    words = "<br>".join(f"`{word}`" for word in method.words) or "`loss=ns`"
    code = f"[{method.class_name}](../{method.code})"
    test = f"[test](../{method.test})" if method.test else ""
    return f"**{method.name}**<br>{words}", _text(method.formula), method.source, f"{code}<br>{test}"


def _text(formula: str) -> str:
    """A docstring's text as Markdown: code in single backquotes, stars and underscores as they are."""
    code = re.split(r"(``[^`]+``|`[^`]+`)", re.sub(r":\w+:`~?([^`]+)`", r"`\1`", formula))
    signs = re.compile(r"\*\w+\*|[*_<]")  # emphasis stays as it is
    plain = [
        signs.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", part)
        if k % 2 == 0
        else part.replace("``", "`")
        for k, part in enumerate(code)
    ]
    return "".join(plain)


def _dirac(methods: Sequence[Method], spectra: Mapping[str, Sequence[Leading]]) -> str:
    head = ("method", "|λ| alone", "outcome", "|λ| with a distortion", "outcome")
    body = []
    for method in methods:
        alone, beside = spectra[method.name]
        if not alone.word:
            body.append((f"`{method.name}`", "", _text(alone.reason), "", ""))
            continue
        body.append((f"`{method.name}`", *_modulus(alone), *_modulus(beside)))
    return _table(head, body)


def _modulus(found: Leading) -> tuple[str, str]:
    if math.isnan(found.modulus):
        return "", f"{found.word}; {found.reason}" if found.word else _text(found.reason)
    return f"{found.modulus + 1e-9:.4f}", found.word  # a tie is rounded up on every machine


def margins_table(methods: Sequence[Method], rows: Sequence[Row], content: Mapping[str, Any]) -> Table:
    """h* without and with the distortion, differences to the plain game, and what the distortion adds to a method."""
    found, weights = effects(rows, "margin"), list(content["factors"]["mse"])
    head, body = _measured(methods, found, content, ("h\\*", "octaves to plain"), _margin)
    gains = (_gain(*(found.get((method.name, weight)) for weight in weights)) for method in methods)
    added = f"octaves from `mse={weights[0]}` to `mse={weights[-1]}`"
    return (*head, added), [(*line, gain) for line, gain in zip(body, gains, strict=True)]


def agreement(rows: Sequence[Row], content: Mapping[str, Any], measured: str) -> str:
    """A sentence: for how many methods the distortion raises or lowers a quantity in each of their seeds.

    Args:
        rows: of the table of the study's runs.
        content: of ``conf/study/methods.yaml``.
        measured: ``margin`` or ``exponent``.
    """
    found, (without, *_, beside) = effects(rows, measured), list(content["factors"]["mse"])
    pairs = [(found[m, without], found[m, beside]) for m, w in found if w == without and (m, beside) in found]
    shared = [[b.values[s] - a.values[s] for s in a.values.keys() & b.values.keys()] for a, b in pairs]
    shared = [own for own in shared if own]
    if not shared:
        return ""
    higher, lower = (sum(all(sign * d > 0 for d in own) for own in shared) for sign in (1, -1))
    middle = statistics.median(statistics.fmean(own) for own in shared)
    return AGREEMENT[measured].format(
        methods=len(shared), higher=higher, lower=lower, middle=middle, without=without, beside=beside
    )


def exponents_table(methods: Sequence[Method], rows: Sequence[Row], content: Mapping[str, Any]) -> Table:
    """Λ without and with the distortion, with the number of seeds, and differences to the plain game."""
    found = effects(rows, "exponent")
    return _measured(methods, found, content, ("Λ", "seeds", "Λ - plain's"), _exponent)


def _measured(
    methods: Sequence[Method],
    found: Mapping[tuple[str, str], Effect],
    content: Mapping[str, Any],
    head: Sequence[str],
    cells: Callable[[Effect, Mapping[str, Any]], Sequence[str]],
) -> Table:
    why = {name: text for own in content["not_measured"].values() for name, text in own.items()}
    weights, plan = list(content["factors"]["mse"]), content["protocol"]["ramp"]
    body = []
    for method in methods:
        own = [found.get((method.name, mse)) for mse in weights]
        blank = ["not measured", *[""] * (len(head) - 1)]
        both = [blank if effect is None else cells(effect, plan) for effect in own]
        if method.name in why:
            both = [[f"not measured: {why[method.name]}", *blank[1:]], *[[""] * len(head)] * (len(own) - 1)]
        body.append((f"`{method.name}`", *(cell for part in both for cell in part)))
    return ("method", *(f"{name}, `mse={mse}`" for mse in weights for name in head)), body


def _margin(found: Effect, ramp: Mapping[str, Any]) -> tuple[str, str]:
    if not found.values:
        return f"< {_number(ramp['lowest'])}", ""
    bound = "≥ " * bool(found.above)
    return f"{bound}{_number(2**found.mean)}{_seeds(found)}", _difference(found, 2, bound)


def _gain(alone: Effect | None, beside: Effect | None) -> str:
    """What the distortion adds to the margin of a method, in octaves; a bound where it held to the last rate."""
    mean, half = (math.nan, math.nan) if alone is None or beside is None else beside.gain_over(alone)
    if math.isnan(mean) or alone is None or beside is None:
        return ""
    bound = "" if alone.above else "≥ " * bool(beside.above)
    return f"{bound}{_with_interval(mean, half, 2, '+')}" if not (alone.above and beside.above) else ""


def _exponent(found: Effect, ramp: Mapping[str, Any]) -> tuple[str, str, str]:
    if not found.values:
        reason = next(filter(None, found.missing), "").partition(": ")[2].partition(";")[0]
        return reason or "not finite", "0", ""
    mean, half = interval(list(found.values.values()))
    return _with_interval(mean, half, 3), str(len(found.values)), _difference(found, 3)


def _number(value: float) -> str:
    """Two digits, as 4.5e-4."""
    return re.sub(r"e-0", "e-", f"{value:.1e}")


def _seeds(found: Effect) -> str:
    """How many seeds there are, where it is not three."""
    return "" if len(found.values) == 3 else f" (n={len(found.values)})"


def _difference(found: Effect, digits: int, bound: str = "") -> str:
    mean, half = found.difference
    return "" if math.isnan(mean) else bound + _with_interval(mean, half, digits, "+")


def _with_interval(mean: float, half: float, digits: int, sign: str = "") -> str:
    return f"{mean:{sign}.{digits}f}" + (f" ± {half:.{digits}f}" if math.isfinite(half) else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    bars = [f"| {' | '.join(row)} |" for row in lines]
    return "\n".join([bars[0], "|---" * len(head) + "|", *bars[1:]]) + "\n"
