"""Integer frequency tables, from which the entropy coder knows the probability of each symbol.

A table gives each symbol of a range a frequency, the frequencies sum to 2^16, and its last entry stands for all
symbols outside of the range (they are *escaped* and written out). The coder turns frequencies into its own
fixed-point numbers by arithmetic on integers below 2^53, hence equally on every machine. What is *not* equal
everywhere are the probabilities from which the tables are made: tables are made once and stored with a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

TOTAL = 2**16
OUTSIDE = 1 / TOTAL  # share of the mass that a range leaves to escapes


@dataclass(frozen=True)
class Tables:
    """K frequency tables, stored one after the other.

    Attributes:
        offsets: (K,) the first symbol of each range.
        lengths: (K,) entries of each table, the escape included.
        frequencies: (lengths.sum(),) positive, ``TOTAL`` in each table.
    """

    offsets: Integers
    lengths: Integers
    frequencies: Integers

    @classmethod
    def of(cls, masses: Sequence[Floats], offsets: Sequence[int]) -> "Tables":
        """Tables of K probability mass functions over ``offset``, ``offset`` + 1, …

        Symbols in tails of less than half of ``OUTSIDE`` are left to the escape.
        """
        kept = [_trimmed(mass, offset) for mass, offset in zip(masses, offsets, strict=True)]
        tables = [_integer(mass) for mass, _ in kept]
        return cls(
            np.array([offset for _, offset in kept], np.int32),
            np.array([len(table) for table in tables], np.int32),
            np.concatenate(tables).astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.offsets)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(K + 1,) index among the frequencies at which each table begins."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def table(self, k: int) -> Integers:
        """The frequencies of table ``k``; the last one is that of the escape symbol."""
        return self.frequencies[self.starts[k] : self.starts[k + 1]]

    @cached_property
    def costs(self) -> Floats:
        """Bits of each entry, -log2(frequency / ``TOTAL``)."""
        return np.subtract(16.0, np.log2(self.frequencies), dtype=np.float64)

    @cached_property
    def cheapest(self) -> Floats:
        """(K,) bits of the most frequent entry of each table, a lower bound on the bits of a symbol."""
        return np.array([self.costs[a:b].min() for a, b in pairwise(self.starts)])

    def check(self, count: int | None = None) -> None:
        """Raise ValueError for arrays that are not tables, ``count`` of them, as a damaged file may hold."""
        for array in (self.offsets, self.lengths, self.frequencies):
            if array.dtype != np.int32 or array.ndim != 1:
                raise ValueError("tables that are not lists of integers")
        if not len(self.offsets) == len(self.lengths) == (count or len(self.offsets)):
            raise ValueError("another number of ranges than the codec has tables")
        if (self.lengths < 1).any() or (self.lengths > TOTAL).any():
            raise ValueError("ranges without entries, or with too many")
        if (self.offsets < -TOTAL).any() or (self.offsets > TOTAL).any():
            raise ValueError("ranges far from all symbols")
        if len(self.frequencies) != self.starts[-1] or (self.frequencies < 1).any():
            raise ValueError("frequencies that do not fill their tables")
        if (np.add.reduceat(self.frequencies.astype(np.int64), self.starts[:-1]) != TOTAL).any():
            raise ValueError("frequencies that do not sum to one")


def _trimmed(mass: Floats, offset: int) -> tuple[Floats, int]:
    total = np.cumsum(mass)
    first = int(np.searchsorted(total, OUTSIDE / 2))
    last = int(np.searchsorted(total, total[-1] - OUTSIDE / 2))
    first = min(first, len(mass) - 1)
    return mass[first : max(last, first) + 1], offset + first


def _integer(mass: Floats) -> Integers:
    """Positive integers that sum to ``TOTAL``: the mass's and the escape's, which gets what is left and at least 1."""
    entries = len(mass) + 1
    if entries > TOTAL // 2:
        raise ValueError(f"a range of {entries} symbols does not fit a table of {TOTAL}")
    frequencies = np.floor(np.append(mass, 0.0) * (TOTAL - entries)).astype(np.int64) + 1
    frequencies[np.argmax(frequencies)] += TOTAL - frequencies.sum()
    return frequencies.astype(np.int32)
