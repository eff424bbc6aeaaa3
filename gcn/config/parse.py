"""From the overrides of a command line to a checked, plain configuration.

Hydra composes ``conf/``; this module makes sure that what comes out is what the user meant. It compares the
composed values with a *reference*, the same choices of groups without any value changed: a key that the
reference does not have is refused with the nearest names, a value must be of the default's type or obey its
declaration (:mod:`gcn.schema.fields`), knobs obey their files (:mod:`gcn.config.knobs`), and combinations that
cannot work are refused with the reason that one of their sides states (:mod:`gcn.config.conflicts`). All of that
happens without torch.

Keys that begin with an underscore (``_target_``, ``_conflicts_``, ``_lacks_``) belong to the authors of
``conf/`` and cannot be set from outside.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf

from gcn.cli.quoting import word as word_of
from gcn.config.compose import (
    TRAIN,
    Composition,
    Root,
    compose,
    groups,
    is_hydras,
    key_of,
    knobs,
    normal,
)
from gcn.config.conflicts import Configured, conflicts
from gcn.config.stored import FILE, OVERLAY, checked_choices, completed, started_in, stored
from gcn.errors import InputError
from gcn.files.atomic import write_text
from gcn.files.names import printable
from gcn.schema.fields import MISSING, Field, at, declarations, paths, put, show, suggestion
from gcn.schema.kinds import check_name

RESUMABLE = (
    "steps",
    "devices",
    "trainer",
    "logger",
    "log_every",
    "val_every",
    "panel_every",
    "checkpoint_every",
    "resume",
    "data.root",
    "data.val_root",
    "data.workers",
    "data.cache_bytes",
)  # fmt: skip; options that change no number


class Config(dict[str, Any]):
    """Nested dictionary with attribute access: ``cfg.optim.g.lr``.

    It holds the settings, the knobs, a node for each group, ``terms`` (the options of the knobs that are
    present) and ``choices`` (the name that was chosen in each group).
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__({key: Config(v) if isinstance(v, Mapping) else v for key, v in content.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def plain(self) -> dict[str, Any]:
        """The configuration as built-in dictionaries, for checkpoints and files."""
        return {key: value.plain() if isinstance(value, Config) else value for key, value in self.items()}


class Planned(NamedTuple):
    """A checked configuration with its run folder."""

    config: Config
    folder: Path  # of a single run
    sweep: Path  # of a sweep …
    job: Path  # … and of this job in it


def parse(words: Sequence[str], extra: str | None = None, root: Root = TRAIN) -> Config:
    """The checked configuration of one run.

    Args:
        words: the words of the command line, ``loss=ns``, ``+mse=1``, …
        extra: a further folder of configurations (Hydra's ``--config-dir``).
        root: whose configuration, that of training or that of the lab.

    Raises:
        InputError: one line that says what is wrong and what to do.
    """
    return plan(words, extra, root=root).config


def plan(words: Sequence[str], extra: str | None = None, number: int = 0, root: Root = TRAIN) -> Planned:
    """The checked configuration, see :func:`parse`, with its folders; ``number`` is that of the job in a sweep."""
    words = normal(words)
    own = words
    if _resumes(words):
        _refuse_changes(words)
        own = [word for word in words if not key_of(word).startswith("data.")]
    composition = compose(
        own, extra, number, root
    )  # what is said of the data holds for the run's own kind of data
    cfg, folder = check(composition, extra, root), Path(composition.run)
    if cfg.get("resume") is not None:
        folder = Path(cfg.resume)
        if Path(composition.run) != folder and any(key_of(word) == "hydra.run.dir" for word in words):
            raise InputError("out: a resumed run stays in its folder; drop it, or drop resume")
        cfg = _resumed(folder, words, extra)
    return Planned(cfg, folder, Path(composition.sweep), Path(composition.sweep, composition.job))


def _resumes(words: Sequence[str]) -> bool:
    return any(key_of(word) == "resume" and word not in ("resume=", "resume=null") for word in words)


def check(composition: Composition, extra: str | None = None, root: Root = TRAIN) -> Config:
    """The checked configuration of a composition; raises InputError for unknown names and wrong values."""
    choices = composition.choices
    reference = _reference(_chosen(choices), extra, root)
    content = _configured(composition.values, choices, reference)
    _locate(content, reference.fields, Path())
    return Config(content)


def _configured(
    values: Mapping[str, Any], choices: Mapping[str, str | None], reference: "Reference"
) -> dict[str, Any]:
    """Checked values with the choices, and with options of those knobs only that are switched on."""
    settings = reference.check(values)
    configured = Configured(settings, choices, knobs())
    for conflict in conflicts(configured):
        conflict.refuse(configured)
    content = _without_remarks(settings)
    if at(content, "data.split") == "seed":  # as a number, so that a run folder's data need nothing else
        put(content, "data.split", content["seed"])
    content["terms"] = {name: node for name, node in content["terms"].items() if configured.present(name)}
    content["choices"] = dict(sorted(choices.items()))
    return content


def _chosen(choices: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((group, str(choice)) for group, choice in sorted(choices.items()) if group != OVERLAY)


def _locate(content: dict[str, Any], fields: Mapping[str, Field], base: Path) -> None:
    """Make paths absolute that exist below ``base``, so that they are the same from any working directory."""
    for name, field in fields.items():
        value = at(content, name)
        if field.type == "path" and isinstance(value, str):
            place = os.path.abspath(base / Path(value).expanduser())
            if os.path.exists(place):
                put(content, name, place)


@dataclass(frozen=True)
class Reference:
    """Default values of a choice of groups, and declarations of some of them by dotted name."""

    values: Mapping[str, Any]
    fields: Mapping[str, Field]

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values in their types; raises InputError for unknown names and values out of range."""
        return self._below("", values, self.values)

    def part(self, group: str) -> "Reference":
        """The part of the reference that belongs to one group."""
        return Reference({group: self.values[group]}, self.fields)

    def _below(self, above: str, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        for key in values:
            if key not in defaults:
                name = f"{above}{key}"
                if key.startswith("_"):
                    raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
                inside = next(paths(values[key], name), name) if isinstance(values[key], dict) else name
                raise InputError(
                    f"{inside}: unknown; {suggestion(inside, [*paths(self.values), *self.values])}"
                )
        scalars_first = sorted(defaults.items(), key=lambda item: isinstance(item[1], dict))
        return {key: self._value(f"{above}{key}", values[key], default) for key, default in scalars_first}

    def _value(self, name: str, value: Any, default: Any) -> Any:
        if name.rpartition(".")[2].startswith("_"):
            if value != default:
                raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
            if name.endswith("._target_") and value is not None:
                check_name(name.removesuffix("._target_"), value)
            return value
        if isinstance(default, dict):
            if not isinstance(value, dict):
                inside = ", ".join(f"{name}.{key}" for key in default if not key.startswith("_"))
                raise InputError(f"{name}={show(value)}: not a single value; set {inside}")
            return self._below(f"{name}.", value, default)
        if name in knobs():
            return knobs()[name].check(value)
        field = self.fields[name].beside(default) if name in self.fields else Field.like(default)
        if value == MISSING:
            raise InputError(
                f"{name}: is required; give {name}=…" + (f" ({field.help})" if field.help else "")
            )
        return field.check(name, value)


@cache
def _reference(chosen: tuple[tuple[str, str], ...], extra: str | None, root: Root) -> Reference:
    fields = declarations(root.file)
    for group, choice in chosen:
        for path in _lineage(group, choice, extra, root):
            inside = "" if _is_global(path) else f"{group}."
            fields |= {f"{inside}{name}": field for name, field in declarations(path).items()}
    for knob in knobs().values():
        fields |= {f"terms.{knob.name}.{option}": field for option, field in knob.declared.items()}
    words = [f"{group}={choice}" for group, choice in chosen]
    return Reference(compose(words, extra, root=root).values, fields)


def _is_global(path: Path) -> bool:
    """Whether a choice's file sets the whole configuration (Hydra's ``@package _global_``)."""
    return path.read_text(encoding="utf-8").startswith("# @package _global_")


def _lineage(group: str, choice: str, extra: str | None, root: Root) -> list[Path]:
    """The files of a choice in order of application: first those that its defaults list builds on."""
    for folder in [*root.folders, *([] if extra is None else [Path(extra)])]:
        path = folder / group / f"{choice}.yaml"
        if path.exists():
            defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
            bases = [base for base in defaults if isinstance(base, str) and base != "_self_"]
            return [*(found for base in bases for found in _lineage(group, base, extra, root)), path]
    return []


def _without_remarks(node: Any) -> Any:
    """The configuration without the entries that only its checks read, such as ``_conflicts_``."""
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without_remarks(value) for key, value in node.items() if key not in ("_conflicts_", "_lacks_")
    }


def _refuse_changes(words: Sequence[str]) -> None:
    for word in words:
        if not is_hydras(word) and not {key_of(word), key_of(word).partition(".")[0]} & set(RESUMABLE):
            allowed = ", ".join(key for key in RESUMABLE if key != "resume")
            raise InputError(f"{word}: a resumed run keeps its configuration; only {allowed} may change")


def _resumed(folder: Path, words: Sequence[str], extra: str | None) -> Config:
    """The configuration stored in a run folder, with the changes of the user's overrides."""
    content = load(folder, extra=extra).plain()
    said = {key_of(word) for word in words}
    kind = [f"{group}={content['choices'][group]}" for group in groups() if group in RESUMABLE]
    if any(key.startswith("data.") for key in said):
        kind.append(f"data={content['choices']['data']}")
        if "root" in content["data"]:  # required
            kind.append(word_of("data.root", content["data"]["root"]))
    before = check(compose(kind, extra), extra).plain()
    after = check(compose([*kind, *words], extra), extra).plain()
    for group in groups():
        if after["choices"][group] != before["choices"][group]:
            content[group] = after[group]
    for name in paths(after):
        if name in said or at(after, name) != at(before, name):
            put(content, name, at(after, name))
    return Config(content)


def save(config: Config, folder: Path) -> None:
    """Write ``config.yaml`` into a run folder, all or nothing."""
    content = {key: value for key, value in config.plain().items() if key != "run_dir"} | {"resume": None}
    write_text(folder / FILE, OmegaConf.to_yaml(OmegaConf.create(content)), sync=True)


def load(folder: Path, only: str | None = None, extra: str | None = None) -> Config:
    """The configuration that :func:`save` wrote into a run folder; the folder is untrusted.

    Its values are held to the same declarations as the words of a command line; classes are those that ``conf/`` has
    for the run's choices.

    Args:
        folder: the run folder.
        only: a group of choices; nothing else is checked or returned.
        extra: a further folder of configurations, where the run had one.

    Raises:
        InputError: no run folder, or a configuration that no run of this project has.
    """
    said = stored(folder)
    file, choices = printable(folder / FILE), said.pop("choices")
    try:
        if only is None:
            choices = checked_choices(choices, extra)
            reference = _reference(_chosen(choices), extra, TRAIN)
            content = _configured(completed(file, said, reference.values), choices, reference)
            _locate(content, reference.fields, started_in(folder))
            return Config(content)
        choices = checked_choices({only: choices.get(only)}, extra)
        reference = _reference(((only, str(choices[only])),), extra, TRAIN).part(only)
        values = completed(file, {only: said.get(only)}, reference.values)
        return Config(_without_remarks(reference.check(values)))
    except InputError as problem:
        raise InputError(f"{file}: {printable(str(problem))[:300]}") from None
