"""Conversion of published weights: the file's layout by its keys, then every tensor under the name that it has here.

Each layout is one module of this folder with a ``Layout``: how it is recognised, its licence, and what becomes of each
key. Nothing is left over: a key is used once, or dropped for a reason that is printed; a key that is neither, a tensor
that is missing or of another shape, and numbers that are not finite are refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.models.published.weights_file import WeightsFile

Shapes = Mapping[str, tuple[int, ...]]
Transform = Callable[[Tensor], Tensor]


class Licence(NamedTuple):
    """Licence of published weights.

    Args:
        name: SPDX identifier.
        says: what it means, a line.
        ask: whether the user must accept it by name.
    """

    name: str
    says: str
    ask: bool


class Use(NamedTuple):
    """A tensor that is used.

    Args:
        name: in the network here.
        transform: from its values in the file.
    """

    name: str
    transform: Transform


class Drop(NamedTuple):
    """A tensor that is not used.

    Args:
        reason: why it is not needed.
        value: what all of its numbers must be, where the conversion relies on it.
    """

    reason: str
    value: float | None = None


class Target(NamedTuple):
    """The network here that takes the weights.

    Args:
        words: of a training that uses it, ``generator=hific`` and the arguments that are not its defaults.
        network: dotted name of its class.
        arguments: of its class.
        expected: shapes that the file must fill, by name.
        scale: densities are stored divided by this number.
    """

    words: Sequence[str]
    network: str
    arguments: dict[str, Any]
    expected: Shapes
    scale: float = 1.0


class Layout(NamedTuple):
    """A kind of published file.

    Args:
        name: of the network and its project.
        licence: of the published weights.
        recognises: whether shapes, by their normalised names, are of this kind.
        target: the network for these shapes; KeyError, ValueError or IndexError if they are of no such network.
        rule: what becomes of a normalised name, or None for a name that is not of this kind.
        write: writes the file of the converted network, given its path, remarks and whether to replace a file that
            exists; returns lines about it. ValueError if the weights are of no use.
        results: published numbers of a file, by the beginning of its name.
    """

    name: str
    licence: Licence
    recognises: Callable[[Shapes], bool]
    target: Callable[[Shapes], Target]
    rule: Callable[[str, Target], Use | Drop | None]
    write: Callable[["Converted", Path, Mapping[str, Any], bool], list[str]]
    results: Mapping[str, str] = {}


class Line(NamedTuple):
    """What became of one tensor of the file: the name that it has here, or why it is dropped."""

    key: str
    name: str | None
    reason: str


class Converted(NamedTuple):
    """The tensors of a file under the names that they have here, float32."""

    layout: Layout
    target: Target
    weights: dict[str, Tensor]
    lines: list[Line]


def normalised(key: str) -> str:
    """A key in today's naming: without ``module.``, densities as ``matrices.i``, ``biases.i`` and ``factors.i``."""
    key = key.removeprefix("module.")
    key = re.sub(r"\._(matrices|biases|factors)\.(\d)$", r".\1.\2", key)
    plural = {"matrix": "matrices", "bias": "biases", "factor": "factors"}
    return re.sub(r"\._(matrix|bias|factor)(\d)$", lambda found: f".{plural[found[1]]}.{found[2]}", key)


def recognised(file: WeightsFile, layouts: Sequence[Layout]) -> Layout:
    """The layout that a file has; raises InputError if it has none of them."""
    shapes = _shapes(file)
    layout = next((layout for layout in layouts if layout.recognises(shapes)), None)
    if layout is None:
        first = ", ".join(printable(name)[:60] for name in list(file.tensors)[:3])
        known = ", ".join(layout.name for layout in layouts)
        raise InputError(
            f"{printable(file.path)}: not the weights of a known network; its first tensors are {first}; known are"
            f" {known}"
        )
    return layout


def converted(file: WeightsFile, layout: Layout) -> Converted:
    """The tensors of a file in a network of this project.

    Args:
        file: as read.
        layout: that it has.

    Raises:
        InputError: an unknown, missing or doubled key; another shape or type; numbers that are not finite.
    """
    shown = f"{printable(file.path)}: recognised as {layout.name}, but"
    shapes = _shapes(file)
    try:
        target = layout.target(shapes)
    except (KeyError, ValueError, IndexError) as problem:
        raise InputError(f"{shown} {_missing(problem)}; give the file as it was published") from None
    weights, lines = dict[str, Tensor](), [Line(name, None, "no weights") for name in file.beside]
    for key, value in file.tensors.items():
        rule = layout.rule(normalised(key), target)
        if rule is None:
            raise InputError(
                f"{shown} {printable(key)[:100]} is not of that network; give the file as it was published"
            )
        if isinstance(rule, Drop):
            _check_dropped(f"{shown} {printable(key)[:100]}", value, rule)
            lines.append(Line(key, None, rule.reason))
            continue
        weights[rule.name] = _used(f"{shown} {printable(key)[:100]}", value, rule, target)
        lines.append(Line(key, rule.name, ""))
    lacking = [name for name in target.expected if name not in weights]
    if lacking:
        more = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise InputError(
            f"{shown} nothing in it fills {lacking[0]}{more}; give the whole file as it was published"
        )
    return Converted(layout, target, weights, lines)


def _shapes(file: WeightsFile) -> dict[str, tuple[int, ...]]:
    """Shapes by normalised name; raises InputError if two tensors have one name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for key, value in file.tensors.items():
        name = normalised(key)
        if name in shapes:
            raise InputError(
                f"{printable(file.path)}: has {printable(name)[:100]} twice, in two namings; it is damaged"
            )
        shapes[name] = tuple(value.shape)
    return shapes


def _missing(problem: Exception) -> str:
    said = printable(str(problem.args[0] if problem.args else problem))[:150]
    return f"{said} is missing" if isinstance(problem, KeyError) else said


def _check_dropped(shown: str, value: Tensor, rule: Drop) -> None:
    if rule.value is None:
        return
    expected = torch.full_like(value, rule.value, dtype=torch.float64)
    if not torch.allclose(value.double(), expected, rtol=1e-5, atol=0):
        raise InputError(
            f"{shown} is not {rule.value:g}, which the conversion relies on; it is of another network"
        )


def _used(shown: str, value: Tensor, rule: Use, target: Target) -> Tensor:
    """The tensor as it is used here; raises InputError if it does not fit."""
    if not value.is_floating_point():
        raise InputError(f"{shown} holds integers; it is of another network")
    wanted = target.expected.get(rule.name)
    result = rule.transform(value.detach().double()).float().contiguous()
    if not result.isfinite().all():
        raise InputError(f"{shown} has numbers that are not finite; download the file again")
    if wanted is None or tuple(result.shape) != wanted:
        theirs = "absent" if wanted is None else "x".join(map(str, wanted))
        raise InputError(
            f"{shown} is {'x'.join(map(str, value.shape)) or 'scalar'}, and the network's {rule.name} is {theirs};"
            " it is of another network"
        )
    return result
