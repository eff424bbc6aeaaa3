"""Plain values from untrusted YAML and JSON files, within limits and with errors of one line.

What this project writes itself is far below the limits. A file beyond them is refused before it is parsed, so that
none can take long, or fill the memory.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from gcn.errors import InputError
from gcn.files.names import printable

LARGEST_YAML = 2**16  # bytes; a run's configuration has 3000
LARGEST_JSON = 2**24  # bytes; a summary has 3000
DEEPEST = 12  # mappings and lists inside of each other; a run's configuration has 3


def read_text(path: Path, largest: int) -> str:
    """The text of a file of at most ``largest`` bytes.

    Raises:
        InputError: no regular file, not readable, larger, or not in UTF-8.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise InputError(f"{printable(path)}: no such file")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except (OSError, ValueError) as problem:
        if isinstance(problem, InputError):
            raise
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"{printable(path)}: cannot be read ({reason})") from None
    if len(data) > largest:
        raise InputError(f"{printable(path)}: larger than {largest} bytes; not a file of this project")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{printable(path)}: not a text in UTF-8, or damaged") from None


def read_json(path: Path, largest: int = LARGEST_JSON) -> dict[str, Any]:
    """The object in a JSON file, as a dictionary.

    Raises:
        InputError: as of `read_text`, or it is not a whole JSON object.
    """
    text = read_text(path, largest)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise InputError(f"{printable(path)}: not a whole JSON file ({_line(problem)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{printable(path)}: not a JSON object")
    return content


def read_yaml(path: Path, largest: int = LARGEST_YAML) -> dict[str, Any]:
    """The mapping in a YAML file: names and plain values, without aliases, anchors, tags and interpolations.

    Raises:
        InputError: as of `read_text`, or it holds anything else.
    """
    return parse_yaml(read_text(path, largest), printable(path), largest)


def parse_yaml(text: str, shown: str, largest: int = LARGEST_YAML) -> dict[str, Any]:
    """The mapping in a YAML text, with the limits of :func:`read_yaml`; ``shown`` names it in errors.

    Raises:
        InputError: it holds anything else.
    """
    try:
        if len(text) > largest:
            raise ValueError(f"more than {largest} characters")
        check_events(text)
        content = _content(text)
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as problem:
        raise InputError(f"{shown}: {_line(problem)}") from None
    except AssertionError:  # of OmegaConf: the whole text is one number
        content = None
    if not isinstance(content, dict) or not _named(content):
        raise InputError(f"{shown}: not a mapping of names to values")
    return content  # type: ignore[return-value]


def _content(text: str) -> Any:
    """Plain values of a YAML text that :func:`check_events` lets pass, as ``OmegaConf.create`` reads it."""
    try:
        content = yaml.load(text, Loader=yaml_loader())
    except yaml.YAMLError:
        content = None
    # Nothing, a word, or something wrong, which OmegaConf explains
    return content if isinstance(content, dict) else OmegaConf.to_container(OmegaConf.create(text))


@cache
def yaml_loader() -> Any:
    """OmegaConf's class of YAML loaders with libyaml's scanner, parser and composer, where PyYAML has them."""
    own = get_yaml_loader()  # refuses duplicate keys, and knows 1e-4 for a number
    if not yaml.__with_libyaml__:
        return own

    class Loader(yaml.cyaml.CParser, own):  # type: ignore[misc,valid-type]
        def __init__(self, stream: str) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader


def _named(content: Any) -> bool:
    """Whether all keys, also of nested mappings, are strings."""
    if isinstance(content, dict):
        return all(isinstance(key, str) and _named(value) for key, value in content.items())
    return all(_named(value) for value in content) if isinstance(content, list) else True


def check_events(text: str, interpolations: bool = False) -> None:
    """Refuse, before anything is built from it, YAML with what only strange files hold.

    Args:
        text: of the file.
        interpolations: whether ``${...}`` may stand in it.

    Raises:
        ValueError: an alias, an anchor, a tag, an interpolation, or too many levels.
        yaml.YAMLError: no YAML.
    """
    if yaml.__with_libyaml__:
        try:
            _check_events(text, yaml.CSafeLoader, interpolations)
            return
        except (yaml.YAMLError, ValueError):
            pass  # explained below, in the words of PyYAML's own parser
    _check_events(text, yaml.SafeLoader, interpolations)


def _check_events(text: str, loader: Any, interpolations: bool) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError(f"line {line}: aliases and anchors are not allowed")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"line {line}: tags are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"line {line}: more than {DEEPEST} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif not interpolations and isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"line {line}: interpolations are not allowed")


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
