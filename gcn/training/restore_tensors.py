"""Checks of the tensors in a checkpoint: each against the one that it replaces, and against each other."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gcn.spectrum.update_map import tensors_in


def check_tensor(name: str, found: Any, shape: Iterable[int], dtype: torch.dtype) -> None:
    """Raise ValueError unless a tensor is dense, on the CPU, finite and of the expected shape and type."""
    if type(found) not in (Tensor, nn.Parameter) or found.layout != torch.strided or found.is_quantized:
        raise ValueError(f"{name} is no plain tensor")
    if found.dtype != dtype or tuple(found.shape) != tuple(shape):
        raise ValueError(f"{name} is {_kind(found.dtype, found.shape)}, this run's is {_kind(dtype, shape)}")
    if found.device.type != "cpu" or not _dense(found):
        raise ValueError(f"{name} does not hold its own numbers")
    if not found.isfinite().all():
        raise ValueError(f"{name} has numbers that are not finite")


def check_apart(names: str, found: Any) -> None:
    """Raise ValueError if two tensors of a nest share memory, so that a change of one would change the other too.

    Args:
        names: what the tensors belong to, for the message.
        found: mappings and lists of tensors that :func:`check_tensor` lets pass, and of plain values.
    """
    spans = sorted((t.data_ptr(), t.data_ptr() + t.nbytes) for t in tensors_in(found) if t.numel())
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise ValueError(f"{names} have two tensors in the same memory")


def _kind(dtype: torch.dtype, shape: Iterable[int]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {'x'.join(map(str, shape)) or 'scalar'}"[:80]


def _dense(t: Tensor) -> bool:
    """Whether each element has its own memory and there are no gaps between them."""
    step = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size > 1:
            if stride != step:
                return False
            step *= size
    return not (t.is_conj() or t.is_neg())
