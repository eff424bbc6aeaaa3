"""Composition of a configuration by Hydra from command-line overrides, once for the same choices of groups."""

import pickle
import re
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gcn.cli.invocation import as_called
from gcn.cli.quoting import value
from gcn.config import exchange
from gcn.config.hydra_errors import one_line_errors
from gcn.config.knobs import Knob, scan
from gcn.config.resolution import changed, plain, read_override, with_settings
from gcn.config.several import GROUPS, chosen_lists, spelled
from gcn.config.sources import load, register
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import suggestion
from gcn.schema.plugins import FOLDER, NONE, Extension

PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
PLAIN_KEY = re.compile(r"\w+(\.\w+)*")
KNOBS = "knob"  # the folder of the knobs, which is no group of choices

register()


class Root(NamedTuple):
    """The configuration of one command: a file of ``conf/`` and the folders that hold its groups.

    Attributes:
        name: of the file and of the script.
        folders: where the groups are, later ones add choices to earlier ones.
        record: the file that ends a run.
        columns: what of it the summary of a sweep shows.
    """

    name: str
    folders: tuple[Path, ...]
    record: str
    columns: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Path of the root's yaml file."""
        return CONF / f"{self.name}.yaml"


TRAIN = Root("train", (CONF,), "summary.json", ("verdict", "psnr", "bpp"))
LAB = Root("lab", (CONF, CONF / "lab"), "lab.json", ("outcome", "converged", "rotation_index"))


@cache
def stamp() -> str:
    """Name of this process's run folder: time and a random part, so that runs of the same second differ."""
    return datetime.now().strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(3)


@cache
def knobs(own: Extension = NONE) -> dict[str, Knob]:
    """All knobs by name, those of the user's folders included; raises InputError for a name that is taken."""
    found = scan(CONF / KNOBS) if own == NONE else dict(knobs())
    for folder in own.folders:
        for name, knob in scan(folder / KNOBS).items():
            file = printable(folder / KNOBS / f"{name}.yaml")
            if name in found:
                raise InputError(f"{file}: there is a knob {name} already; rename the file")
            if name in taken():
                raise InputError(f"{file}: {name} is a word of the command line already; rename the file")
            found[name] = knob
    return dict(sorted(found.items()))


@cache
def taken() -> frozenset[str]:
    """Top-level names of the configurations but for knobs, so that no knob may have one of them."""
    files = [yaml.safe_load(root.file.read_text(encoding="utf-8")) for root in (TRAIN, LAB)]
    return frozenset(
        {"out", "objective", "choices", "run_dir", FOLDER}.union(
            *files, *(groups(root) for root in (TRAIN, LAB))
        )
    )


@cache
def groups(root: Root = TRAIN, own: Extension = NONE) -> dict[str, list[str]]:
    """Choices of each group that the root's defaults list names, from all its folders and the user's.

    A file whose name begins with an underscore is what several choices build on, and no choice itself.

    Raises:
        InputError: two folders have a choice of the same name, of which Hydra would use one without a word.
    """
    names = sorted(name for entry in _defaults(root) for name in entry if _is_group(root, name))
    found: dict[str, dict[str, Path]] = {name: {} for name in names}
    for folder in (*root.folders, *own.folders):
        for name in names:
            for path in sorted((folder / name).glob("*.yaml")):
                before = found[name].setdefault(path.stem, path)
                if before is not path and folder in own.folders:
                    raise InputError(
                        f"{printable(path)}: there is a {name}={path.stem} already, in {printable(before.parent)}; "
                        "rename the file"
                    )
    return {name: sorted(c for c in choices if not c.startswith("_")) for name, choices in found.items()}


def _is_group(root: Root, name: str) -> bool:
    return any((folder / name).is_dir() for folder in root.folders)


@cache
def _defaults(root: Root) -> list[dict[str, str | None]]:
    """The groups of a root's defaults list with their default choices."""
    defaults = yaml.safe_load(root.file.read_text(encoding="utf-8"))["defaults"]
    return [entry for entry in defaults if isinstance(entry, dict)]


def search_path(root: Root, folders: Sequence[Path] = ()) -> list[str]:
    """Hydra's override for the search path, where the root or the user has folders beside ``conf/``."""
    folders = [*root.folders[1:], *folders]
    return [f"hydra.searchpath=[{','.join(value(folder) for folder in folders)}]"] if folders else []


def declare(own: Extension = NONE) -> None:
    """Register the knobs and the run folder's name with Hydra, in place of those of another extension."""
    known = knobs(own)
    node: dict[str, Any] = {name: knob.start for name, knob in known.items()}
    node["terms"] = {name: knob.node for name, knob in known.items() if knob.node is not None}
    ConfigStore.instance().store("knobs", node=node, package="_global_", provider="gcn")
    OmegaConf.register_new_resolver("stamp", stamp, replace=True)


class Composition(NamedTuple):
    """The composed configuration of one job."""

    values: dict[str, Any]
    choices: dict[str, str | None]  # of the groups
    run: str  # folder of a single run
    sweep: str  # folder of a sweep …
    job: str  # … and of this job in it


def key_of(word: str) -> str:
    """Key of an override: ``optim.g.lr`` of ``optim.g.lr=1e-4``."""
    return word.partition("=")[0]


def hydra_key(word: str) -> str:
    """Key of an override without leading signs: ``hydra.mode`` of ``++hydra.mode=RUN``."""
    return key_of(word).lstrip("+~")


