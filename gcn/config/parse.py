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
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf._utils import OmegaConfDumper

from gcn.cli.quoting import word as word_of
from gcn.config.compose import Composition, compose
from gcn.config.conflicts import Configured, conflicts
from gcn.config.destinations import LOGGER, refuse_forgotten, refuse_unsaid
from gcn.config.lightning_words import CALLBACKS, NO_CALLBACK
from gcn.config.offered import TRAIN, Root, groups, knobs, taken
from gcn.config.override_words import is_hydras, key_of, normal
from gcn.config.reference import Reference, chosen, reference_of, without_remarks
from gcn.config.several import names as single
from gcn.config.stored import FILE, OVERLAY, checked_choices, completed, started_in, stored, stored_text
from gcn.errors import InputError, NotNamed
from gcn.files.atomic import write_text
from gcn.files.names import printable
from gcn.schema.fields import Field, at, paths, put
from gcn.schema.plugins import FOLDER, NONE, SETTING, Extension, extension, named, stored_words

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
    CALLBACKS,
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


def parse(words: Sequence[str], config_dir: str | None = None, root: Root = TRAIN) -> Config:
    """The checked configuration of one run.

    Args:
        words: the words of the command line, ``loss=ns``, ``+mse=1``, ``plugins=[mypackage]``, …
        config_dir: a further folder of configurations (Hydra's ``--config-dir``).
        root: whose configuration, that of training or that of the lab.

    Raises:
        InputError: one line that says what is wrong and what to do.
    """
    return plan(words, config_dir, root=root).config


def plan(words: Sequence[str], config_dir: str | None = None, number: int = 0, root: Root = TRAIN) -> Planned:
    """The checked configuration, see :func:`parse`, with its folders; ``number`` is that of the job in a sweep."""
    names, words = named(normal(words))
    added, own = extension(names, config_dir), words
    if _resumes(words):
        _refuse_changes(words)
        own = [word for word in words if not is_of_the_runs_choice(word)]
    composition = compose(
        own, added, number, root
    )  # what is said of the data holds for the run's own kind of data
    cfg, folder = check(composition, added, root), Path(composition.run)
    if cfg.get("resume") is not None:
        folder = Path(cfg.resume)
        if Path(composition.run) != folder and any(key_of(word) == "hydra.run.dir" for word in words):
            raise InputError("out: a resumed run stays in its folder; drop it, or drop resume")
        cfg = _resumed(folder, words, added)
    return Planned(cfg, folder, Path(composition.sweep), Path(composition.sweep, composition.job))


def is_of_the_runs_choice(word: str) -> bool:
    """Whether an override of a resumed run is about the data or the logger, whose kind the run folder says."""
    return key_of(word).startswith(("data.", "logger."))


def _resumes(words: Sequence[str]) -> bool:
    return any(key_of(word) == "resume" and word not in ("resume=", "resume=null") for word in words)


def check(composition: Composition, own: Extension = NONE, root: Root = TRAIN) -> Config:
    """The checked configuration of a composition; raises InputError for unknown names and wrong values."""
    choices = composition.choices
    reference = reference_of(chosen(choices), own, root)
    if composition.values.get(SETTING):
        raise InputError(f"{SETTING}: only the command line can name plugins; drop it from the file")
    content = _configured(composition.values, choices, reference)
    _locate(content, reference.fields, Path())
    return Config(content)


def _configured(
    values: Mapping[str, Any], choices: Mapping[str, str | None], reference: Reference
) -> dict[str, Any]:
    """Checked values with the choices, and with options of those knobs only that are switched on."""
    settings = reference.check(values)
    configured = Configured(settings, choices, reference.knobs)
    for conflict in conflicts(configured):
        conflict.refuse(configured)
    content = without_remarks(settings)
    if at(content, "data.split") == "seed":  # as a number, so that a run folder's data need nothing else
        put(content, "data.split", content["seed"])
    content["terms"] = {name: node for name, node in content["terms"].items() if configured.present(name)}
    content["choices"] = dict(sorted(choices.items()))
    return content | reference.own.settings


def _locate(content: dict[str, Any], fields: Mapping[str, Field], base: Path) -> None:
    """Make paths absolute that exist below ``base``, so that they are the same from any working directory."""
    for name, field in fields.items():
        value = at(content, name)
        if field.type == "path" and isinstance(value, str):
            place = os.path.abspath(base / Path(value).expanduser())
            if os.path.exists(place):
                put(content, name, place)


def may_change(name: str) -> bool:
    """Whether a setting may be given anew when a run goes on, because it changes no number."""
    return bool({name, name.partition(".")[0]} & set(RESUMABLE))


def _refuse_changes(words: Sequence[str]) -> None:
    for word in words:
        if not is_hydras(word) and not may_change(key_of(word)):
            allowed = ", ".join(key for key in RESUMABLE if key != "resume")
            raise InputError(f"{word}: a resumed run keeps its configuration; only {allowed} may change")


