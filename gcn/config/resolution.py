"""Values of a composed configuration when some are changed, without OmegaConf where nothing refers to those.

OmegaConf resolves all references of a configuration (``latent_channels: ${generator.M}``) each time it makes plain
values of it, which takes most of the time of a composition. Few settings concern a reference. The values with these are
kept, and the other settings are put into a copy.
"""

import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from gcn.schema.fields import put

RELATIVE = re.compile(r"\$\{\s*(\.|\$)")  # ${.beside}, ${${name}}: not understood here
NAME = re.compile(r"[^\W\d]\w*(\.\w+)*")


@lru_cache(maxsize=4096)  # the jobs of a sweep say the same words
def read_override(word: str) -> Override:
    """Hydra's reading of a word of the command line; raises its exceptions."""
    (parsed,) = OverridesParser.create().parse_overrides([word])
    return parsed


def changed(cfg: bytes, settings: Sequence[Override]) -> dict[str, Any]:
    """Plain values of a configuration with other values of some settings, references resolved.

    Args:
        cfg: a pickled DictConfig, references unresolved.
        settings: as :func:`read_override` reads them, applied in order.

    Raises:
        OmegaConfBaseException: a setting does not fit, or a reference cannot be resolved.
    """
    references = _references(cfg)
    alone = [setting for setting in settings if references.leave_alone(setting)]
    words = tuple(str(s.input_line) for s in settings if not references.leave_alone(s))
    names = {setting.key_or_group for setting in alone}
    if any("$" in word or _meet(read_override(word).key_or_group, names) for word in words):
        return plain(with_settings(pickle.loads(cfg), settings))
    values: dict[str, Any] = pickle.loads(_resolved(cfg, words))
    for setting in alone:
        put(values, setting.key_or_group, setting.value())
    return values


def with_settings(cfg: DictConfig, settings: Iterable[Override]) -> DictConfig:
    """The configuration itself, after OmegaConf has set values in it; unknown names are added."""
    for setting in settings:
        OmegaConf.update(cfg, setting.key_or_group, setting.value(), merge=True, force_add=True)
    return cfg


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A configuration as built-in values, references resolved."""
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@lru_cache(maxsize=512)
def _resolved(cfg: bytes, words: tuple[str, ...]) -> bytes:
    """Plain values with some settings, pickled, for copy.deepcopy takes longer."""
    return pickle.dumps(plain(with_settings(pickle.loads(cfg), map(read_override, words))))


class _References(NamedTuple):
    """What of a configuration refers to something else.

    Attributes:
        content: plain values, references unresolved.
        names: of the settings that are references or that one may name; None where that cannot be told.
    """

    content: Mapping[str, Any]
    names: frozenset[str] | None

    def leave_alone(self, setting: Override) -> bool:
        """Whether a setting replaces one plain value by another, and no reference has to do with it."""
        value, name = setting.value(), setting.key_or_group
        if not (value is None or isinstance(value, bool | int | float | str)):
            return False
        if isinstance(value, str) and ("$" in value or "\\" in value):
            return False
        node: Any = self.content
        for part in name.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return False
            node = node[part]
        return not isinstance(node, Mapping) and self.names is not None and not _meet(name, self.names)


@lru_cache(maxsize=512)
def _references(cfg: bytes) -> _References:
    content = OmegaConf.to_container(pickle.loads(cfg), resolve=False)
    assert isinstance(content, dict)
    found = {name: text for name, text in _texts(content) if "${" in text}
    named = {match.group() for text in found.values() for match in NAME.finditer(text)}
    understood = not any(RELATIVE.search(text) for text in found.values())
    values = {str(name): value for name, value in content.items()}
    return _References(values, frozenset({*found, *named}) if understood else None)


def _texts(node: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of all strings in a nest; those in lists have the name of the list."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{name}.{key}" if name else str(key))
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, name)
    elif isinstance(node, str):
        yield name, node


def _meet(name: str, others: Iterable[str]) -> bool:
    """Whether a name is among others, or one of them is above or below it."""
    return any(f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}.") for other in others)
