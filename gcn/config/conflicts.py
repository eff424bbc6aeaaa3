"""Combinations of options that cannot work, each declared in the yaml of one of its options.

A knob (``conf/knob``) says ``conflicts:`` and ``needs:``; the choice of a group and the root say
``_conflicts_:`` and ``_lacks_:``, where the underscore keeps them apart from settings:

    conflicts:
      - with: {discriminator.norm: batch}       # all of these hold …
        because: what is wrong; what to do      # … then this is the reason
    needs: discriminator                        # and a chosen option that _lacks_ one says why not

A knob's entries count while the knob is present, a choice's while it is chosen. A condition names a knob
(``present``, ``absent`` or a value), a group (a choice), or any dotted setting; it holds a value, a list of
values, a range such as ``"> 1"`` or ``">= steps"``, or ``"no multiple of 16"``, where a number may be the name of
a setting.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gcn.cli.invocation import as_called
from gcn.config.knobs import ABSENT, PRESENT, Knob
from gcn.errors import InputError
from gcn.schema.fields import COMPARISONS, at, show

RELATION = re.compile(r"(<=|>=|<|>|no multiple of)\s*(\S+)")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Configured:
    """The choices and values of a configuration that conflicts depend on."""

    settings: Mapping[str, Any]
    choices: Mapping[str, str | None]
    knobs: Mapping[str, Knob]

    def value(self, name: str) -> Any:
        """A group's choice, or the value of a knob or setting."""
        return self.choices[name] if name in self.choices else at(self.settings, name)

    def present(self, name: str) -> bool:
        """Whether a knob is switched on."""
        return self.knobs[name].present(self.settings[name])

    def matches(self, name: str, wanted: Any) -> bool:
        """Whether one condition holds."""
        if isinstance(wanted, list):
            return any(self.matches(name, one) for one in wanted)
        if name in self.knobs and wanted in (PRESENT, ABSENT):
            return self.present(name) == (wanted == PRESENT)
        value = self.value(name)
        relation = RELATION.fullmatch(wanted) if isinstance(wanted, str) else None
        if relation is None:
            return bool(value == wanted)
        other = self.value(relation[2]) if relation[2][0].isalpha() else float(relation[2])
        if not _number(value) or not _number(other):
            return False
        return (
            value % other != 0 if relation[1] == "no multiple of" else COMPARISONS[relation[1]](value, other)
        )


@dataclass(frozen=True)
class Conflict:
    """A declared combination; it is refused if all its conditions hold."""

    owner: str | None
    conditions: Mapping[str, Any]
    because: str

    def refuse(self, configured: Configured) -> None:
        """Raise InputError if all conditions hold for this configuration."""
        if all(configured.matches(name, wanted) for name, wanted in self.conditions.items()):
            owner = [] if self.owner is None else [self.owner]
            names = dict.fromkeys([*owner, *self.conditions, *self._compared()])
            words = " ".join(f"{name}={show(configured.value(name))}" for name in names)
            raise InputError(f"{words}: {as_called(self.because)}")

    def _compared(self) -> list[str]:
        """Names of the settings that the conditions compare with other settings."""
        relations = (RELATION.fullmatch(str(wanted)) for wanted in self.conditions.values())
        return [found[2] for found in relations if found is not None and found[2][0].isalpha()]


def conflicts(configured: Configured) -> Iterator[Conflict]:
    """All conflicts declared by the knobs, choices and root of a configuration."""
    lacking: list[tuple[str | None, str, str]] = []
    for owner in (None, *configured.choices):
        node = configured.settings if owner is None else configured.settings.get(owner)
        if isinstance(node, Mapping):
            for entry in node.get("_conflicts_", []):
                yield Conflict(owner, entry["with"], entry["because"])
            lacking += [(owner, what, because) for what, because in node.get("_lacks_", {}).items()]
    for name, knob in configured.knobs.items():
        if configured.present(name):
            for owner, what, because in lacking:
                if what in knob.needed:
                    yield Conflict(name, {} if owner is None else {owner: configured.value(owner)}, because)
            for entry in knob.conflicts:
                yield Conflict(name, entry["with"], entry["because"])
