"""The codecs that a model file may name, with the ranges of their constructors' arguments from ``conf/generator``.

A model file comes from anybody. Its class is found here by name, its arguments are held to the declarations that hold
for the command line, and no module is built before both are known to be sound.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
import yaml

from gcn.errors import InputError
from gcn.models.codec import Codec
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import Field, declarations
from gcn.schema.kinds import resolve

GENERATORS = CONF / "generator"


class Architecture(NamedTuple):
    """A class of codecs and the allowed values of its arguments."""

    target: str
    fields: Mapping[str, Field]


@cache
def architectures() -> dict[str, Architecture]:
    """The architectures that ``conf/generator`` declares, by the name of the class."""
    found = {}
    for path in sorted(GENERATORS.glob("[!_]*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "_target_" not in values:  # a generator from noise, which is no codec
            continue
        target, declared = values.pop("_target_"), declarations(path)
        fields = {
            name: declared.get(name, Field()).beside(value)
            for name, value in values.items()
            if not name.startswith("_")
        }
        found[target.rpartition(".")[2]] = Architecture(target, fields)
    return found


def empty(target: str, arguments: Any) -> Codec:
    """The codec that a model file describes, without weights and without memory for them.

    Args:
        target: dotted name of its class, which may have moved to another module since.
        arguments: of its constructor.

    Raises:
        ValueError: there is no such codec, or it takes no such arguments.
    """
    architecture = architectures().get(target.rpartition(".")[2])
    if architecture is None:
        raise ValueError(f"{target[:80]} is no codec of conf/generator")
    if not isinstance(arguments, dict) or set(arguments) != set(architecture.fields):
        raise ValueError(f"its architecture does not name {', '.join(architecture.fields)}")
    try:
        for name, field in architecture.fields.items():
            value = field.check(f"architecture.{name}", arguments[name])
            if field.type != "float" and type(value) is not type(arguments[name]):  # 64.0 channels
                raise ValueError(f"architecture.{name}={arguments[name]}: must be {field}")
        with _without_compiler(), torch.device("meta"):  # the file's tensors take the places
            return resolve("generator", architecture.target)(**arguments)  # type: ignore[no-any-return]
    except InputError as problem:
        raise ValueError(str(problem)) from None


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Keep torch from importing its compiler in the block, as it does at the first operation on ``meta``.

    That import takes as long as torch itself, and has no other use there than to mark functions that are not to be
    compiled (``torch._compile._disable_dynamo``).
    """
    name = "torch._dynamo"
    if name in sys.modules:
        yield
        return
    absent: Any = ModuleType(name)
    absent.disable = lambda function, *options, **named: function
    sys.modules[name] = absent
    try:
        yield
    finally:
        del sys.modules[name]
