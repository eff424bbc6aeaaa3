"""A player that a torch optimizer moves."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class OptimizerPlayer:
    """Parameters and the torch optimizer that moves them; see :class:`gcn.game.protocols.Player`.

    ``.grad`` exists only inside of a step, so nothing can be left behind for the other player.

    Args:
        optimizer: a torch optimizer of one parameter group.
        clip: bound on the norm of the joint gradient, or None.
        commit: what makes the step that counts (Lightning's wrapped optimizer for the player that keeps the clock);
            by default the optimizer's own step.
        after: called after each update of the parameters that counts.
        learning_rate: the initial one, which a schedule multiplies; by default the present one of the optimizer,
            which is another where a checkpoint was restored.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        clip: float | None = None,
        commit: Callable[[], Any] | None = None,
        after: Callable[[], None] | None = None,
        learning_rate: float | None = None,
    ) -> None:
        self.optimizer, self.clip = optimizer, clip
        group = optimizer.param_groups[0]
        self.learning_rate: float = group["lr"] if learning_rate is None else learning_rate
        self.parameters: Sequence[Tensor] = group["params"]
        self._commit, self._after = commit or optimizer.step, after
        self.norms: list[Tensor] = []  # of the gradients since the last look, before clipping
        for parameter, state in optimizer.state.items():  # of a checkpoint
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = laid_out(value, parameter)

    def step(self, gradients: Sequence[Tensor]) -> None:
        self._move(gradients, self._commit, counts=True)
        if self._after is not None:
            self._after()

    @torch.no_grad()
    def shift(self, moves: Sequence[Tensor]) -> None:
        for parameter, move in zip(self.parameters, moves, strict=True):
            parameter.add_(move)
        if self._after is not None:
            self._after()

    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        self._move(gradients, self.optimizer.step, counts=False)

    def _move(self, gradients: Sequence[Tensor], step: Callable[[], Any], counts: bool) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = laid_out(gradient.detach(), parameter)
        norm = torch.nn.utils.get_total_norm([g.detach() for g in gradients])
        if counts:
            self.norms.append(norm)
        if self.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        step()
        for parameter in self.parameters:
            parameter.grad = None

    def set_learning_rate(self, factor: float) -> None:
        self.optimizer.param_groups[0]["lr"] = factor * self.learning_rate

    def state_dict(self) -> dict[Tensor, dict[str, Any]]:
        return {
            parameter: {k: v.clone() if isinstance(v, Tensor) else v for k, v in state.items()}
            for parameter, state in self.optimizer.state.items()
        }

    def load_state_dict(self, state: dict[Tensor, dict[str, Any]]) -> None:
        self.optimizer.state.clear()
        self.optimizer.state.update(state)


def laid_out(values: Tensor, like: Tensor) -> Tensor:
    """The same values in the memory layout of ``like``: fused optimizers pair elements by their place in memory."""
    return values if values.stride() == like.stride() else torch.empty_like(like).copy_(values)
