"""The classes that a configuration may build in each place; functions are never allowed.

A ``_target_`` stands in ``conf/``, or in a folder that the user gives with ``--config-dir``; a run folder's are not
used (see :func:`gcn.config.parse.load`). The table below is the whole list of what such a name may be.
"""

import re
from importlib import import_module
from typing import Any, NamedTuple

from gcn.errors import InputError


class Kind(NamedTuple):
    """The classes that may be built in one place.

    Attributes:
        package: where they are defined.
        bases: dotted names of the classes of which they must be subclasses.
    """

    package: str
    bases: tuple[str, ...]

    def __str__(self) -> str:
        return f"a subclass of {' or '.join(self.bases)} in {self.package}"


SLOTS = ("Term", "Perturbation", "LossWrapper", "Constraint")

# By the dotted name of the node that holds ``_target_``.
KINDS = {
    "generator": Kind("gcn.models", ("gcn.models.codec.Codec", "gcn.models.dcgan.DCGAN")),
    "discriminator": Kind("gcn.models", ("torch.nn.Module",)),
    "loss": Kind("gcn.losses", ("gcn.game.slots.AdversarialLoss",)),
    "terms.*": Kind("gcn.losses", tuple(f"gcn.game.slots.{slot}" for slot in SLOTS)),
    "dynamics": Kind("gcn.game.rules", ("gcn.game.rules.Rule",)),
    "optim": Kind("torch.optim", ("torch.optim.Optimizer",)),
    "data": Kind("gcn.data", ("gcn.data.loader.Data",)),
    "game": Kind("gcn.lab", ("gcn.lab.games.SmallGame", "gcn.lab.plane.plane.Plane")),
    "game.distribution": Kind("gcn.lab", ("gcn.lab.plane.distributions.Distribution",)),
    "optimizer": Kind("gcn.lab", ("gcn.lab.players.Descent",)),
}  # fmt: skip


def check_name(place: str, target: Any) -> None:
    """Raise InputError, without importing anything, for what cannot be the name of a class for this place.

    Args:
        place: dotted name of the node that holds ``_target_``.
        target: the name.

    Raises:
        InputError: nothing is built in this place, or the name leads outside of the package that it must be in.
    """
    kind = _kind(place)
    if kind is None:
        raise InputError(f"{place}._target_={target}: nothing is built here; only {', '.join(KINDS)} are")
    inside = rf"{re.escape(kind.package)}\.(\w+\.)*[A-Za-z]\w*"
    if not isinstance(target, str) or not re.fullmatch(inside, target):
        raise InputError(f"{place}._target_={target}: must be {kind}")


def resolve(place: str, target: Any) -> type:
    """The class that ``_target_`` names in this place; raises InputError for a class of another kind."""
    check_name(place, target)
    kind = _kind(place)
    assert kind is not None
    try:
        found = _named(target)
    except (ImportError, AttributeError):
        raise InputError(f"{place}._target_={target}: there is no such class; it must be {kind}") from None
    bases = tuple(_named(base) for base in kind.bases)
    inside = isinstance(found, type) and f"{found.__module__}.".startswith(f"{kind.package}.")
    if not (inside and issubclass(found, bases)):
        raise InputError(f"{place}._target_={target}: must be {kind}")
    return found  # type: ignore[no-any-return]


def _kind(place: str) -> Kind | None:
    above, _, name = place.rpartition(".")
    return KINDS.get(place) or (KINDS.get(f"{above}.*") if name else None)


def _named(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)
