"""Settings that say where a run's loggers write or what they send to; a run folder does not decide them.

They are the settings of ``logger`` that ``conf/`` declares as ``path`` or ``address``. Of a logger from a user's own
folder all texts count that no declaration says more about. A stored one that differs from its default is used only
where the command line that resumes the run says it again, or chooses the logger anew.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gcn.cli.quoting import callback_words, nested
from gcn.config.compose import TRAIN, key_of
from gcn.config.reference import Reference, chosen, reference_of
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.fields import at, paths
from gcn.schema.plugins import of_settings

LOGGER = "logger"
_LONGEST = 300  # characters of stored words that are shown


def words_again(config: Mapping[str, Any]) -> list[str]:
    """The words that a command needs beside ``resume=``: plugins, callbacks, and where loggers write and send to.

    Args:
        config: a checked configuration, or one that `gcn.config.parse.load` returns.
    """
    return [*of_settings(config).words, *callback_words(config), *destinations(config)]


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
