"""Random numbers for many games at once, paired by their seeds.

Game i draws exactly what a game with ``gcn.game.streams.Streams(seeds[i])`` draws when it is trained alone. So the
games of one seed see the same data, the same noise and the same initial weights whatever they pay (arms are paired by
seed), and no game's numbers depend on how many others there are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.streams import Stream, Streams


class PairedStream(Stream):
    """One stream for each seed; tensors are (E, ...), and games of one seed share their rows.

    Args:
        streams: of the U different seeds.
        rows: which of them each game draws from (E,); None where there is one game a seed.
    """

    def __init__(self, streams: Sequence[Stream], rows: Tensor | None = None) -> None:
        super().__init__(streams[0].key)
        self.streams, self.rows = streams, rows

    def child(self, *key: int | str) -> "PairedStream":
        return PairedStream([stream.child(*key) for stream in self.streams], self.rows)

    def _spread(self, drawn: list[Tensor]) -> Tensor:
        each = torch.stack(drawn)
        return each if self.rows is None else each[self.rows]

    def normal(self, like: Tensor) -> Tensor:
        return self._spread([stream.normal(like[0]) for stream in self.streams])

    def uniform(self, like: Tensor) -> Tensor:
        return self._spread([stream.uniform(like[0]) for stream in self.streams])

    def common_uniform(self, like: Tensor) -> Tensor:
        return self._spread([stream.common_uniform(like[0]) for stream in self.streams])

    def permutation(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """Raises InputError: a permutation of rows would exchange the games."""
        raise InputError(
            "relativistic=pair_shuffled: many games at once cannot be shuffled; use pair, for a generator that is "
            "fed noise has no partner of x and the two are the same"
        )


class PairedStreams(Streams):
    """The streams of E games, one seed for each.

    Args:
        seeds: one a game; equal seeds, equal numbers.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__(seeds[0])
        different = list(dict.fromkeys(seeds))
        self.each = [Streams(seed) for seed in different]
        paired = len(different) < len(seeds)
        self.rows = torch.tensor([different.index(seed) for seed in seeds]) if paired else None

    def at(self, *key: int | str) -> PairedStream:
        return PairedStream([streams.at(*key) for streams in self.each], self.rows)