def is_hydras(word: str) -> bool:
    """Whether an override sets Hydra itself: ``hydra.run.dir=DIR``, ``hydra/launcher=joblib``."""
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def normal(words: Sequence[str]) -> list[str]:
    """The override without ``+`` or ``++`` before its key.

    Every key is declared, so there is nothing to append to: ``+mse=1``, ``++mse=1`` and ``mse=1`` mean the
    same. Hydra itself refuses ``+mse=1`` where mse has a value already.
    """
    return [word if is_hydras(word) else spelled(word.lstrip("+")) for word in words]


def refuse_doubled(words: Sequence[str]) -> None:
    """Raise InputError if a word of a command line is given twice, of which the last would count without a remark.

    Hydra's own words are left out: a process that repeats the words of another adds some of them.
    """
    said: dict[str, str] = {}
    for word in words:
        key = hydra_key(word)
        if not is_hydras(word) and key in said:
            raise InputError(f"{said[key]} and {word}: {key} is given twice; drop one of them")
        said[key] = word


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
        _refuse_what_no_job_may_say(override, offered, root)
    if own == NONE:
        with one_line_errors():
            quickly = _composed_from_base(overrides, offered, number, root)
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
    """

    cfg: bytes
    choices: dict[str, str | None]
    places: bytes


# By the choices. As with the knobs, a process reads conf/ once; a user's folder is read for each composition.
_bases: dict[tuple[Root, tuple[str, ...]], _Base] = {}


def _base(chosen: tuple[str, ...], root: Root) -> _Base:
    """The composition of choices alone, which is made once in a process."""
    if (root, chosen) not in _bases:
        _bases[root, chosen] = base = _exchanged(chosen, root) or _base_of_hydra(chosen, root)
        named = tuple(
            f"{group}={choice}" for group, choice in sorted(base.choices.items()) if choice is not None
        )
        _bases.setdefault((root, named), base)  # as a reference names them, see gcn.config.parse
    return _bases[root, chosen]


def _exchanged(chosen: tuple[str, ...], root: Root) -> _Base | None:
    """The base of choices, from that of the defaults; None where Hydra must make it."""
    said = dict(word.partition("=")[::2] for word in chosen)
    if not said or len(said) < len(chosen) or not _exchangeable(root):
        return None
    default = _base((), root)
    changed = {group: choice for group, choice in said.items() if choice != default.choices[group]}
    cfg = pickle.loads(default.cfg)
    for group, choice in changed.items():
        node = exchange.node(group, choice, root.folders)
        if node is None or group in load(root.file)[0]:  # where the root adds to the node
            return None
        cfg[group] = node
    return _Base(pickle.dumps(cfg), {**default.choices, **changed}, default.places)


@cache
def _exchangeable(root: Root) -> bool:
    """Whether no default choice sets anything outside of its own node."""
    return exchange.apart(_base((), root).choices, root.folders)


def _base_of_hydra(chosen: tuple[str, ...], root: Root) -> _Base:
    cfg = composed_by_hydra([*chosen, *search_path(root)], root)
    choices = _choices(cfg, chosen)
    hydra = OmegaConf.to_container(cfg.pop("hydra"), resolve=False)
    assert isinstance(hydra, dict)
    places = {"run": {"dir": hydra["run"]["dir"]}, "sweep": hydra["sweep"]}
    return _Base(pickle.dumps(cfg), choices, pickle.dumps(places))


def _composed_from_base(
    overrides: Sequence[Override], offered: Mapping[str, Any], number: int, root: Root
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
    base = _base(tuple(chosen), root)
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


def _refuse_what_no_job_may_say(override: Override, offered: dict[str, list[str]], root: Root) -> None:
    word, name = str(override.input_line), override.key_or_group
    if is_hydras(word):
        return
    if not name:
        raise InputError(f"{word}: no key; write key=value")
    if override.is_delete():
        raise InputError(f"{word}: nothing can be deleted; a weight is switched off by null")
    if override.is_sweep_override():
        raise InputError(f"{word}: several values need -m; a list is written [a,b]")
    if override.package is not None or "/" in name:
        raise InputError(f"{word}: no such group; {suggestion(name, offered)}")
    if name not in offered and _is_group(root, name):
        command = as_called(f"scripts/{root.name}.py")
        raise InputError(f"{word}: no group of {command}, which has {', '.join(offered)}")
    if name in offered:
        _refuse_no_choice(override, offered[name], {name: None} in _defaults(root))


def _refuse_no_choice(override: Override, offered: Sequence[str], optional: bool) -> None:
    word, name, choice = str(override.input_line), override.key_or_group, override.value()
    if choice is None and optional:
        raise InputError(f"{word}: is so without the word; drop it")
    if name in GROUPS and isinstance(choice, list) and choice:
        unknown = [one for one in choice if one not in offered]
        if unknown:
            raise InputError(f"{word}: no {name} {unknown[0]}; choose from {', '.join(offered)}")
        return
    if not isinstance(choice, str):
        said, own = word.partition("=")[2], ""
        if name in GROUPS:
            own = f", or several, {name}=[a,b]; for a class write {name}.NAME={{_target_: CLASS, ARGUMENT: VALUE}}"
        raise InputError(f"{name}={said}: takes exactly one of {', '.join(offered)}{own}")
    if choice.startswith("_"):
        raise InputError(f"{word}: no such choice; {name} is one of {', '.join(offered)}")
