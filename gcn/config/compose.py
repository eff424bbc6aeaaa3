"""Composition of a configuration by Hydra from command-line overrides, and errors of one line."""

import itertools
import math
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gcn.cli.quoting import command, value
from gcn.cli.quoting import word as word_of
from gcn.config.knobs import Knob, scan
from gcn.errors import InputError
from gcn.files.atomic import cannot_write
from gcn.schema.fields import suggestion

CONF = Path(__file__).resolve().parents[2] / "conf"
MOST_JOBS = 10_000  # of a sweep; more is a slip of the finger, range(0,1000000)
PLUGINS = {  # choices of Hydra's that come with packages of their own
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher", "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher", "ray": "hydra-ray-launcher", "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
    },
    "hydra/sweeper": {
        "optuna": "hydra-optuna-sweeper", "ax": "hydra-ax-sweeper", "nevergrad": "hydra-nevergrad-sweeper",
    },
}  # fmt: skip
KNOBS = "knob"  # the folder of the knobs, which is no group of choices


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
def knobs() -> dict[str, Knob]:
    """All knobs by name."""
    return scan(CONF / KNOBS)


@cache
def groups(root: Root = TRAIN, extra: str | None = None) -> dict[str, list[str]]:
    """Choices of each group that the root's defaults list names, from all its folders.

    A file whose name begins with an underscore is what several choices build on, and no choice itself.
    """
    folders = [*root.folders, *([] if extra is None else [Path(extra)])]
    names = sorted(name for entry in _defaults(root) for name in entry if _is_group(root, name))
    return {
        name: sorted({path.stem for folder in folders for path in (folder / name).glob("[!_]*.yaml")})
        for name in names
    }


def _is_group(root: Root, name: str) -> bool:
    return any((folder / name).is_dir() for folder in root.folders)


@cache
def _defaults(root: Root) -> list[dict[str, str | None]]:
    """The groups of a root's defaults list with their default choices."""
    defaults = yaml.safe_load(root.file.read_text(encoding="utf-8"))["defaults"]
    return [entry for entry in defaults if isinstance(entry, dict)]


def search_path(root: Root, extra: str | None = None) -> list[str]:
    """Hydra's override for the search path, where the root has folders beside ``conf/``."""
    folders = [*root.folders[1:], *([] if extra is None else [Path(extra).resolve()])]
    return [f"hydra.searchpath=[{','.join(value(folder) for folder in folders)}]"] if folders else []


@cache
def declare() -> None:
    """Register the knobs and the run folder's name with Hydra."""
    node: dict[str, Any] = {name: knob.start for name, knob in knobs().items()}
    node["terms"] = {name: knob.node for name, knob in knobs().items() if knob.node is not None}
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
    return [word if is_hydras(word) else word.lstrip("+") for word in words]


