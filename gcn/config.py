"""From the words of a command line to a checked, plain configuration.

Hydra composes ``conf/``; this module makes sure that what comes out is what the user meant. It compares the composed
configuration with a *reference*, the same choices of groups without any value changed: a key that the reference does not
have is refused with the nearest names, a value must have the type of the reference's or obey its declaration
(:mod:`gcn.schema`), knobs obey their files (:mod:`gcn.knobs`), and combinations that cannot work are refused with the
reason that one of their sides states. All of that happens before any data is read and without torch.

Keys that begin with an underscore belong to the authors of ``conf/``, never to the command line:

    _target_      the class, in gcn or torch
    _conflicts_   combinations to refuse, see :class:`Conflict`
    _lacks_       what a choice cannot offer to knobs that need it, with the reason
"""

import itertools
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gcn.errors import InputError
from gcn.knobs import ABSENT, PRESENT, Knob, scan
from gcn.schema import MISSING, Field, declarations, paths, show, suggestion

CONF = Path(__file__).resolve().parents[1] / "conf"
ROOT = "train"
OVERLAY = "experiment"  # the one group that changes other values instead of adding its own
TRUSTED = ("gcn.", "torch.")
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
)


class Config(dict[str, Any]):
    """A plain nested dictionary with attribute access: ``cfg.optim.g.lr``."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__({key: Config(v) if isinstance(v, Mapping) else v for key, v in content.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def plain(self) -> dict[str, Any]:
        """The same as built-in dictionaries, for checkpoints and files."""
        return {key: value.plain() if isinstance(value, Config) else value for key, value in self.items()}


@cache
def stamp() -> str:
    """Name of this process's run folder; runs that start in the same second differ in the last part."""
    return datetime.now().strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(3)


@cache
def knobs() -> dict[str, Knob]:
    """All knobs by name."""
    return scan(CONF)


@cache
def declare() -> None:
    """Tell Hydra about the knobs and the run folder's name."""
    node: dict[str, Any] = {name: knob.start for name, knob in knobs().items()}
    node["terms"] = {name: knob.node for name, knob in knobs().items() if knob.node is not None}
    ConfigStore.instance().store("knobs", node=node, package="_global_", provider="gcn")
    OmegaConf.register_new_resolver("stamp", stamp, replace=True)


