"""Means and norms over the joint batch of all processes, or over each of many games.

Losses and terms never call ``.mean()`` themselves. They ask a :class:`Reduction`, which knows two things that a formula
should not care about: the batch may be spread over several processes, and in the lab thousands of games may be played
at once, one per row of every tensor.

Under several processes every mean is the mean over the joint batch *inside the autograd graph*, and gradients are
averaged inside the graph as well. So a norm of a gradient is the norm of the global gradient (the mean of local norms
is something else), and relativistic averages, consensus terms and extragradient steps are those of one process with the
joint batch. Each rank differentiates its own replica of the loss; the adjoint of a sum over ranks is a sum over ranks,
so ``average`` of the per-rank results is exactly the gradient of the joint loss.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

Result = TypeVar("Result")


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose backward is an all-reduce: differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:  # type: ignore[override]
        total = local.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _SumOverRanks.apply(gradient)


def world_size() -> int:
    """Number of processes that train the same game."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_ranks(local: Tensor) -> Tensor:
    """Mean over processes of equally weighted values; differentiable, and the identity for one process."""
    world = world_size()
    return local if world == 1 else _SumOverRanks.apply(local) / world


def of_first_rank(make: Callable[[], Result]) -> Result:
    """The first process's result of a function, on all processes: decisions based on it are the same everywhere."""
    if world_size() == 1:
        return make()
    shared = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(shared)
    return cast(Result, shared[0])


class Reduction:
    """Reduces tensors ``(B, ...)`` to scalars, or ``(E, B, ...)`` to ``(E,)`` for an ensemble of E games.

    Args:
        ensemble: the leading dimension of every tensor and parameter counts independent games.
    """

    def __init__(self, ensemble: bool = False) -> None:
        self.ensemble = ensemble
        self._sample_dims = 2 if ensemble else 1

    @property
    def sample_dim(self) -> int:
        """Index of the dimension that counts samples."""
        return self._sample_dims - 1

    def mean(self, values: Tensor) -> Tensor:
        """Mean over samples, channels and pixels of the joint batch."""
        local = values.flatten(1).mean(1) if self.ensemble else values.mean()
        return mean_over_ranks(local)

    def batch_mean(self, values: Tensor) -> Tensor:
        """Mean over the joint batch alone, position by position: ``(B, ...)`` to ``(1, ...)``."""
        return mean_over_ranks(values.mean(self.sample_dim, keepdim=True))

    def keep_mean(self, values: Tensor) -> Tensor:
        """Mean as of :meth:`mean`, in a shape that broadcasts against ``values``."""
        mean = self.mean(values)
        return mean.reshape(-1, *[1] * (values.dim() - 1)) if self.ensemble else mean

    def per_sample_sum(self, values: Tensor) -> Tensor:
        """Sum over everything but the samples: ``(B, ...)`` to ``(B,)``."""
        return values.flatten(self._sample_dims).sum(-1) if values.dim() > self._sample_dims else values

    def per_sample_mean(self, values: Tensor) -> Tensor:
        """Mean over everything but the samples: ``(B, ...)`` to ``(B,)``."""
        return values.flatten(self._sample_dims).mean(-1) if values.dim() > self._sample_dims else values

    def per_sample(self, values: Tensor, like: Tensor) -> Tensor:
        """Reshape ``(B,)`` so that it broadcasts against ``like`` (B, ...)."""
        return values.reshape(*values.shape, *[1] * (like.dim() - values.dim()))

    def square_norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """Squared Euclidean norm of a list of parameter-shaped tensors."""
        if self.ensemble:
            return torch.stack(
                [g.square().flatten(1).sum(1) if g.dim() > 1 else g.square() for g in gradients]
            ).sum(0)
        return torch.stack([g.square().sum() for g in gradients]).sum()

    def gather(self, values: Tensor) -> Tensor:
        """The joint batch: rows of all processes in rank order, differentiable."""
        world = world_size()
        if world == 1:
            return values
        rows = [values if rank == dist.get_rank() else torch.zeros_like(values) for rank in range(world)]
        return _SumOverRanks.apply(torch.cat(rows))

    def local(self, joint: Tensor) -> Tensor:
        """This process's rows of a joint batch."""
        world = world_size()
        return joint if world == 1 else joint.chunk(world)[dist.get_rank()]

    def average(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Mean over processes of per-process gradients, in one message; differentiable."""
        if world_size() == 1:
            return list(gradients)
        flat = mean_over_ranks(torch.cat([g.reshape(-1) for g in gradients]))
        pieces = flat.split([g.numel() for g in gradients])
        return [piece.view_as(g) for piece, g in zip(pieces, gradients, strict=True)]
