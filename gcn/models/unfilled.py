"""Layers without the random numbers that they begin with, for networks whose weights come from a file."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """Context in which layers leave their weights as the memory was: a file's weights replace all of them.

    Random numbers for the 138 million weights of VGG16 take longer than reading these from the file.
    """

    def __torch_function__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)
