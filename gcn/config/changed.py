"""The words that repeat a run: what its configuration changes against the defaults of ``conf/``."""

from collections.abc import Iterator, Mapping
from typing import Any

from gcn.cli.quoting import value
from gcn.config.compose import compose
from gcn.config.offered import groups
from gcn.config.several import is_list
from gcn.schema.fields import at, show
from gcn.schema.plugins import FOLDER, NONE, SETTING, Extension

OWN = ("run_dir", "resume", "choices", SETTING, FOLDER)  # of a run folder, no part of what is trained


def changed_words(config: Mapping[str, Any], own: Extension = NONE) -> list[str]:
    """Words of ``scripts/train.py`` that give a stored configuration, in the order of ``conf/``.

    Args:
        config: content of a ``config.yaml`` as `gcn.config.stored.stored` returns it; untrusted.
        own: what the user adds; its words are not among those returned.

    Raises:
        InputError: a choice that ``conf/`` does not have.
    """
    said, usual = config.get("choices") or {}, compose([], own).choices
    chosen = [
        f"{g}={_chosen(g, str(said[g]))}"
        for g in groups(own=own)
        if said.get(g) is not None and said[g] != usual.get(g)
    ]
    base = compose(chosen, own).values
    words = [f"{name}={_value(now)}" for name, now, default in _leaves(config, base) if now != default]
    return chosen + [
        one for one in words if not _follows(one, config, [*chosen, *(w for w in words if w != one)], own)
    ]


def _follows(one: str, config: Mapping[str, Any], others: list[str], own: Extension) -> bool:
    """Whether a word is needless, because its value is computed from others."""
    name = one.partition("=")[0]
    return at(compose(others, own).values, name) == at(config, name)


def _leaves(
    said: Mapping[str, Any], base: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and default of each option that both have."""
    for key, default in base.items():
        if key not in said or key.startswith("_") or (not above and key in OWN):
            continue
        if isinstance(default, Mapping) and isinstance(said[key], Mapping):
            yield from _leaves(said[key], default, f"{above}{key}.")
        elif not isinstance(default, Mapping):
            yield f"{above}{key}", said[key], default


def _chosen(group: str, choice: str) -> str:
    return choice if is_list(group, choice) else value(choice)


def _value(own: Any) -> str:
    if isinstance(own, str):
        return value(own)
    return f"[{','.join(map(_value, own))}]" if isinstance(own, list) else show(own)
