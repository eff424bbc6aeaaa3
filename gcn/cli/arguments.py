"""The command lines of the codec's scripts: ``name=value`` words and files, in any order; ``--`` ends the options."""

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gcn.cli.terminal import SMALLER, guarded
from gcn.errors import InputError


class Words(NamedTuple):
    """What was said: options by name, files, and the argument of ``-o``."""

    options: dict[str, str]
    files: list[str]
    output: str | None


def parse(words: Sequence[str], known: Mapping[str, str], usage: str) -> Words:
    """Split the words of a command line.

    Args:
        words: as typed.
        known: options and what they are for; an unknown one is refused with the nearest of these.
        usage: a line for the error message.

    Raises:
        InputError: an unknown or doubled option, an empty name, or ``-o`` without a file.
    """
    options: dict[str, str] = {}
    files: list[str] = []
    output = None
    rest = iter(words)
    for word in rest:
        name, sign, value = word.partition("=")
        if word == "--":
            files += rest
        elif word in ("-o", "--output"):
            if output is not None:
                raise InputError(f"{word} was given twice")
            output = next(rest, None)
            if not output:
                raise InputError(f"{word} needs a file behind it; usage: {usage}")
        elif word.startswith(("-o", "--output=")):
            raise InputError(f"{word}: give -o and the name as two words, -o FILE")
        elif word.startswith("-"):
            raise InputError(f"{word} is unknown; a file of that name goes behind --; usage: {usage}")
        elif sign and (name in known or _family(name) in known):
            if name in options:
                raise InputError(f"{name}= was given twice")
            options[name] = value
        elif sign and "/" not in name and not os.path.exists(word):
            near = difflib.get_close_matches(name, known, 3) or list(known)
            raise InputError(f"{name}= is unknown; did you mean {', '.join(f'{n}=' for n in near)}?")
        else:
            files.append(word)
    if "" in files:
        raise InputError(f"an input file has an empty name; usage: {usage}")
    return Words(options, files, output)


def _family(name: str) -> str:
    """``series.NAME`` stands for all options that begin with ``series.``."""
    return f"{name.partition('.')[0]}.NAME"


def choice(option: str, value: str) -> bool:
    """What an option says that is true or false; InputError for other words."""
    if value not in ("true", "false"):
        raise InputError(f"{option}={value}: give true or false")
    return value == "true"


def run(
    words: Sequence[str],
    known: Mapping[str, str],
    usage: str,
    about: str,
    work: Callable[[Words], int],
    smaller: str = SMALLER,
) -> int:
    """Parse and do the work; returns the exit status (:func:`gcn.cli.terminal.guarded`). ``--help`` needs no imports.

    Args:
        words: of the command line.
        known: options and what they are for.
        usage: a line.
        about: what the command does, a line.
        work: does it, and returns the status.
        smaller: what the user can do when memory runs out.
    """

    def command() -> int:
        said = list(words)
        if {"-h", "--help"} & set(said[: said.index("--")] if "--" in said else said):
            lines = (f"  {name + '=':<14} {what}" for name, what in known.items())
            print("\n".join([about, "", f"usage: {usage}", "", *lines]))
            return 0
        return work(parse(said, known, usage))

    return guarded(command, smaller)
