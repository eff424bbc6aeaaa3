"""Measure what code costs: ``python scripts/bench.py NAME [OPTION=VALUE]...``."""

import importlib
import inspect
import sys
from collections.abc import Callable

from gcn.cli.terminal import guarded
from gcn.errors import InputError

BENCHMARKS = {
    "lab": "Dirac games: the production losses and rule against bare formulas",
    "coder": "the entropy coder against CompressAI's",
    "codec": "where the time of a file goes: network or coder",
    "exact": "files of a hyperprior in floating point and in integers, read in other settings",
    "study": "runs an hour of the study: its arms side by side against the trainer, one after another",
}


def options(name: str, words: list[str]) -> tuple[Callable[..., None], dict[str, object]]:
    """The benchmark and what was said of its options, by the types of their defaults."""
    if name not in BENCHMARKS:
        raise InputError(f"{name}: no such benchmark; choose {', '.join(BENCHMARKS)}")
    bench = importlib.import_module(f"gcn.bench.{name}").bench
    known = inspect.signature(bench).parameters
    said: dict[str, object] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in known:
            raise InputError(f"{word}: give {', '.join(f'{k}={p.default!r}' for k, p in known.items())}")
        if isinstance(known[key].default, int):
            if not value.isdecimal() or int(value) < 1:
                raise InputError(f"{word}: give a whole number of at least 1")
            said[key] = int(value)
        else:
            said[key] = value
    return bench, said


def main(words: list[str]) -> int:
    return guarded(lambda: work(words))


def work(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(__doc__, *(f"  {name:<8}{what}" for name, what in BENCHMARKS.items()), sep="\n")
        return 0
    bench, said = options(words[0], words[1:])
    bench(**said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
