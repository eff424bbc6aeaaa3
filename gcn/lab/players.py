"""Optimizers of thousands of games at once: torch's algorithms, with one learning rate a game.

Every parameter is (E, ...), a row a game. The formulas are those of torch's SGD, RMSprop and Adam (a test holds the
trajectories together), written out because torch's optimizers know no step size per row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gcn.game.slots import Constraint

Factory = Callable[[Sequence[Tensor]], "Descent"]


class Linear(NamedTuple):
    """An optimizer with its preconditioner frozen: m ← beta·m + gain·g, w ← w - lr·precondition·m."""

    precondition: list[Tensor]
    beta: float
    gain: float


PLAIN = Linear([torch.ones(1, 1)], beta=0.0, gain=1.0)  # gradient descent


class Descent:
    """Gradient descent: w ← w - lr·move(g); see :class:`gcn.game.protocols.Player`.

    Args:
        parameters: tensors (E, ...).
        lr: step size, one for all games or one each (E,).
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float | Tensor = 0.1) -> None:
        self.parameters = list(parameters)
        self.lr = lr
        self.state: dict[str, Any] = {}
        self.after: Callable[[], None] | None = None  # holds a constraint after each move that counts

    def zeros(self) -> list[Tensor]:
        """A zero buffer for each parameter."""
        return [torch.zeros_like(p, requires_grad=False) for p in self.parameters]

    def move(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The direction of the move, before the learning rate; updates ``state``."""
        return list(gradients)

    def linear(self) -> Linear:
        """The optimizer with its present preconditioner, as a linear map."""
        return Linear([torch.ones_like(p) for p in self.parameters], 0.0, 1.0)

    def step(self, gradients: Sequence[Tensor]) -> None:
        self.extrapolate(gradients)
        if self.after is not None:
            self.after()

    @torch.no_grad()
    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        moves = self.move(gradients)
        for parameter, move in zip(self.parameters, moves, strict=True):
            lr = self.lr
            if isinstance(lr, Tensor):
                lr = lr.reshape(-1, *[1] * (parameter.dim() - 1))
            parameter.sub_(lr * move)

    @torch.no_grad()
    def shift(self, moves: Sequence[Tensor]) -> None:
        for parameter, move in zip(self.parameters, moves, strict=True):
            parameter.add_(move)
        if self.after is not None:
            self.after()

    def state_dict(self) -> dict[str, Any]:
        return {
            name: [t.clone() for t in value] if isinstance(value, list) else value
            for name, value in self.state.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


def hold(player: Descent, constraints: Sequence[Constraint], discriminator: nn.Module) -> None:
    """Prepare D for the constraints on its weights, and apply them after each move of its player."""
    for constraint in constraints:
        constraint.prepare(discriminator)

    def after() -> None:
        for constraint in constraints:
            constraint.after_step(discriminator)

    player.after = after if constraints else None


class SGD(Descent):
    """Gradient descent, plain or with heavy-ball momentum: m ← momentum·m + g, w ← w - lr·m."""

    def __init__(self, parameters: Iterable[Tensor], lr: float | Tensor = 0.1, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum
        if momentum:
            self.state = {"m": self.zeros()}

    def move(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        if not self.momentum:
            return list(gradients)
        for m, g in zip(self.state["m"], gradients, strict=True):
            m.mul_(self.momentum).add_(g)
        return self.state["m"]

    def linear(self) -> Linear:
        return super().linear()._replace(beta=self.momentum)


class RMSProp(Descent):
    """v ← alpha·v + (1-alpha)·g², w ← w - lr·g/(√v + eps) (Tieleman and Hinton 2012)."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float | Tensor = 0.01, alpha: float = 0.99, eps: float = 1e-8
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha, self.eps = alpha, eps
        self.state = {"v": self.zeros()}

    def move(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        for v, g in zip(self.state["v"], gradients, strict=True):
            v.mul_(self.alpha).addcmul_(g, g, value=1 - self.alpha)
        return [g / (v.sqrt() + self.eps) for v, g in zip(self.state["v"], gradients, strict=True)]

    def linear(self) -> Linear:
        return Linear([1 / (v.sqrt() + self.eps) for v in self.state["v"]], 0.0, 1.0)


class Adam(Descent):
    """m, v: averages of g and g²; w ← w - lr·m̂/(√v̂ + eps) (Kingma and Ba 2015)."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Tensor = 0.01,
        betas: Sequence[float] = (0.5, 0.9),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps = tuple(betas), eps
        self.state = {"t": 0, "m": self.zeros(), "v": self.zeros()}

    def _scale(self, v: Tensor) -> Tensor:
        return (v / (1 - self.betas[1] ** max(self.state["t"], 1))).sqrt() + self.eps

    def move(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        one, two = self.betas
        self.state["t"] += 1
        for m, v, g in zip(self.state["m"], self.state["v"], gradients, strict=True):
            m.mul_(one).add_(g, alpha=1 - one)
            v.mul_(two).addcmul_(g, g, value=1 - two)
        correction = 1 - one ** self.state["t"]
        return [
            m / correction / self._scale(v) for m, v in zip(self.state["m"], self.state["v"], strict=True)
        ]

    def linear(self) -> Linear:
        return Linear([1 / self._scale(v) for v in self.state["v"]], self.betas[0], 1 - self.betas[0])
