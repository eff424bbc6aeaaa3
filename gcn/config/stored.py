"""The configuration in an untrusted run folder: which of its values are used, and which come from ``conf/``.

Values and choices are the run's. Classes are never: they are those that ``conf/`` has for the choices.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gcn.config.compose import compose
from gcn.config.offered import TRAIN, groups
from gcn.config.several import is_list, names
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.reading import LARGEST_YAML, check_events, parse_yaml, read_text, read_yaml
from gcn.schema.fields import show
from gcn.schema.plugins import NONE, Extension

FILE = "config.yaml"
OVERLAY = "experiment"  # the one group that changes values of others instead of having its own


def stored(folder: Path) -> dict[str, Any]:
    """Values of ``config.yaml`` in a run folder, for reports; build objects from `gcn.config.parse.load` only.

    Raises:
        InputError: no run folder, or a file that no run of this project has.
    """
    path = folder / FILE
    if not path.exists():
        raise InputError(
            f"{printable(folder)}: no run folder, for it holds no {FILE}; give the folder of a run"
        )
    return _of_a_run(read_yaml(path), printable(path))


def stored_text(text: str, shown: str) -> dict[str, Any]:
    """Values of the configuration that a checkpoint holds as a text; ``shown`` names it in errors.

    Raises:
        InputError: a text that no checkpoint of this project has.
    """
    return _of_a_run(parse_yaml(text, shown), shown)


def _of_a_run(content: dict[str, Any], shown: str) -> dict[str, Any]:
    if not isinstance(content.get("choices"), dict):
        raise InputError(f"{shown}: not the configuration of a run")
    return content


def started_in(folder: Path) -> Path:
    """The working directory in which a run was started; paths of older runs are relative to it.

    It is in Hydra's record of the run; without one it is taken to be the present directory.
    """
    try:  # not read_yaml: this file has interpolations, and nothing but one text is taken from it
        text = read_text(folder / ".hydra" / "hydra.yaml", LARGEST_YAML)
        check_events(text, interpolations=True)
        record = yaml.safe_load(text)
        return Path(record["hydra"]["runtime"]["cwd"])
    except (InputError, yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError):
        return Path()


def checked_choices(said: Mapping[str, Any], own: Extension = NONE) -> dict[str, str | None]:
    """The stored choice of each group; each must be a file of ``conf/`` or of what the user adds.

    A group that is newer than the run has its first choice.
    """
    offered = groups(TRAIN, own)
    for group, choice in said.items():
        if group not in offered:
            raise InputError(f"choices.{group}={show(choice)}: no group of conf/")
        if group == OVERLAY:  # its values are among the others
            if choice is not None and not isinstance(choice, str):
                raise InputError(f"choices.{group}={show(choice)}: must be a name or null")
        elif choice not in offered[group] and not (
            is_list(group, choice) and set(names(choice)) <= set(offered[group])
        ):
            raise InputError(
                f"{group}={show(choice)}: no such choice in conf/; "
                "if it is your own, give plugins=[PACKAGE] or --config-dir=FOLDER"
            )
    missing = [group for group in offered if group not in said]
    return {**said, **({group: compose([]).choices[group] for group in missing})}


def completed(file: str, said: Any, defaults: Mapping[str, Any], above: str = "") -> Any:
    """Stored values with classes from ``conf/``, and with defaults for options that are newer than the run.

    Args:
        file: for the line that says which defaults were used.
        said: what the file says below ``above``.
        defaults: what ``conf/`` says there for the run's choices.
        above: dotted name with a dot at its end.

    Raises:
        InputError: the file names another class.
    """
    if not isinstance(said, Mapping):
        return said
    content = {key: value for key, value in said.items() if key not in defaults}
    for key, default in defaults.items():
        name = f"{above}{key}"
        if key == "_target_":
            _check_class(name, said.get(key, default), default)
        if key.startswith("_"):
            content[key] = default
        elif key not in said:
            content[key] = default
            if above != "terms.":  # of the knobs that are absent
                print(f"{file}: has no {name}; the default of conf/ is used", file=sys.stderr)
        else:
            content[key] = (
                completed(file, said[key], default, f"{name}.") if isinstance(default, Mapping) else said[key]
            )
    return content


def _check_class(name: str, said: Any, own: Any) -> None:
    """Raise InputError if a stored class has another name than that of the run's choice; its module may have moved."""
    if str(said).rpartition(".")[2] != str(own).rpartition(".")[2]:
        raise InputError(f"{name}={show(said)}: not the class of the run's choice, which is {show(own)}")
