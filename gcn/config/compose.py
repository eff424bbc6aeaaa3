"""Composition of a configuration by Hydra from command-line overrides, once for the same choices of groups."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gcn.cli.quoting import value
from gcn.config import exchange
from gcn.config.hydra_errors import one_line_errors
from gcn.config.offered import TRAIN, Root, groups, knobs, stamp
from gcn.config.override_words import is_hydras, key_of, refuse_what_no_job_may_say
from gcn.config.resolution import changed, plain, read_override, with_settings
from gcn.config.several import chosen_lists
from gcn.config.sources import Read, load, noting, register, unchanged
from gcn.schema.conf_folder import CONF
from gcn.schema.plugins import NONE, Extension

PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
PLAIN_KEY = re.compile(r"\w+(\.\w+)*")

register()


def search_path(root: Root, folders: Sequence[Path] = ()) -> list[str]:
    """Hydra's override for the search path, where the root or the user has folders beside ``conf/``."""
    folders = [*root.folders[1:], *folders]
    return [f"hydra.searchpath=[{','.join(value(folder) for folder in folders)}]"] if folders else []


def declare(own: Extension = NONE) -> None:
    """Register the knobs and the run folder's name with Hydra, in place of those of another extension."""
    ConfigStore.instance().repo["knobs.yaml"] = _knobs_node(own)
    OmegaConf.register_new_resolver("stamp", stamp, replace=True)


@cache
def _knobs_node(own: Extension) -> ConfigNode:
    """The knobs' values and options as ``ConfigStore.store`` keeps them, which takes as long as ten other nodes."""
    known = knobs(own)
    node: dict[str, Any] = {name: knob.start for name, knob in known.items()}
    node["terms"] = {name: knob.node for name, knob in known.items() if knob.node is not None}
    return ConfigNode(
        "knobs.yaml", OmegaConf.structured(node), group=None, package="_global_", provider="gcn"
    )


class Composition(NamedTuple):
    """The composed configuration of one job."""

    values: dict[str, Any]
    choices: dict[str, str | None]  # of the groups
    run: str  # folder of a single run
    sweep: str  # folder of a sweep …
    job: str  # … and of this job in it


def compose(words: Sequence[str], own: Extension = NONE, number: int = 0, root: Root = TRAIN) -> Composition:
    """Compose one job. Unknown keys pass here and are refused later, with similar names.

    Args:
        words: as :func:`normal` leaves them.
        own: what the user adds.
        number: of the job in a sweep.
        root: whose configuration.
    """
    offered = groups(root, own)
    with one_line_errors():
        overrides = [read_override(word) for word in words]
    for override in overrides:
        refuse_what_no_job_may_say(override, offered, root)
    with one_line_errors():
        quickly = _composed_from_base(overrides, offered, number, root, own)
    if quickly is not None:
        return quickly
    # ++ lets unknown keys pass, but must not stand before a choice
    forced = [word if is_hydras(word) or key_of(word) in offered else f"++{word}" for word in words]
    cfg = composed_by_hydra([*forced, *search_path(root, own.folders)], root, own)
    with one_line_errors():
        cfg.hydra.job.num = number
        return _composition(cfg, _choices(cfg, words), cfg)


def composed_by_hydra(words: Sequence[str], root: Root, own: Extension = NONE) -> DictConfig:
    """Hydra's own composition of overrides, with its node ``hydra``; errors are of one line."""
    declare(own)
    with one_line_errors(), _composing():
        cfg = hydra_compose(root.name, list(words), return_hydra_config=True)
        OmegaConf.set_struct(cfg, False)
    return cfg


def _choices(cfg: DictConfig, words: Sequence[str]) -> dict[str, str | None]:
    chosen = {key: v for key, v in cfg.hydra.runtime.choices.items() if not key.startswith("hydra/")}
    return chosen | dict(chosen_lists(words))


def _composition(cfg: DictConfig, choices: Mapping[str, str | None], places: DictConfig) -> Composition:
    """Plain values of a composed configuration; ``places`` has the node ``hydra``, which is none of them."""
    folders = _folders(places)
    cfg.pop("hydra", None)
    return Composition(plain(cfg), dict(choices), *folders)


def _folders(places: DictConfig) -> tuple[str, str, str]:
    hydra = places.hydra
    return str(hydra.run.dir), str(hydra.sweep.dir), str(hydra.sweep.subdir)


