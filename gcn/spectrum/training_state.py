"""Everything that an update of training reads and changes, as one vector that can be displaced.

Parameters of both players, the optimizers' moments, the memories of the rule and of the terms, and the networks'
buffers that an update changes (running means, power iterations). Step counts belong to the state too: they are restored
with it, and are the same in a displaced copy.

**Coordinates.** A parameter counts in its own units. A moment is multiplied by one number a tensor, such that its RMS
is that of the last move of its parameter: a displacement of it counts by about as much as it moves the parameters.
Second moments enter by their square root, √v → (√v + δ)², so that a displaced v is not negative. Exponents do not
depend on the choice of coordinates, only how soon they are reached does. What no gradient has reached (v = 0 exactly)
has no influence on anything and is not displaced.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcn.game.game import Game
from gcn.game.protocols import Players
from gcn.game.rules import Rule
from gcn.spectrum.update_map import load_memory, memory_of, rebuilt, tensors_in

SQUARES = {
    "exp_avg_sq",
    "max_exp_avg_sq",
    "square_avg",
    "sum",
    "v",
}  # second moments, by their names in optimizers
CLOCKS = {"step", "t"}


class Snapshot(NamedTuple):
    """A copy of the whole state of a training at one update.

    Attributes:
        tensors: parameters of G and of D, buffers of both networks, and the tensors in ``memory``, in this order.
        memory: state of the optimizers, the terms and the rule, with numbers such as step counts.
    """

    tensors: tuple[Tensor, ...]
    memory: Any


@dataclass(frozen=True)
class Part:
    """One tensor of a snapshot that belongs to the vector.

    Attributes:
        place: index in ``Snapshot.tensors``.
        owner: ``g``, ``d`` or ``shared``.
        of: index of the parameter that it belongs to, its own for a parameter; None for what is shared.
        unit: coordinate = unit · value.
        root: the value is the square root of the tensor.
    """

    place: int
    owner: str
    of: int | None = None
    unit: float = 1.0
    root: bool = False

    def coordinate(self, tensor: Tensor) -> Tensor:
        """The flat coordinates (n,) of the tensor."""
        return self.unit * (tensor.sqrt() if self.root else tensor).reshape(-1)

    def displaced(self, tensor: Tensor, offset: Tensor) -> Tensor:
        """The tensor with its coordinates moved by ``offset`` (n,)."""
        change = (offset / self.unit).view_as(tensor)
        return (tensor.sqrt() + change).square() if self.root else tensor + change


class TrainingState:
    """Copies, restores and displaces the state of a training.

    Args:
        game, rule, players: what :func:`gcn.game.rules.update` takes. Nothing is copied: they are read and written.
        memory_scale: factor on the units of all that is no parameter; another norm, the same exponents.
    """

    def __init__(self, game: Game, rule: Rule, players: Players, memory_scale: float = 1.0) -> None:
        self.game, self.rule, self.players, self.memory_scale = game, rule, players, memory_scale
        self._named = {"g": players.g} if players.g is players.d else {"g": players.g, "d": players.d}
        modules = [game.generator, *([] if game.discriminator is None else [game.discriminator])]
        self._live = [p for player in self._named.values() for p in player.parameters]
        self._parameters = len(self._live)
        self._live += [buffer for module in modules for buffer in module.buffers()]
        self.parts: list[Part] = []
        self.sizes: list[int] = []
        self._reached = torch.empty(0)

    def take(self) -> Snapshot:
        """A copy of the present state."""
        memory = {name: player.state_dict() for name, player in self._named.items()}
        memory |= memory_of(self.game, self.rule)
        tensors = [t.detach().clone() for t in (*self._live, *tensors_in(memory))]
        return Snapshot(tuple(tensors), memory)

    @torch.no_grad()
    def put(self, snapshot: Snapshot) -> None:
        """Restore a state."""
        for live, value in zip(self._live, snapshot.tensors, strict=False):
            live.data.copy_(value)
        remembered = (t.clone() for t in snapshot.tensors[len(self._live) :])
        memory = rebuilt(snapshot.memory, remembered)
        for name, player in self._named.items():
            player.load_state_dict(memory[name])
        load_memory(self.game, self.rule, memory)

    def lay_out(self, before: Snapshot, after: Snapshot) -> None:
        """Decide what belongs to the vector, from the states before and after one update.

        Raises:
            ValueError: parameters are not float64.
        """
        if any(t.dtype != torch.float64 for t in self._live[: self._parameters]):
            raise ValueError("differences of states need float64")
        self.parts = [Part(i, owner, i) for i, owner in enumerate(self._owners())]
        for place in range(self._parameters, len(self._live)):
            old, new = before.tensors[place], after.tensors[place]
            if new.is_floating_point() and not torch.equal(old, new):
                self.parts.append(Part(place, "shared", unit=self.memory_scale))
        self.parts += self._memories(before, after)
        self.sizes = [after.tensors[part.place].numel() for part in self.parts]
        reached = {part.of: after.tensors[part.place] != 0 for part in self.parts if part.root}
        everywhere = [torch.ones(size, dtype=torch.bool) for size in self.sizes]
        pairs = zip(self.parts, everywhere, strict=True)
        self._reached = torch.cat([reached.get(part.of, one).reshape(-1) for part, one in pairs])

    def _owners(self) -> Iterator[str]:
        for name, player in self._named.items():
            yield from [name] * len(player.parameters)

    def _memories(self, before: Snapshot, after: Snapshot) -> Iterator[Part]:
        moves = [_rms(b - a) for a, b in zip(before.tensors, after.tensors[: self._parameters], strict=False)]
        place, first = len(self._live), 0
        for name, player in self._named.items():
            own = moves[first : (first := first + len(player.parameters))]
            seen: dict[str, int] = {}
            for kind, tensor in _named_tensors(after.memory[name]):
                order = seen[kind] = seen.get(kind, -1) + 1
                if kind not in CLOCKS and tensor.is_floating_point():
                    root = kind in SQUARES
                    size = _rms(tensor.sqrt() if root else tensor)
                    unit = own[order] / size if size > 0 and own[order] > 0 else 1.0
                    of = first - len(own) + order
                    yield Part(place, name, of, self.memory_scale * unit, root)
                place += 1
        for tensor in after.tensors[place:]:
            if tensor.is_floating_point():
                yield Part(place, "shared", unit=self.memory_scale)
            place += 1

    def vector(self, snapshot: Snapshot) -> Tensor:
        """The coordinates (K,) of a state."""
        return torch.cat([part.coordinate(snapshot.tensors[part.place]) for part in self.parts]).double()

    def displaced(self, snapshot: Snapshot, offset: Tensor) -> Snapshot:
        """The state with its coordinates moved by ``offset`` (K,)."""
        tensors = list(snapshot.tensors)
        for part, piece in zip(self.parts, offset.split(self.sizes), strict=True):
            tensors[part.place] = part.displaced(tensors[part.place], piece)
        return Snapshot(tuple(tensors), snapshot.memory)

    def mask(self, *owners: str) -> Tensor:
        """Numbers (K,), 1 where the coordinate belongs to one of the owners and counts, else 0."""
        belongs = [float(part.owner in owners) for part in self.parts]
        whole = torch.repeat_interleave(torch.tensor(belongs, dtype=torch.float64), torch.tensor(self.sizes))
        return whole * self._reached

    def norm(self, snapshot: Snapshot) -> float:
        """Euclidean norm of all parameters of both players."""
        return float(
            torch.stack([t.square().sum() for t in snapshot.tensors[: self._parameters]]).sum().sqrt()
        )


def _named_tensors(memory: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a nest in the order of :func:`tensors_in`, each with the last name on the way to it."""
    if isinstance(memory, Tensor):
        yield name, memory
    elif isinstance(memory, dict):
        for key, part in memory.items():
            yield from _named_tensors(part, key if isinstance(key, str) else name)
    elif isinstance(memory, list | tuple):
        for part in memory:
            yield from _named_tensors(part, name)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
