"""The command lines of the codec's scripts: ``name=value`` words and files, in any order."""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
        InputError: an unknown or doubled option, or ``-o`` without a file.
    """
    options: dict[str, str] = {}
    files: list[str] = []
    output = None
    rest = iter(words)
    for word in rest:
        name, sign, value = word.partition("=")
        if word in ("-o", "--output"):
            output = next(rest, None)
            if output is None:
                raise InputError(f"{word} needs a file behind it; usage: {usage}")
        elif word.startswith("-") and word != "-":
            raise InputError(f"{word} is unknown; usage: {usage}")
        elif sign and (name in known or _family(name) in known):
            if name in options:
                raise InputError(f"{name}= was given twice")
            options[name] = value
        elif sign and "/" not in name and not Path(word).exists():
            near = difflib.get_close_matches(name, known, 3) or list(known)
            raise InputError(f"{name}= is unknown; did you mean {', '.join(f'{n}=' for n in near)}?")
        else:
            files.append(word)
    return Words(options, files, output)


def _family(name: str) -> str:
    """``series.NAME`` stands for all options that begin with ``series.``."""
    return f"{name.partition('.')[0]}.NAME"


def folder(option: str, path: str | Path) -> Path:
    """The folder that an option names, there or to be made: known to be possible before anything is computed for it.

    Raises:
        InputError: a file is in its place or in its way.
    """
    there = next(place for place in (Path(path), *Path(path).absolute().parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"{option}={path}: {there} is no folder; name another place")
    return Path(path)


def choice(option: str, value: str) -> bool:
    """What an option says that is true or false; InputError for other words."""
    if value not in ("true", "false"):
        raise InputError(f"{option}={value}: give true or false")
    return value == "true"


def run(
    words: Sequence[str], known: Mapping[str, str], usage: str, about: str, work: Callable[[Words], int]
) -> int:
    """Parse, do the work, and turn bad input into one line and exit status 2; ``--help`` needs no imports."""
    if {"-h", "--help"} & set(words):
        lines = (f"  {name + '=':<14} {what}" for name, what in known.items())
        print("\n".join([about, "", f"usage: {usage}", "", *lines]))
        return 0
    try:
        return work(parse(words, known, usage))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except MemoryError:
        print("error: not enough memory for this image", file=sys.stderr)
        return 2
