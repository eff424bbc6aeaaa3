"""The classes that a configuration may build in each place; functions are never allowed.

A ``_target_`` stands in ``conf/``, in a folder that the user gives with ``--config-dir`` or in a plugin; those of a run
folder are not used (see :func:`gcn.config.parse.load`). The table below is the whole list of what such a name may be;
packages that the user names, ``plugins=[mypackage]``, add classes of the same kinds (:mod:`gcn.schema.plugins`).
"""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from gcn.errors import InputError
from gcn.schema.plugins import said


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


SLOTS = ("Term", "Perturbation", "FakeSource", "LossWrapper", "Constraint")

# By the dotted name of the node that holds ``_target_``.
KINDS = {
    "generator": Kind("gcn.models", ("gcn.models.codec.Codec", "gcn.models.dcgan.DCGAN")),
    "discriminator": Kind("gcn.models", ("torch.nn.Module",)),
    "labeller": Kind("gcn.models", ("gcn.models.labeller.Labeller",)),
    "loss": Kind("gcn.losses", ("gcn.game.slots.AdversarialLoss",)),
    "terms.*": Kind("gcn.losses", tuple(f"gcn.game.slots.{slot}" for slot in SLOTS)),
    "dynamics": Kind("gcn.game", ("gcn.game.rules.Rule",)),
    "optim": Kind("torch.optim", ("torch.optim.Optimizer",)),
    "data": Kind("gcn.data", ("gcn.data.loader.Data",)),
    "callbacks.*": Kind("lightning.pytorch.callbacks", ("lightning.pytorch.callbacks.Callback",)),
    "logger.*": Kind("lightning.pytorch.loggers", ("lightning.pytorch.loggers.Logger",)),
    "game": Kind("gcn.lab", ("gcn.lab.games.SmallGame", "gcn.lab.plane.plane.Plane")),
    "game.distribution": Kind("gcn.lab", ("gcn.lab.plane.distributions.Distribution",)),
    "optimizer": Kind("gcn.lab", ("gcn.lab.players.Descent",)),
}  # fmt: skip


def check_name(place: str, target: Any, plugins: Sequence[str] = ()) -> None:
    """Raise InputError, without importing anything, for what cannot be the name of a class for this place.

    Args:
        place: dotted name of the node that holds ``_target_``.
        target: the name.
        plugins: packages that the user has named, whose classes are allowed as well.

    Raises:
        InputError: nothing is built in this place, or the name leads outside of the packages that it must be in.
    """
    kind = _kind(place)
    if kind is None:
        raise InputError(f"{place}._target_={target}: nothing is built here; only {', '.join(KINDS)} are")
    if not isinstance(target, str) or not any(
        re.fullmatch(rf"{re.escape(package)}\.(\w+\.)*[A-Za-z]\w*", target)
        for package in (kind.package, *plugins)
    ):
        raise _refusal(place, target, kind, plugins)


def resolve(place: str, target: Any, plugins: Sequence[str] = ()) -> type:
    """The class that ``_target_`` names in this place; arguments as for :func:`check_name`.

    Raises:
        InputError: a class of another kind, none at all, or a module that cannot be imported.
    """
    check_name(place, target, plugins)
    kind = _kind(place)
    assert kind is not None
    try:
        found = _named(target)
    except ModuleNotFoundError as problem:
        if problem.name is not None and f"{target}.".startswith(f"{problem.name}."):
            raise InputError(
                f"{place}._target_={target}: there is no such class; it must be {kind}"
            ) from None
        raise InputError(
            f"{place}._target_={target}: its module cannot be imported ({said(problem)})"
        ) from None
    except AttributeError:
        raise InputError(f"{place}._target_={target}: there is no such class; it must be {kind}") from None
    except Exception as problem:  # of a plugin's module
        raise InputError(
            f"{place}._target_={target}: its module cannot be imported ({said(problem)})"
        ) from None
    bases = tuple(_named(base) for base in kind.bases)
    inside = isinstance(found, type) and any(
        f"{found.__module__}.".startswith(f"{package}.") for package in (kind.package, *plugins)
    )
    if not (inside and issubclass(found, bases)):
        raise _refusal(place, target, kind, plugins)
    return found  # type: ignore[no-any-return]


def _refusal(place: str, target: Any, kind: Kind, plugins: Sequence[str]) -> InputError:
    also = f" or {', '.join(plugins)}" if plugins else ""
    package = str(target).partition(".")[0]
    own = isinstance(target, str) and "." in target and package not in ("gcn", "torch", "lightning", *plugins)
    hint = f"; to use classes of a package of your own, name it: plugins=[{package}]" if own else ""
    return InputError(f"{place}._target_={target}: must be {kind}{also}{hint}")


def _kind(place: str) -> Kind | None:
    above, _, name = place.rpartition(".")
    return KINDS.get(place) or (KINDS.get(f"{above}.*") if name else None)


def _named(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)
