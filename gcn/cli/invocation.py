"""How commands are called: ``gcn NAME``, ``python -m gcn NAME`` or ``python scripts/NAME.py``, the same code.

Help and printed commands name the form by which this process was called. Texts are written with ``scripts/NAME.py``;
:func:`as_called` puts the other form in its place.
"""

import os
import re
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_SCRIPT = re.compile(r"(?:python )?\bscripts/([a-z]+)\.py")


def program() -> tuple[str, ...]:
    """``gcn`` or ``python -m gcn``, if this process was called so; empty for ``python scripts/NAME.py``.

    A process that was called by something else (a test, a notebook, the worker of a cluster) names the scripts if it
    is of a checkout, else ``gcn``.
    """
    path = Path(sys.argv[0] if sys.argv else "")
    if path.suffix == ".py" and path.parent.name == "scripts":
        return ()
    if path.stem == "gcn":
        return ("gcn",)
    if path.parts[-2:] == ("gcn", "__main__.py"):
        return "python", "-m", "gcn"
    return () if (_PACKAGE.parent / "scripts").is_dir() else ("gcn",)


def called(name: str) -> tuple[str, ...]:
    """The words by which the user calls a command, in the form in which this process was called.

    Args:
        name: of the command, and of its part where it has parts: ``bench codec``.
    """
    first, *parts = name.split()
    return (*program(), first, *parts) if program() else ("python", f"scripts/{first}.py", *parts)


def as_called(text: str) -> str:
    """A text of this package in which ``python scripts/NAME.py`` and ``scripts/NAME.py`` are replaced by that form."""
    return _SCRIPT.sub(lambda match: " ".join(called(match[1])), text) if program() else text


def starting(name: str) -> list[str]:
    """Command line that starts a command of this package in another process, which imports it from the same place."""
    local = "" in sys.path or os.getcwd() in sys.path
    return [sys.executable, *([] if local else ["-P"]), "-m", "gcn", name]
