"""From a checked configuration to objects.

Classes are named by ``_target_`` and built by Hydra; nothing that the configuration does not ask for is even
imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from gcn.compose import knobs
from gcn.config import TRUSTED, Config
from gcn.errors import InputError
from gcn.losses.adversarial import Adversarial
from gcn.losses.objective import Objective
from gcn.losses.term import OnLoss, OnPlayer, Sight, Term


class Present(NamedTuple):
    """An ingredient of the objective that the configuration asks for.

    Attributes:
        name: its knob.
        weight: the value of a weight (0: measured only); ``None`` for a setting.
        term: the object, of one of the kinds in :mod:`gcn.losses.term`.
    """

    name: str
    weight: float | None
    term: Any


def build(node: Mapping[str, Any], **arguments: Any) -> Any:
    """The object that a node with ``_target_`` describes; ``None`` where the target is null.

    Args:
        node: class and keyword arguments.
        arguments: further keyword arguments, which win.
    """
    target = node["_target_"]
    if target is None:
        return None
    if not target.startswith(TRUSTED):
        raise InputError(f"_target_={target}: only classes of {' and '.join(TRUSTED)} may be built")
    plain = node.plain() if isinstance(node, Config) else dict(node)
    try:
        return instantiate({**plain, "_convert_": "all"}, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise


def present_terms(cfg: Config) -> list[Present]:
    """The ingredients that are there, weights and settings, in alphabetical order of their knobs."""
    present = []
    for name, node in cfg.terms.items():
        knob, value = knobs()[name], cfg[name]
        given = {knob.argument: value} if knob.argument else {}
        weight = value if knob.kind == "weight" else None
        present.append(Present(name, weight, build(node, **given)))
    return present


def objective(
    cfg: Config, present: Sequence[Present], side: int | None = None
) -> tuple[Objective, list[OnPlayer]]:
    """What the players pay, and the constraints on D.

    Args:
        cfg: the configuration, for the loss and ``adv``.
        present: of :func:`present_terms`.
        side: of the images, in pixels, which the terms check; None where there are no images.
    """
    loss: Adversarial | None = build(cfg.loss)
    terms: dict[str, tuple[float, Term]] = {}
    sights: list[Sight] = []
    constraints: list[OnPlayer] = []
    for name, weight, part in present:
        if isinstance(part, Term):
            if side is not None:
                part.check_images(side)
            terms[name] = (float(weight or 0.0), part)
        elif isinstance(part, Sight):
            sights.append(part)
        elif isinstance(part, OnLoss):
            assert loss is not None
            loss = part.wrap(loss)
        elif isinstance(part, OnPlayer):
            constraints.append(part)
    return Objective(loss, cfg.adv, terms, sights), constraints
