"""Hydra's search for the files of a composition, without work whose result it does not use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra._internal import defaults_list as of_hydra


@contextmanager
def choices_when_asked() -> Iterator[None]:
    """Keep Hydra from collecting all choices so far, in the block, for files whose defaults do not refer to them.

    Hydra makes a configuration of the choices for each file that it reads, which takes a sixth of a composition; it
    looks into it for defaults such as ``optim: ${loss}`` alone.
    """
    own = getattr(of_hydra, "_create_interpolation_map", None)
    if own is None:  # another version of Hydra
        yield
        return

    def collected(overrides: Any, defaults: list[Any], *others: Any) -> Any:
        asked = any(not default.is_self() and default.is_interpolation() for default in defaults)
        return own(overrides, defaults, *others) if asked else None

    of_hydra._create_interpolation_map = collected  # type: ignore[assignment]
    try:
        yield
    finally:
        of_hydra._create_interpolation_map = own
