"""What a run folder does not decide: callbacks, and where a run's loggers write or what they send to.

Callbacks are those that the command line names. The destinations of loggers are the settings of ``logger`` that
``conf/`` declares as ``path`` or ``address``. Of a logger from a user's own folder all texts count that no declaration
says more about. A stored one that differs from its default is used only where the command line that resumes the run
says it again, or chooses the logger anew.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gcn.cli.quoting import nested
from gcn.config.compose import compose
from gcn.config.lightning_words import CALLBACKS, NO_CALLBACK, is_of_callbacks
from gcn.config.offered import TRAIN, groups
from gcn.config.override_words import key_of
from gcn.config.reference import Reference, chosen, reference_of
from gcn.config.several import names
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.fields import at, paths
from gcn.schema.plugins import NONE, Extension, of_settings

LOGGER = "logger"
_LONGEST = 300  # characters of stored words that are shown


def words_again(config: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> list[str]:
    """The words that a command needs beside ``resume=``: plugins, callbacks, and where loggers write and send to.

    Args:
        config: a checked configuration, or one that `gcn.config.parse.load` returns.
        stored: where the run folder is untrusted, what it says; of that the callbacks are shown.
    """
    own = of_settings(config)
    return [*own.words, *callback_words(stored or config, own), *destinations(config)]


def callback_words(config: Mapping[str, Any], own: Extension = NONE) -> list[str]:
    """The words that name the callbacks of a configuration: the choice of the group, and what differs from its file.

    Args:
        config: of a run; it may be untrusted, for the words are shown and not used.
        own: what the user adds, whose choices have files as well.
    """
    choice, nodes = (config.get("choices") or {}).get(CALLBACKS), config.get(CALLBACKS) or {}
    known = isinstance(choice, str) and set(names(choice)) <= set(groups(TRAIN, own)[CALLBACKS])
    words = [f"{CALLBACKS}={choice}"] if known and choice != NO_CALLBACK else []
    usual = compose(words, own).values[CALLBACKS]
    for name in {**usual, **nodes}:
        node, place = nodes.get(name), f"{CALLBACKS}.{name}"
        if name not in usual or not isinstance(node, Mapping):
            words.append(f"{place}={nested(node)}")
        else:
            changed = {key: value for key, value in node.items() if usual[name].get(key, ...) != value}
            words += [f"{place}.{key}={nested(value)}" for key, value in changed.items()]
    return words


def refuse_forgotten(stored: Mapping[str, Any], words: Sequence[str], shown: str, own: Extension) -> None:
    """Refuse to resume a run that had callbacks, unless the words of the command line say something about them.

    Args:
        stored: the configuration in an untrusted run folder.
        words: of the command line.
        shown: name of the folder.
        own: what the user adds.

    Raises:
        InputError: with the callbacks that the run had, as words.
    """
    nodes = stored.get(CALLBACKS)
    if any(map(is_of_callbacks, words)) or not isinstance(nodes, Mapping) or not nodes:
        return
    before = " ".join(map(shlex.quote, callback_words(stored, own)))
    raise InputError(
        f"{shown}: the run has callbacks, and what a run folder names is not built; give them again, "
        f"{printable(before)[:_LONGEST]}, or go on without them, {CALLBACKS}={NO_CALLBACK}"
    )


def destinations(config: Mapping[str, Any]) -> list[str]:
    """Words for the destinations of a configuration that differ from the defaults of its choices."""
    reference, stored = (
        reference_of(chosen(config["choices"]), of_settings(config), TRAIN),
        config.get(LOGGER),
    )
    return [
        f"{name}={nested(at(config, name))}"
        for name in paths(stored if isinstance(stored, Mapping) else {}, LOGGER)
        if at(config, name) != at(reference.values, name) and _is_destination(name, config, reference)
    ]


def refuse_unsaid(config: Mapping[str, Any], words: Sequence[str], shown: str) -> None:
    """Refuse to resume a run whose loggers wrote elsewhere, unless the words of the command line say where.

    Args:
        config: that `gcn.config.parse.load` has read from an untrusted run folder.
        words: of the command line.
        shown: name of the folder.

    Raises:
        InputError: with the words that the run had.
    """
    said = {key_of(word) for word in words}
    if LOGGER in said:  # which begins with the defaults of the choice
        return
    unsaid = [word for word in destinations(config) if key_of(word) not in said]
    if unsaid:
        again = printable(" ".join(map(shlex.quote, unsaid)))[:_LONGEST]
        raise InputError(
            f"{shown}: this run logged to a place of its own, and a run folder does not decide where files are written "
            f"or data are sent; give it again, {again}, or {LOGGER}={config['choices'][LOGGER]} for the usual place"
        )


def _is_destination(name: str, config: Mapping[str, Any], reference: Reference) -> bool:
    field = reference.fields.get(name)
    if field is not None:
        return field.type in ("path", "address")
    value = at(config, name)
    return any(isinstance(one, str) for one in (value if isinstance(value, list) else [value]))
