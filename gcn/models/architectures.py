"""The codecs that a model file may name, with the ranges of their constructors' arguments from ``conf/generator``.

A model file comes from anybody. Its class is found here by name, its arguments are held to the declarations that hold
for the command line, and no module is built before both are known to be sound.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
import yaml

from gcn.errors import InputError, NotNamed
from gcn.files.names import printable
from gcn.models.codec import Codec
from gcn.models.unfilled import Unfilled
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import Field, declarations
from gcn.schema.kinds import resolve
from gcn.schema.plugins import NONE, SETTING, Extension, stored_words

GENERATORS = CONF / "generator"


class Architecture(NamedTuple):
    """A class of codecs and the allowed values of its arguments."""

    target: str
    fields: Mapping[str, Field]


@cache
def architectures(own: Extension = NONE) -> dict[str, Architecture]:
    """The architectures that ``conf/generator`` and the user's folders declare, by the name of the class."""
    found: dict[str, Architecture] = {}
    folders = [GENERATORS, *(folder / GENERATORS.name for folder in own.folders)]
    for path in (path for folder in folders for path in sorted(folder.glob("[!_]*.yaml"))):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "_target_" not in values:  # a generator from noise, which is no codec
            continue
        target, declared = values.pop("_target_"), declarations(path)
        name = target.rpartition(".")[2]
        if name in found and found[name].target != target:
            raise InputError(f"{printable(path)}: there is a generator of class {name} already; rename yours")
        fields = {
            name: declared.get(name, Field()).beside(value)
            for name, value in values.items()
            if not name.startswith("_")
        }
        found[name] = Architecture(target, fields)
    return found


def empty(target: str, arguments: Any, own: Extension = NONE) -> Codec:
    """The codec that a model file describes, without weights and without memory for them.

    Args:
        target: dotted name of its class, which may have moved to another module since.
        arguments: of its constructor.
        own: what the user adds.

    Raises:
        NotNamed: there is no such codec, but it may be of a plugin.
        ValueError: there is no such codec, or it takes no such arguments.
    """
    architecture = architectures(own).get(target.rpartition(".")[2])
    if architecture is None:
        package, _, rest = target.partition(".")
        words = stored_words({SETTING: [package]}) if rest and package != "gcn" else []
        if words:
            raise NotNamed(f"{target[:80]} is no codec of conf/generator", words)
        raise ValueError(f"{target[:80]} is no codec of conf/generator")
    if not isinstance(arguments, dict) or set(arguments) != set(architecture.fields):
        raise ValueError(f"its architecture does not name {', '.join(architecture.fields)}")
    try:
        for name, field in architecture.fields.items():
            value = field.check(f"architecture.{name}", arguments[name])
            if field.type != "float" and type(value) is not type(arguments[name]):  # 64.0 channels
                raise ValueError(f"architecture.{name}={arguments[name]}: must be {field}")
        with torch.device("meta"), Unfilled():  # the file's tensors take the places
            return resolve("generator", architecture.target, own.packages)(**arguments)  # type: ignore[no-any-return]
    except InputError as problem:
        raise ValueError(str(problem)) from None
