"""What values of a configuration are held to: the same choices of groups without any value changed, and declarations.

The declarations (:mod:`gcn.schema.fields`) are in the chosen files of ``conf/`` and of the user's folders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gcn.config.compose import compose
from gcn.config.knobs import Knob
from gcn.config.lightning_words import CALLBACKS, checked_callbacks, instead
from gcn.config.offered import Root, knobs
from gcn.config.several import names as single
from gcn.config.sources import load
from gcn.config.stored import OVERLAY
from gcn.errors import InputError
from gcn.schema.fields import MISSING, Field, at, declarations, paths, show, suggestion
from gcn.schema.kinds import check_name
from gcn.schema.plugins import NONE, Extension


@dataclass(frozen=True)
class Reference:
    """Default values of a choice of groups, and declarations of some of them by dotted name.

    Attributes:
        values: the default values.
        fields: the declarations.
        own: what the user adds; its knobs are declared, and its classes may be named.
    """

    values: Mapping[str, Any]
    fields: Mapping[str, Field]
    own: Extension = NONE

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """All knobs by name."""
        return knobs(self.own)

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values in their types; raises InputError for unknown names and values out of range."""
        return self._below("", values, self.values, values)

    def part(self, group: str) -> "Reference":
        """The part of the reference that belongs to one group."""
        return Reference({group: self.values[group]}, self.fields, self.own)

    def _below(
        self, above: str, values: Mapping[str, Any], defaults: Mapping[str, Any], whole: Mapping[str, Any]
    ) -> dict[str, Any]:
        for key in values:
            if key not in defaults:
                name = f"{above}{key}"
                if key.startswith("_"):
                    raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
                inside = next(paths(values[key], name), name) if isinstance(values[key], dict) else name
                raise self._unknown(inside)
        scalars_first = sorted(defaults.items(), key=lambda item: isinstance(item[1], dict))
        return {
            key: self._value(f"{above}{key}", values[key], default, whole) for key, default in scalars_first
        }

    def _value(self, name: str, value: Any, default: Any, whole: Mapping[str, Any]) -> Any:
        if name == CALLBACKS:
            fields = {
                one: field.beside(at(self.values, one))
                for one, field in self.fields.items()
                if one.startswith(f"{CALLBACKS}.")
            }
            return checked_callbacks(value, self.own.packages, fields)
        if name.rpartition(".")[2].startswith("_"):
            if value != default:
                raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
            if name.endswith("._target_") and value is not None:
                check_name(name.removesuffix("._target_"), value, self.own.packages)
            return value
        if isinstance(default, dict):
            if not isinstance(value, dict):
                inside = ", ".join(f"{name}.{key}" for key in default if not key.startswith("_"))
                raise InputError(f"{name}={show(value)}: not a single value; set {inside}")
            return self._below(f"{name}.", value, default, whole)
        if name in self.knobs:
            return self.knobs[name].check(value)
        field = self._field(name, default)
        if value == MISSING:
            raise InputError(
                f"{name}: is required; give {name}=…" + (f" ({field.help})" if field.help else "")
            )
        self._check_source(name, value, field, whole)
        return field.check(name, value)

    def _field(self, name: str, default: Any) -> Field:
        """The declaration of a setting with its default value, or the field that the default implies."""
        if name not in self._completed:
            declared = self.fields.get(name)
            self._completed[name] = Field.like(default) if declared is None else declared.beside(default)
        return self._completed[name]

    @cached_property
    def _completed(self) -> dict[str, Field]:
        return {}

    def _unknown(self, name: str) -> InputError:
        known = [*paths(self.values), *self.values]
        return InputError(instead(name) or f"{name}: unknown; {suggestion(name, known)}")

    def _check_source(self, name: str, value: Any, field: Field, whole: Mapping[str, Any]) -> None:
        """Refuse a value that a setting has from another one in the name of that one, which the user has said."""
        source = field.source
        group, _, inside = source.rpartition(".")
        if not source or at(whole, source) != value:
            return
        known = at(self.values, group) if group else self.values
        if not isinstance(known, Mapping) or inside not in known:  # a chosen file that has no such setting
            if value is not None and isinstance(known, Mapping):
                raise self._unknown(source)
            return
        self._value(source, value, known[inside], whole)
        if not field.accepts(value):
            raise InputError(
                f"{source}={show(value)}: {name}, which has the same value where it is not given, must be {field}"
            )


@cache
def reference_of(named: tuple[tuple[str, str], ...], own: Extension, root: Root) -> Reference:
    """The reference of a choice of groups; ``named`` as :func:`chosen` returns it."""
    fields = declarations(root.file)
    for group, choice in named:
        for path in [path for one in single(choice) for path in _lineage(group, one, own, root)]:
            inside = "" if _is_global(path) else f"{group}."
            fields |= {f"{inside}{name}": field for name, field in declarations(path).items()}
    for knob in knobs(own).values():
        fields |= {f"terms.{knob.name}.{option}": field for option, field in knob.declared.items()}
    words = [f"{group}={choice}" for group, choice in named]
    return Reference(compose(words, own, root=root).values, fields, own)


def _is_global(path: Path) -> bool:
    """Whether a choice's file sets the whole configuration (Hydra's ``@package _global_``)."""
    return path.read_text(encoding="utf-8").startswith("# @package _global_")


def _lineage(group: str, choice: str, own: Extension, root: Root) -> list[Path]:
    """The files of a choice in order of application: first those that its defaults list builds on."""
    for folder in (*root.folders, *own.folders):
        path = folder / group / f"{choice}.yaml"
        if path.exists():
            content, _ = load(path)
            defaults = content.get("defaults", []) if isinstance(content, DictConfig) else []
            bases = [base for base in defaults if isinstance(base, str) and base != "_self_"]
            return [*(found for base in bases for found in _lineage(group, base, own, root)), path]
    return []


def without_remarks(node: Any) -> Any:
    """The configuration without the entries that only its checks read, such as ``_conflicts_``."""
    if not isinstance(node, Mapping):
        return node
    return {
        key: without_remarks(value) for key, value in node.items() if key not in ("_conflicts_", "_lacks_")
    }


def chosen(choices: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """The chosen names of groups, as :func:`reference_of` takes them."""
    return tuple((group, str(choice)) for group, choice in sorted(choices.items()) if group != OVERLAY)
