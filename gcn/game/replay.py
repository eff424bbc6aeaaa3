"""Players that do not react to the other player: one replays a recorded trajectory, one never moves."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from gcn.game.protocols import Player

Point = tuple[Tensor, ...]  # the parameters of a player, copied


class Recorded:
    """A player that keeps its parameters after each of its moves.

    See :class:`gcn.game.protocols.Player`; everything is passed on to the player it is made of. Moves that do not count
    (``extrapolate``, ``shift``) are kept as well, in order, so that a replay visits the same points under every rule.

    Args:
        player: the player that moves.

    Attributes:
        points: parameters after each move since the last :meth:`take`.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.points: list[Point] = []

    @property
    def parameters(self) -> Sequence[Tensor]:
        return self.player.parameters

    def step(self, gradients: Sequence[Tensor]) -> None:
        self.player.step(gradients)
        self._keep()

    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        self.player.extrapolate(gradients)
        self._keep()

    def shift(self, moves: Sequence[Tensor]) -> None:
        self.player.shift(moves)
        self._keep()

    def set_learning_rate(self, factor: float) -> None:
        self.player.set_learning_rate(factor)  # type: ignore[attr-defined]

    def state_dict(self) -> Any:
        return self.player.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.player.load_state_dict(state)

    def take(self) -> list[Point]:
        """The points since the last call, which are forgotten here."""
        points, self.points = self.points, []
        return points

    def _keep(self) -> None:
        self.points.append(point_of(self.player.parameters))


class Replayed:
    """A player that repeats a recorded trajectory, whatever its gradients are.

    Args:
        parameters: what is moved; of the same shapes as the points.
        points: parameters after each move; more may be given later by :meth:`follow`.
        after: called after each move that counts.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        points: Iterable[Point] = (),
        after: Callable[[], None] | None = None,
    ) -> None:
        self.parameters: Sequence[Tensor] = list(parameters)
        self._points, self._after = list(points), after

    def follow(self, points: Iterable[Point]) -> None:
        """Add points that are visited next."""
        self._points += points

    @torch.no_grad()
    def place(self, point: Point) -> None:
        """Put the parameters at a point."""
        for parameter, value in zip(self.parameters, point, strict=True):
            parameter.copy_(value)

    def step(self, gradients: Sequence[Tensor]) -> None:
        self.extrapolate(gradients)
        if self._after is not None:
            self._after()

    def extrapolate(self, gradients: Sequence[Tensor]) -> None:
        if not self._points:
            raise ValueError("the replayed trajectory has ended")
        self.place(self._points.pop(0))

    shift = step

    def set_learning_rate(self, factor: float) -> None:
        """Does nothing: the steps are those of the recorded trajectory."""

    def state_dict(self) -> None:
        """Nothing: a replayed player has no memory."""

    def load_state_dict(self, state: Any) -> None:
        """Does nothing."""


class Still:
    """A player that never moves.

    Args:
        parameters: what stays where it is.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters: Sequence[Tensor] = list(parameters)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Does nothing."""

    extrapolate = step
    shift = step

    def set_learning_rate(self, factor: float) -> None:
        """Does nothing: there is no step that it could scale."""

    def state_dict(self) -> None:
        """Nothing: a player that never moves has no memory."""

    def load_state_dict(self, state: Any) -> None:
        """Does nothing."""


def point_of(parameters: Sequence[Tensor]) -> Point:
    """A copy of the parameters."""
    return tuple(parameter.detach().clone() for parameter in parameters)


@torch.no_grad()
def rescaled(point: Point, start: Point, scale: float) -> Point:
    """The point on the line from ``start`` through ``point`` at ``scale`` times its distance; at 1 the point itself."""
    return tuple(torch.lerp(first, value, scale) for first, value in zip(start, point, strict=True))
