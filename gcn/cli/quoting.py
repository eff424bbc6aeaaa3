"""Commands that can be pasted into a shell, and words that Hydra's grammar reads as they are meant.

A folder's name passes three readers on its way from a printed line into a run: the shell, the grammar of Hydra's
overrides, and the interpolation of OmegaConf. Each has characters of its own:

    folder           it's ${x}, 1
    Hydra's word     resume='it\\'s \\${x}, 1'
    for the shell    'resume='"'"'it\\'"'"'s \\${x}, 1'"'"''

``word`` answers for the last two readers, ``command`` for the first. Words that another process receives as a list
need no shell and hence no ``command``. The scripts without Hydra (``compress.py run=FOLDER``) take a value as it is.
"""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcn.cli.invocation import called

_PLAIN = re.compile(r"(?=.*/|[A-Za-z])[A-Za-z0-9_./+-]+")  # what Hydra reads as text, and not as a number
_KEYWORDS = ("true", "false", "null", "nan", "inf")
_MISSING = "???"  # OmegaConf's mark of a value that must be given


def value(text: str | Path) -> str:
    """A text quoted so that Hydra and OmegaConf read it literally; without quotes where none are needed.

    ``???`` alone cannot be said, for OmegaConf takes it for a value that is missing; it becomes ``./???``, the same
    folder.
    """
    text = str(text)
    if text == _MISSING:
        text = f"./{text}"
    if _PLAIN.fullmatch(text) and text.lower() not in _KEYWORDS:
        return text
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # OmegaConf's escape of an interpolation
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)  # Hydra's escape of a quote …
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", text) + "'"  # … among which the last one counts


def word(key: str, text: str | Path) -> str:
    """``key=text`` for the command line of a script that Hydra reads, as an entry of a list of words."""
    return f"{key}={value(text)}"


def nested(node: Any) -> str:
    """A value of mappings, lists and plain values, as Hydra's grammar writes it."""
    if isinstance(node, Mapping):
        return "{" + ", ".join(f"{key}: {nested(part)}" for key, part in node.items()) + "}"
    if isinstance(node, list | tuple):
        return f"[{', '.join(map(nested, node))}]"
    if node is None:
        return "null"
    return value(node) if isinstance(node, str) else str(node).lower()


def command(*words: str) -> str:
    """One line that can be pasted into a shell and passes exactly these arguments.

    Bytes that no terminal shows (line breaks, control characters, names that are not UTF-8) are written in the form
    ``$'caf\\xe9'``, which bash, zsh and ksh know.
    """
    return " ".join(_for_the_shell(part) for part in words)


def resuming(folder: str | Path, *further: str) -> str:
    """The command that resumes the run in a folder; ``further`` words name what the user adds to gcn."""
    return command(*called("train"), word("resume", folder), *further)


def _for_the_shell(text: str) -> str:
    if text.isprintable():
        return shlex.quote(text)
    shown = (
        re.sub(r"([\\'])", r"\\\1", c) if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c))
        for c in text
    )
    return f"$'{''.join(shown)}'"
