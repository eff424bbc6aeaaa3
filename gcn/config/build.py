"""Objects built from a checked configuration.

Classes are named by ``_target_`` and must be of the kind that :mod:`gcn.schema.kinds` declares for their place; nothing
that the configuration does not ask for is even imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gcn.config.offered import knobs
from gcn.config.parse import Config
from gcn.game.objective import Objective, Weighting
from gcn.game.slots import AdversarialLoss, Constraint, FakeSource, LossWrapper, Perturbation, Term
from gcn.schema.fields import at
from gcn.schema.kinds import resolve
from gcn.schema.plugins import of_settings


class Present(NamedTuple):
    """An ingredient of the objective that the configuration switches on.

    Attributes:
        name: its knob.
        weight: the value of a weight (0: measured only); ``None`` for a setting.
        term: the object, of one of the kinds in :mod:`gcn.game.slots`.
    """

    name: str
    weight: float | None
    term: Any


def build(cfg: Mapping[str, Any], place: str, **arguments: Any) -> Any:
    """The object that the node at ``place`` describes; ``None`` where its ``_target_`` is null.

    Args:
        cfg: the configuration.
        place: dotted name of a node with ``_target_`` and the constructor's arguments: ``generator``, ``terms.r1``.
        arguments: further keyword arguments, which win.

    Raises:
        InputError: the class is not of the kind that belongs there.
    """
    return _built(place, at(cfg, place), arguments, of_settings(cfg).packages)


def _built(place: str, node: Mapping[str, Any], arguments: Mapping[str, Any], plugins: Sequence[str]) -> Any:
    if node["_target_"] is None:
        return None
    options = {k: _plain(f"{place}.{k}", value, plugins) for k, value in node.items() if k != "_target_"}
    return resolve(place, node["_target_"], plugins)(**{**options, **arguments})


def _plain(place: str, value: Any, plugins: Sequence[str]) -> Any:
    """A constructor's argument in built-in types; nodes inside of it are built."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            return _built(place, value, {}, plugins)
        return {name: _plain(f"{place}.{name}", part, plugins) for name, part in value.items()}
    return [_plain(place, part, plugins) for part in value] if isinstance(value, list) else value


def nodes(group: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The nodes of a group of several objects, by name: those that name a class."""
    return {name: v for name, v in group.items() if isinstance(v, Mapping) and "_target_" in v}


def arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the class that a node names, in built-in types."""
    return {name: _plain(name, value, ()) for name, value in node.items() if name != "_target_"}


def present_terms(cfg: Config) -> list[Present]:
    """All ingredients that the configuration switches on, in alphabetical order of their knobs."""
    present, known = [], knobs(of_settings(cfg))
    for name in cfg.terms:
        knob, value = known[name], cfg[name]
        given = {knob.argument: value} if knob.argument else {}
        weight = value if knob.kind == "weight" else None
        present.append(Present(name, weight, build(cfg, f"terms.{name}", **given)))
    return present


def objective(
    cfg: Config, present: Sequence[Present], side: int | None = None
) -> tuple[Objective, list[Constraint]]:
    """The configured objective of both players, and the constraints on D.

    Args:
        cfg: the configuration, for the loss and ``adv``.
        present: of :func:`present_terms`.
        side: of the images, in pixels, which the terms check; None where there are no images.
    """
    loss: AdversarialLoss | None = build(cfg, "loss")
    terms: dict[str, tuple[float, Term]] = {}
    perturbations: list[Perturbation] = []
    constraints: list[Constraint] = []
    fakes: FakeSource | None = None
    for name, weight, part in present:
        if isinstance(part, Term | FakeSource) and side is not None:
            part.check_images(side)
        if isinstance(part, Term):
            terms[name] = (float(weight or 0.0), part)
        elif isinstance(part, Perturbation):
            perturbations.append(part)
        elif isinstance(part, LossWrapper):
            assert loss is not None
            loss = part.wrap(loss)
        elif isinstance(part, FakeSource):
            fakes = part
        elif isinstance(part, Constraint):
            constraints.append(part)
    return Objective(loss, _adversarial_weight(cfg.adv), terms, perturbations, fakes), constraints


def _adversarial_weight(adv: float | str) -> float | Weighting:
    if adv != "adaptive":
        return float(adv)
    from gcn.losses.adaptive import AdaptiveWeight

    return AdaptiveWeight()