class _Base(NamedTuple):
    """What Hydra makes of choices alone; with other words, their values are put into a copy of it.

    Attributes:
        cfg: the DictConfig without the node ``hydra``, pickled, for copy.deepcopy takes four times as long.
        choices: the name that is chosen in each group.
        places: of the node ``hydra``, that of which the folders of a run are made, references unresolved; pickled.
        files: that were read for it.
    """

    cfg: bytes
    choices: dict[str, str | None]
    places: bytes
    files: frozenset[Read] = frozenset()


_bases: dict[tuple[Root, Extension, tuple[Path, ...], tuple[str, ...]], _Base] = {}


def _base(chosen: tuple[str, ...], root: Root, own: Extension = NONE) -> _Base:
    """The composition of choices alone, which is made once in a process; errors are those of Hydra.

    As with the knobs, a process reads ``conf/`` once; what came from a user's folder is made again when a file changes.
    """
    folders = own.folders
    base = _bases.get((root, own, folders, chosen))
    if base is None or (folders and not unchanged(base.files)):
        with noting() as files:
            made = _exchanged(chosen, root, own) or _base_of_hydra(chosen, root, own)
        base = _bases[root, own, folders, chosen] = made._replace(files=made.files | files)
        named = tuple(
            f"{group}={choice}" for group, choice in sorted(base.choices.items()) if choice is not None
        )
        if not any(map(is_hydras, chosen)):
            _bases[root, own, folders, named] = base  # as a reference names them, see gcn.config.parse
    return base


def _exchanged(chosen: tuple[str, ...], root: Root, own: Extension) -> _Base | None:
    """The base of choices, from that of the defaults; None where Hydra must make it."""
    said = dict(word.partition("=")[::2] for word in chosen)
    if not said or len(said) < len(chosen) or any(map(is_hydras, said)) or not _exchangeable(root):
        return None
    default = _base((), root, own)
    changed = {group: choice for group, choice in said.items() if choice != default.choices[group]}
    cfg = pickle.loads(default.cfg)
    for group, choice in changed.items():
        node = exchange.node(group, choice, (*root.folders, *own.folders))
        if node is None or OmegaConf.select(load(root.file)[0], group):  # where the root adds to the node
            return None
        cfg[group] = node
    return default._replace(cfg=pickle.dumps(cfg), choices={**default.choices, **changed})


@cache
def _exchangeable(root: Root) -> bool:
    """Whether no default choice sets anything outside of its own node."""
    return exchange.apart(_base((), root).choices, root.folders)


def _base_of_hydra(chosen: tuple[str, ...], root: Root, own: Extension) -> _Base:
    cfg = composed_by_hydra([*chosen, *search_path(root, own.folders)], root, own)
    choices = _choices(cfg, chosen)
    hydra = OmegaConf.to_container(cfg.pop("hydra"), resolve=False)
    assert isinstance(hydra, dict)
    places = {"run": {"dir": hydra["run"]["dir"]}, "sweep": hydra["sweep"]}
    return _Base(pickle.dumps(cfg), choices, pickle.dumps(places))


def _composed_from_base(
    overrides: Sequence[Override], offered: Mapping[str, Any], number: int, root: Root, own: Extension
) -> Composition | None:
    """The composition from that of its choices; ``None`` where Hydra must compose it, or say what is wrong."""
    chosen, settings, folders = [], [], []
    for override in overrides:
        name = override.key_or_group
        if name in offered:
            chosen.append(str(override.input_line))
        elif name in PLACES and override.type is OverrideType.CHANGE and isinstance(override.value(), str):
            folders.append(override)
        elif is_hydras(str(override.input_line)) or not PLAIN_KEY.fullmatch(name) or name == "hydra":
            return None
        else:
            settings.append(override)
    base = _base(tuple(chosen), root, own)
    try:
        if folders:
            places = _folders(with_settings(_places(base.places, number), folders))
        else:
            places = _own_folders(base.places, number, stamp())
        return Composition(changed(base.cfg, settings), dict(base.choices), *places)
    except OmegaConfBaseException:
        return None  # a folder named after a value, or something wrong, which Hydra explains


def _places(places: bytes, number: int) -> DictConfig:
    return OmegaConf.create({"hydra": {**pickle.loads(places), "job": {"num": number}}})


@lru_cache(maxsize=512)
def _own_folders(places: bytes, number: int, _stamp: str) -> tuple[str, str, str]:
    """The folders of a job where no word names them."""
    return _folders(_places(places, number))


@contextmanager
def _composing() -> Iterator[None]:
    """Use Hydra's composition in the block; a running Hydra application is set aside meanwhile."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings(), initialize_config_dir(str(CONF), version_base="1.3"):
            warnings.simplefilter("error", UserWarning)  # a folder of hydra.searchpath that does not exist
            yield
    finally:
        GlobalHydra.instance().hydra = running
