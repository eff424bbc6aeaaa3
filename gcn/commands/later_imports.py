"""Modules that Lightning and torch import and a program hardly uses, executed at their first real use.

``import lightning`` executes all of torchmetrics (with torchvision, scipy and matplotlib) for two classes, and triton
for a counter of operations. Lightning and torch also import torch's compiler, only to tell it what not to compile. A
program that computes a metric of torchmetrics or calls ``torch.compile`` finds all of it as it would otherwise.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

COMPILER, HELPERS, FLOPS = "torch._dynamo", "torch._dynamo.utils", "torch.utils.flop_counter"
METRICS, PLOTS = "torchmetrics", "torchmetrics.utilities.plot"
# What Lightning takes from torchmetrics, and the modules that define it.
PARTS = {
    "Metric": "torchmetrics.metric",
    "MetricCollection": "torchmetrics.collections",
    "__version__": "torchmetrics.__about__",
}


class Later(ModuleType):
    """A module whose own code is executed when anything is asked of it that is not offered here."""

    own: ModuleSpec

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself looks for in any module
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.load()
        return getattr(self, name)

    def load(self) -> None:
        """Execute the module's own code."""
        own = self.own
        assert own.loader is not None
        del self.own
        self.__spec__, self.__loader__ = own, own.loader
        self.__class__ = ModuleType  # type: ignore[assignment]
        own.loader.exec_module(self)


class Metrics(Later):
    """The package torchmetrics, of which single modules can be imported."""

    def __getattr__(self, name: str) -> Any:
        if name == "_logger":  # of its modules
            return logging.getLogger(METRICS)
        if name in PARTS:
            if name != "__version__":
                import_module("torchmetrics.utilities")  # first: it and torchmetrics.metric import each other
            return getattr(import_module(PARTS[name]), name)
        return super().__getattr__(name)


class Plots(Later):
    """torchmetrics' drawing, with matplotlib; every metric names it in the annotations of its method ``plot``."""

    _AX_TYPE = _PLOT_OUT_TYPE = object

    def plot_single_or_multi_val(self, *arguments: Any, **keywords: Any) -> Any:
        """Draw by the module's own function."""
        return _loaded(PLOTS).plot_single_or_multi_val(*arguments, **keywords)


class Flops(Later):
    """torch's counter of floating-point operations, with triton; Lightning's summary of a model can use it."""

    def FlopCounterMode(self, *arguments: Any, **keywords: Any) -> Any:
        """A counter, of the module's own class."""
        return _loaded(FLOPS).FlopCounterMode(*arguments, **keywords)


class _IsCompiled(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return is_loaded(COMPILER) and isinstance(instance, sys.modules[COMPILER].OptimizedModule)


class _Compiled(metaclass=_IsCompiled):
    """Class for ``isinstance``: what ``torch.compile`` returned, which nothing is before the compiler is loaded."""


class _Rules(ModuleType):
    """What the compiler knows of functions, of which nothing is kept before it is loaded."""

    def clear_lru_cache(self) -> None:
        """Does nothing: nothing is cached. ``torch.distributed`` asks for it when a group of processes begins."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_loaded(COMPILER).trace_rules, name)


class Compiler(Later):
    """The package of torch's compiler; its modules import one another, so they are imported after all of it."""

    trace_rules = _Rules("rules")

    @property
    def OptimizedModule(self) -> type:
        return _Compiled

    def graph_break(self, message: str = "") -> None:
        """Does nothing: there is no graph."""

    def disable(self, function: Callable[..., Any], *options: Any, **named: Any) -> Callable[..., Any]:
        """The function, which the compiler is told to leave alone once it is loaded."""
        disabled: list[Callable[..., Any]] = []

        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if not is_loaded(COMPILER):
                return function(*arguments, **keywords)
            if not disabled:
                disabled.append(sys.modules[COMPILER].disable(function, *options, **named))
            return disabled[0](*arguments, **keywords)

        return call


class Helpers(Later):
    """Functions of the compiler, of which torchvision takes one for its operators."""

    def is_compile_supported(self, device: str) -> Any:
        """Whether the compiler can be used for a device."""
        return _loaded(COMPILER).utils.is_compile_supported(device)

    def load(self) -> None:
        """Execute the module's own code, which needs all of the compiler."""
        _loaded(COMPILER)  # which imports this module
        if isinstance(self, Helpers):
            super().load()


KINDS: dict[str, type[Later]] = {
    METRICS: Metrics,
    PLOTS: Plots,
    FLOPS: Flops,
    COMPILER: Compiler,
    HELPERS: Helpers,
}


def _loaded(name: str) -> ModuleType:
    """A module whose own code has been executed, here if nowhere before."""
    module = sys.modules[name]
    if isinstance(module, Later):
        module.load()
    return module


def is_loaded(name: str) -> bool:
    """Whether a module's own code has been executed."""
    return name in sys.modules and not isinstance(sys.modules[name], Later)


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of ``KINDS`` in the form that is executed later."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if name in KINDS:
            own = PathFinder.find_spec(name, path)
            if own is None or own.origin is None:
                return None
            places = own.submodule_search_locations  # of a package
            spec = spec_from_loader(name, self, origin=own.origin, is_package=places is not None)
            assert spec is not None
            spec.submodule_search_locations, spec.loader_state = places, own
            return spec
        compiler = sys.modules.get(COMPILER)
        if not name.startswith(COMPILER + ".") or not isinstance(compiler, Compiler):
            return None
        compiler.load()
        if name not in sys.modules:
            return None
        return spec_from_loader(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module to be executed later, or one that the compiler has imported."""
        if spec.name in KINDS:
            module = KINDS[spec.name](spec.name)
            module.own = spec.loader_state
            module.__file__ = spec.origin
            return module
        spec.loader_state = sys.modules[spec.name].__spec__
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Execute nothing; a module that is executed already gets its own specification back."""
        if not isinstance(module, Later):
            assert module.__spec__ is not None
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Let the modules be found in this form from now on; those that are imported already stay as they are."""
    sys.meta_path.insert(0, _Finder())
