"""Large libraries are imported without the garbage collector.

What a library makes while it is imported stays to the end of the program. Python's collector goes through all of it
again and again, finds nothing, and takes a fifth of the time that a command needs to begin.
"""

import atexit
import gc
import sys
from collections.abc import Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LARGE = (
    "torch",
    "torchvision",
    "lightning",
    "compressai",
    "matplotlib",
    "scipy",
    "skimage",
    "pyarrow",
    "hydra",
    "wandb",
)


class _Finder(MetaPathFinder):
    """Finds large libraries where Python finds them; what they leave is never looked at by the collector."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in self.names else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            collecting = gc.isenabled()  # not within another large library
            gc.disable()
            try:
                execute(module)
            finally:
                gc.freeze()
                if collecting:
                    gc.enable()

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def install(names: Collection[str] = LARGE) -> None:
    """Import these libraries so from now on."""
    sys.meta_path.insert(0, _Finder(names))
    atexit.register(gc.unfreeze)  # libraries that count their objects at the end miss none