def _resumed(folder: Path, words: Sequence[str], own: Extension) -> Config:
    """The configuration stored in a run folder, with the changes of the user's overrides."""
    content = load(folder, own=own).plain()
    refuse_forgotten(stored(folder), words, printable(folder), own)
    refuse_unsaid(content, words, printable(folder))
    said = {key_of(word) for word in words}
    kind = [f"{group}={content['choices'][group]}" for group in groups() if group in RESUMABLE]
    if any(key.startswith("data.") for key in said):
        kind.append(f"data={content['choices']['data']}")
        if "root" in content["data"]:  # required
            kind.append(word_of("data.root", content["data"]["root"]))
    before = check(compose(kind, own), own).plain()
    after = check(compose([*kind, *words], own), own).plain()
    for group in groups():
        if after["choices"][group] != before["choices"][group] or (group == LOGGER and group in said):
            content[group] = after[group]
    for name in paths(after):
        if name in said or at(after, name) != at(before, name):
            put(content, name, at(after, name))
    return Config(content | {CALLBACKS: after[CALLBACKS]})


def save(config: Config, folder: Path) -> None:
    """Write ``config.yaml`` into a run folder, all or nothing."""
    write_text(folder / FILE, as_text(config), sync=True)


def as_text(config: Config) -> str:
    """The configuration as the text of ``config.yaml``."""
    content = {key: value for key, value in config.plain().items() if key != "run_dir"} | {"resume": None}
    return str(
        yaml.dump(content, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
    )


class _Dumper(yaml.SafeDumper):
    """Writes plain values as ``OmegaConf.to_yaml``, which makes nodes of them first and takes three times as long."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, OmegaConfDumper.str_representer)


def load(folder: Path, only: str | None = None, own: Extension = NONE) -> Config:
    """The configuration that :func:`save` wrote into a run folder; the folder is untrusted.

    Its values are held to the same declarations as the words of a command line; classes are those that ``conf/`` has
    for the run's choices.

    Args:
        folder: the run folder.
        only: a group of choices; nothing else is checked or returned.
        own: what the user adds, where the run has something of it. What the folder says about that is not used.

    Raises:
        NotNamed: something that gcn does not have, in a run that says that it was started with plugins.
        InputError: no run folder, or a configuration that no run of this project has.
    """
    return _load(stored(folder), printable(folder / FILE), started_in(folder), only, own)


def load_text(text: str, shown: str, own: Extension = NONE) -> Config:
    """The configuration that :func:`as_text` wrote into a checkpoint, which is untrusted; see :func:`load`.

    Args:
        text: what the checkpoint holds.
        shown: names it in errors.
        own: what the user adds, where the training has something of it.
    """
    return _load(stored_text(text, shown), shown, Path(), None, own)


def _load(said: dict[str, Any], file: str, base: Path, only: str | None, own: Extension) -> Config:
    choices, once = said.pop("choices"), stored_words(said)
    for name in (SETTING, FOLDER):
        said.pop(name, None)
    choices, said[CALLBACKS] = {**choices, CALLBACKS: NO_CALLBACK}, {}
    try:
        return _loaded(said, file, base, choices, only, own)
    except InputError as problem:
        reason = f"{file}: {printable(str(problem))[:300]}"
        given = stored_words(own.settings) if _is_foreign(said, choices, own) else once
        missing = [word for word in once if word not in given and not (_is_flag(word) and own.config_dir)]
        if missing:
            raise NotNamed(reason, missing) from None
        raise InputError(reason) from None


def _loaded(
    said: dict[str, Any], file: str, base: Path, choices: Mapping[str, Any], only: str | None, own: Extension
) -> Config:
    if only is None:
        named = checked_choices(choices, own)
        reference = reference_of(chosen(named), own, TRAIN)
        said[SETTING] = list(own.packages)
        content = _configured(completed(file, said, reference.values), named, reference)
        _locate(content, reference.fields, base)
        return Config(content)
    choice = checked_choices({only: choices.get(only)}, own)
    reference = reference_of(((only, str(choice[only])),), own, TRAIN).part(only)
    values = completed(file, {only: said.get(only)}, reference.values)
    return Config(without_remarks(reference.check(values)) | own.settings)


def _is_foreign(said: Mapping[str, Any], choices: Mapping[str, Any], own: Extension) -> bool:
    """Whether a stored configuration has choices or names that neither gcn nor the user's folders have."""
    offered = groups(TRAIN, own)
    strange = set(map(str, said)) - taken() - set(offered) - set(knobs(own))
    return bool(strange) or any(
        name not in offered[g]
        for g in offered
        if g in choices and g != OVERLAY
        for name in single(choices[g])
    )


def _is_flag(word: str) -> bool:
    return word.startswith("--")