class Composition(NamedTuple):
    """What Hydra makes of the words of one job."""

    values: dict[str, Any]
    choices: dict[str, str | None]  # of the groups
    run: str  # folder of a single run
    sweep: str  # folder of a sweep …
    job: str  # … and of this job in it


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Hydra's and OmegaConf's many ways to say no, as :class:`InputError`."""
    try:
        yield
    except MissingConfigException as error:
        raise InputError(_no_such_choice(error.missing_cfg_file or "", error.options, str(error))) from None
    except OverrideParseException as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(
            f"{error.override}: {reason}; write key=value and quote special characters"
        ) from None
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
        text = str(error) if error.__cause__ is None else f"{error} {error.__cause__}"
        raise InputError(" ".join(text.split())) from None


def _no_such_choice(name: str, options: Sequence[str] | None, otherwise: str) -> str:
    group, _, choice = name.rpartition("/")
    if not options:
        return " ".join(otherwise.split())
    return f"{group}={choice}: no such choice; {suggestion(choice, options)} (choices: {', '.join(sorted(options))})"


def normal(overrides: Sequence[str]) -> list[str]:
    """Drop the ``+`` and ``++`` before a key.

    Every key is declared, so there is nothing to append to: ``+mse=1``, ``++mse=1`` and ``mse=1`` mean the same. Hydra
    itself refuses ``+mse=1`` where mse already has a value. Its own keys (``+hydra.…``) stay as they are.
    """
    return [word if word.lstrip("+").startswith("hydra") else word.lstrip("+") for word in overrides]


def groups(conf: Path = CONF) -> dict[str, list[str]]:
    """The groups of choices, without the folder of the knobs."""
    folders = sorted(path for path in conf.iterdir() if path.is_dir() and path.name != "term")
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def compose(overrides: Sequence[str], extra: str | None = None, number: int = 0) -> Composition:
    """Let Hydra compose; unknown keys pass, so that :func:`check` can refuse them with their nearest names.

    Args:
        overrides: as :func:`normal` leaves them.
        extra: a further folder of configurations (Hydra's ``--config-dir``).
        number: of the job in a sweep.
    """
    declare()
    known = {*groups(), *(groups(Path(extra)) if extra else ())}
    words = [word if _key(word).partition("@")[0] in known else _forced(word) for word in overrides]
    if extra:
        words.append(f"hydra.searchpath=[{quoted(str(Path(extra).resolve()))}]")
    with one_line_errors(), initialize_config_dir(str(CONF), job_name=ROOT, version_base="1.3"):
        cfg = hydra_compose(ROOT, words, return_hydra_config=True)
        cfg.hydra.job.num = number
        choices = {key: v for key, v in cfg.hydra.runtime.choices.items() if not key.startswith("hydra")}
        folders = str(cfg.hydra.run.dir), str(cfg.hydra.sweep.dir), str(cfg.hydra.sweep.subdir)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    return Composition({str(key): value for key, value in dict(values).items()}, choices, *folders)


def _key(word: str) -> str:
    return word.partition("=")[0]


def _forced(word: str) -> str:
    return word if word.startswith(("hydra", "~", "+")) else f"++{word}"


def quoted(text: str) -> str:
    """Text as a value that Hydra's grammar takes literally."""
    return "'" + text.replace("'", "\\'") + "'"


class Plan(NamedTuple):
    """A checked run."""

    config: Config
    folder: Path  # of a single run
    sweep: Path  # of a sweep …
    job: Path  # … and of this job in it


def parse(overrides: Sequence[str], extra: str | None = None) -> Config:
    """The checked configuration of one run.

    Args:
        overrides: the words of the command line, ``loss=ns``, ``+mse=1``, …
        extra: a further folder of configurations (Hydra's ``--config-dir``).

    Raises:
        InputError: one line that says what is wrong and what to do.
    """
    return plan(overrides, extra).config


def plan(overrides: Sequence[str], extra: str | None = None, number: int = 0) -> Plan:
    """:func:`parse`, with the folders that Hydra will use; ``number`` is that of the job in a sweep."""
    overrides = normal(overrides)
    composition = compose(overrides, extra, number)
    cfg = check(composition, extra)
    folder = Path(composition.run)
    if cfg.resume is not None:
        folder = Path(cfg.resume)
        if any(_key(word) == "hydra.run.dir" for word in overrides):
            raise InputError(
                "hydra.run.dir with resume: a resumed run stays in its folder; drop hydra.run.dir"
            )
        cfg = _resumed(load(folder), overrides, extra)
    return Plan(cfg, folder, Path(composition.sweep), Path(composition.sweep, composition.job))


def _resumed(stored: Config, overrides: Sequence[str], extra: str | None) -> Config:
    """The stored configuration, with what the user's words change in a configuration of the same kind."""
    words = [word for word in overrides if not word.startswith("hydra")]
    for word in words:
        if _key(word).partition(".")[0] not in RESUMABLE:
            allowed = ", ".join(key for key in RESUMABLE if key != "resume")
            raise InputError(f"{word}: a resumed run keeps its configuration; only {allowed} may change")
    kind = [f"{group}={stored.choices[group]}" for group in groups() if group in RESUMABLE]
    before, after = (check(compose(list_, extra), extra).plain() for list_ in (kind, [*kind, *words]))
    result = stored.plain()
    for group in groups():
        if after["choices"][group] != before["choices"][group]:
            result[group], result["choices"][group] = after[group], after["choices"][group]
    said = {_key(word) for word in words}
    for name in paths(after):
        value = _at(after, name)
        if name in said or value != _at(before, name):
            _put(result, name, value)
    return Config(result)


def _at(tree: Mapping[str, Any], name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    *parents, leaf = name.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[leaf] = value


def check(composition: Composition, extra: str | None = None) -> Config:
    """Hold a composition against its reference; see the module's docstring."""
    values, choices = composition.values, composition.choices
    starting = _reference((), extra)
    for group in starting.choices:
        if group != OVERLAY and not isinstance(choices.get(group), str):
            raise InputError(
                f"{group}={show(choices.get(group))}: takes exactly one choice of {', '.join(groups()[group])}"
            )
    reference = _reference(tuple(f"{k}={v}" for k, v in sorted(choices.items()) if k != OVERLAY), extra)
    fields = _declared(choices, extra)
    settings = _checked(values, reference.values, fields, "", [*paths(reference.values), *choices])
    _refuse_conflicts(settings, choices)
    return _pruned(settings, choices)


@cache
def _reference(choices: tuple[str, ...], extra: str | None) -> Composition:
    return compose(choices, extra)


def _declared(choices: Mapping[str, str | None], extra: str | None) -> dict[str, Field]:
    fields = declarations(CONF / f"{ROOT}.yaml")
    for group, choice in choices.items():
        if group != OVERLAY:
            for path in _lineage(group, str(choice), extra):
                fields |= {f"{group}.{name}": field for name, field in declarations(path).items()}
    for name, knob in knobs().items():
        fields |= {f"terms.{name}.{option}": field for option, field in knob.declared.items()}
    return fields


def _lineage(group: str, choice: str, extra: str | None) -> list[Path]:
    """The file of a choice, after those that it builds on."""
    for root in [CONF, *([Path(extra)] if extra else [])]:
        path = root / group / f"{choice}.yaml"
        if path.exists():
            bases = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
            names = [base for base in bases if isinstance(base, str) and base != "_self_"]
            return [*itertools.chain(*(_lineage(group, name, extra) for name in names)), path]
    return []


def _checked(
    values: Mapping[str, Any],
    reference: Mapping[str, Any],
    fields: Mapping[str, Field],
    at: str,
    known: list[str],
) -> dict[str, Any]:
    for key in values:
        if key not in reference:
            name = f"{at}{key}"
            if key.startswith("_"):
                raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
            raise InputError(f"{name}: unknown; {suggestion(name, known)}")
    checked = {}
    for key, default in reference.items():
        name = f"{at}{key}"
        if key not in values:
            raise InputError(
                f"{name}: cannot be deleted" + ("; null switches it off" if name in knobs() else "")
            )
        value = values[key]
        if key.startswith("_"):
            if value != default:
                raise InputError(f"{name}: belongs to the files in conf/ and cannot be set")
            if key == "_target_" and default is not None and not str(default).startswith(TRUSTED):
                raise InputError(f"{name}={default}: only classes of {' and '.join(TRUSTED)} may be built")
            checked[key] = value
        elif isinstance(default, dict):
            if not isinstance(value, dict):
                raise InputError(
                    f"{name}={show(value)}: holds {', '.join(default) or 'nothing'}; set one of these"
                )
            checked[key] = _checked(value, default, fields, f"{name}.", known)
        elif name in knobs():
            checked[key] = knobs()[name].check(value)
        else:
            field = fields[name].beside(default) if name in fields else Field.like(default)
            if value == MISSING:
                raise InputError(
                    f"{name}: is required, {name}=…" + (f" ({field.help})" if field.help else "")
                )
            checked[key] = field.check(name, value)
    return checked


@dataclass(frozen=True)
class Conflict:
    """A combination that cannot work: it is refused if all of ``conditions`` hold.

    A condition names a knob (``present``, ``absent`` or a value), a group (a choice) or any dotted setting (a value, a
    list of values, or a range such as ``"> 1"``).
    """

    owner: str | None
    conditions: Mapping[str, Any]
    because: str

    def message(self, settings: Mapping[str, Any], choices: Mapping[str, Any]) -> str:
        """What the user reads."""
        names = list(dict.fromkeys([*([self.owner] if self.owner else []), *self.conditions]))
        said = [f"{name}={show(_value(name, settings, choices))}" for name in names]
        return f"{' '.join(said)}: {self.because}"

    def holds(self, settings: Mapping[str, Any], choices: Mapping[str, Any]) -> bool:
        """Whether the configuration is of this kind."""
        return all(_matches(name, wanted, settings, choices) for name, wanted in self.conditions.items())


def _value(name: str, settings: Mapping[str, Any], choices: Mapping[str, Any]) -> Any:
    return choices[name] if name in choices else _at(settings, name)


def _matches(name: str, wanted: Any, settings: Mapping[str, Any], choices: Mapping[str, Any]) -> bool:
    value = _value(name, settings, choices)
    if isinstance(wanted, list):
        return any(_matches(name, one, settings, choices) for one in wanted)
    if name in knobs() and wanted in (PRESENT, ABSENT):
        return knobs()[name].present(value) == (wanted == PRESENT)
    if isinstance(wanted, str) and wanted[:1] in ("<", ">"):
        return Field.parse(wanted).accepts(value)
    return bool(value == wanted)


def conflicts(settings: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Conflict]:
    """All conflicts that the present knobs, the chosen options and the root declare."""
    lacking = []
    for owner, node in [(None, settings), *((group, settings.get(group)) for group in choices)]:
        if isinstance(node, Mapping):
            for entry in node.get("_conflicts_", []):
                yield Conflict(owner, entry["with"], entry["because"])
            lacking += [(owner, what, because) for what, because in node.get("_lacks_", {}).items()]
    for name, knob in knobs().items():
        if knob.present(settings.get(name)):
            for entry in knob.conflicts:
                yield Conflict(name, entry["with"], entry["because"])
            for owner, what, because in lacking:
                if knob.needs == what:
                    yield Conflict(name, {str(owner): _value(str(owner), settings, choices)}, because)


def _refuse_conflicts(settings: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    for conflict in conflicts(settings, choices):
        if conflict.holds(settings, choices):
            raise InputError(conflict.message(settings, choices))


def _pruned(settings: Mapping[str, Any], choices: Mapping[str, str | None]) -> Config:
    """Without the authors' remarks and without the options of knobs that are not there."""

    def clean(node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        return {key: clean(value) for key, value in node.items() if key not in ("_conflicts_", "_lacks_")}

    content = clean(settings)
    content["terms"] = {
        name: node for name, node in content["terms"].items() if knobs()[name].present(content[name])
    }
    content["choices"] = dict(sorted(choices.items()))
    return Config(content)


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job of a sweep, in Hydra's order; sweeps over intervals are left to their sweeper."""
    with one_line_errors():
        axes: dict[str, list[str]] = {}
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            key = override.get_key_element()
            if not override.is_sweep_override():
                axes[key] = [f"{key}={override.get_value_element_as_str()}"]
            elif override.is_discrete_sweep():
                axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [list(words) for words in itertools.product(*axes.values())]


def save(config: Config, folder: Path) -> None:
    """Write ``config.yaml`` into a run folder, all or nothing."""
    content = {key: value for key, value in config.plain().items() if key != "run_dir"}
    part = folder / "config.yaml.part"
    part.write_text(OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")
    os.replace(part, folder / "config.yaml")


def load(folder: Path) -> Config:
    """The configuration that :func:`save` wrote into a run folder."""
    path = folder / "config.yaml"
    if not path.exists():
        raise InputError(f"{folder}: no run folder, for it holds no config.yaml")
    with one_line_errors():
        content = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(content, dict) or "choices" not in content:
        raise InputError(f"{path}: not the configuration of a run")
    return Config({str(key): value for key, value in content.items()})