def compose(
    words: Sequence[str], extra: str | None = None, number: int = 0, root: Root = TRAIN
) -> Composition:
    """Compose one job. Unknown keys pass here and are refused later, with similar names.

    Args:
        words: as :func:`normal` leaves them.
        extra: a further folder of configurations (Hydra's ``--config-dir``).
        number: of the job in a sweep.
        root: whose configuration.
    """
    declare()
    offered = groups(root, extra)
    with one_line_errors():
        overrides = OverridesParser.create().parse_overrides(list(words))
    for override in overrides:
        _refuse_what_no_job_may_say(override, offered, root)
    # ++ lets unknown keys pass, but must not stand before a choice
    forced = [word if is_hydras(word) or key_of(word) in offered else f"++{word}" for word in words]
    with one_line_errors(), _composing():
        cfg = hydra_compose(root.name, [*forced, *search_path(root, extra)], return_hydra_config=True)
        cfg.hydra.job.num = number
        choices = {key: v for key, v in cfg.hydra.runtime.choices.items() if not key.startswith("hydra/")}
        folders = str(cfg.hydra.run.dir), str(cfg.hydra.sweep.dir), str(cfg.hydra.sweep.subdir)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    return Composition({str(key): value for key, value in values.items()}, choices, *folders)


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
        raise InputError(f"{word}: no group of scripts/{root.name}.py, which has {', '.join(offered)}")
    if name in offered:
        choice = override.value()
        if choice is None and {name: None} in _defaults(root):
            raise InputError(f"{word}: is so without the word; drop it")
        if not isinstance(choice, str):
            said = word.partition("=")[2]
            raise InputError(f"{name}={said}: takes exactly one of {', '.join(offered[name])}")
        if str(choice).startswith("_"):
            raise InputError(f"{word}: no such choice; {name} is one of {', '.join(offered[name])}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the exceptions of Hydra and OmegaConf in the block into :class:`InputError` of one line."""
    try:
        yield
    except MissingConfigException as error:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        if not group or not error.options:
            raise InputError(_line(error)) from None
        package = PLUGINS.get(group, {}).get(choice)
        if package is not None:
            raise InputError(
                f"{group}={choice}: needs a package that is missing: pip install {package}"
            ) from None
        choices = [option for option in error.options if not option.startswith("_")]
        options = ", ".join(sorted(choices))
        near = suggestion(choice, choices, otherwise="no similar name")
        raise InputError(f"{group}={choice}: no such choice; {near} (of {options})") from None
    except OverrideParseException as error:
        raise InputError(f"{error.override}: {_remedy(error)}") from None
    except OmegaConfBaseException as error:
        name = f"{error.full_key}: " if error.full_key else ""
        raise InputError(name + str(error).split("\n", 1)[0]) from None
    except InputError:
        raise
    except OSError as error:
        raise cannot_write(error.filename or "the run folder", error) from None
    except UserWarning as error:  # of Hydra, which would go on
        raise InputError(_line(error)) from None
    except (HydraException, yaml.YAMLError, ValueError, TypeError) as error:
        raise InputError(_line(error)) from None
    except Exception as error:  # Hydra's assertions, and plugins
        raise InputError(f"{type(error).__name__}: {_line(error)}") from None


def _remedy(error: OverrideParseException) -> str:
    """Advice for an override that Hydra cannot parse: most often its value needs quotes."""
    key, sign, text = str(error.override).partition("=")
    if not key.lstrip("+~") or not sign:
        return "not readable; write key=value"
    return f"not readable; write key=value, and special characters in quotes: {command(word_of(key, text))}"


def _line(error: BaseException) -> str:
    cause = f" {error.__cause__}" if error.__cause__ is not None else ""
    return " ".join(f"{error}{cause}".split())


def jobs(words: Sequence[str], root: Root = TRAIN, extra: str | None = None) -> list[list[str]]:
    """Overrides of each job of a sweep, in Hydra's order; sweeps over intervals are left to their sweeper."""
    axes: dict[str, list[str]] = {}
    own_sweeper = any(hydra_key(word) == "hydra/sweeper" for word in words)
    with one_line_errors():
        for override in OverridesParser.create().parse_overrides(list(words)):
            key, sweep = override.get_key_element(), override.value()
            if isinstance(sweep, Glob):
                chosen = sweep.filter(groups(root, extra).get(key, []))
                if root.folders[1:] or extra is not None:  # Hydra would look into conf/ alone
                    raise InputError(f"{override.input_line}: no pattern here; give {key}={','.join(chosen)}")
                axes[key] = [f"{key}={name}" for name in chosen]
            elif not override.is_sweep_override():
                axes[key] = [str(override.input_line)]
            elif override.is_discrete_sweep():
                given = itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1)
                axes[key] = [f"{key}={value}" for value in given]
            elif not own_sweeper:
                raise InputError(
                    f"{override.input_line}: an interval needs a sweeper of its own; give values a,b,c"
                )
    for key, values in axes.items():
        if not values:
            raise InputError(f"{key}: the sweep has no value; give values a,b,c")
    if math.prod(map(len, axes.values())) > MOST_JOBS:
        raise InputError(f"-m: this sweep has more than {MOST_JOBS} jobs; give fewer values")
    return [list(chosen) for chosen in itertools.product(*axes.values())]
