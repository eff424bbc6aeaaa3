"""Symbols to bytes and back, by constriction's ANS coder.

A codec describes its bitstream once, as a function that calls ``coder.code`` for one block of symbols after the
other. A `Writer` notes the blocks, a `Reader` returns them from the bytes, a `Counter` adds up what they cost: so
what is written, read and estimated cannot differ in order.

Within a block, symbols are grouped by table, as a table is set up once for all of its symbols. Symbols beyond a
table's range leave its escape behind and follow at the end of the block, their length in bits first.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from gcn.codec.tables import Integers, Tables
from gcn.errors import InputError

_stack, _model = constriction.stream.stack, constriction.stream.model

LARGEST = 2**30  # magnitude of a symbol
_LENGTHS, _HALF = 33, 16  # an escaped number has up to 32 bits, written in two halves
_SLACK = 64  # bits of the coder's state: a stream may end by so much before the sum of its symbols' costs

Index = NDArray[np.uint8]


class Coder(Protocol):
    """Interface of the entropy coder: codes one block of symbols after the other."""

    checksum: int

    def code(
        self, symbols: Integers | None, tables: Tables, shape: tuple[int, ...], index: Index | None = None
    ) -> Integers:
        """The symbols of one block, as the decoder will have them.

        Args:
            symbols: int32 of this shape, or None where they come from a file.
            tables: of all symbols.
            shape: of the block.
            index: uint8 of this shape, the table of each symbol; None: the symbols of row k have table k.
        """


@dataclass
class _Block:
    """Symbols ordered by table: ``groups`` yields (table, slice of the ordered symbols)."""

    tables: Tables
    order: NDArray[np.int64] | None
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, tables: Tables, shape: tuple[int, ...], index: Index | None) -> "_Block":
        size = int(np.prod(shape))
        if index is None:
            return cls(tables, None, np.full(len(tables), size // len(tables)))
        flat = index.reshape(-1)
        return cls(tables, np.argsort(flat, kind="stable"), np.bincount(flat, minlength=len(tables)))

    def groups(self) -> Iterator[tuple[int, slice]]:
        ends = np.cumsum(self.counts)
        for k in np.flatnonzero(self.counts).tolist():
            yield k, slice(int(ends[k] - self.counts[k]), int(ends[k]))

    def sort(self, symbols: Integers) -> Integers:
        flat = symbols.reshape(-1)
        return flat if self.order is None else flat[self.order]

    def unsort(self, ordered: Integers, shape: tuple[int, ...]) -> Integers:
        if self.order is None:
            return ordered.reshape(shape)
        flat = np.empty_like(ordered)
        flat[self.order] = ordered
        return flat.reshape(shape)

    def entries(self, ordered: Integers) -> tuple[Integers, NDArray[np.int64]]:
        """Table entry of each symbol, and the remainders of the escaped symbols as non-negative numbers."""
        entries = np.empty_like(ordered)
        escaped = []
        for k, part in self.groups():
            entry = ordered[part].astype(np.int64) - self.tables.offsets[k]
            inside = int(self.tables.lengths[k]) - 1
            below, above = entry < 0, entry >= inside
            if (outside := below | above).any():
                folded = np.where(below, -2 * entry - 1, 2 * (entry - inside))
                escaped.append(folded[outside])
                entry[outside] = inside
            entries[part] = entry
        return entries, np.concatenate(escaped) if escaped else np.empty(0, np.int64)

    def restore(self, entries: Integers, escaped: NDArray[np.int64]) -> Integers:
        """Symbols of table entries and remainders: the inverse of :meth:`entries`."""
        ordered, taken = np.empty_like(entries), 0
        for k, part in self.groups():
            entry = entries[part].astype(np.int64)
            inside = int(self.tables.lengths[k]) - 1
            outside = entry == inside
            if count := int(outside.sum()):
                folded = escaped[taken : taken + count]
                entry[outside] = np.where(folded % 2, -(folded + 1) // 2, folded // 2 + inside)
                taken += count
            ordered[part] = (entry + self.tables.offsets[k]).clip(-LARGEST, LARGEST)
        return ordered

    def number_escaped(self, entries: Integers) -> int:
        return sum(int((entries[part] == self.tables.lengths[k] - 1).sum()) for k, part in self.groups())


def model(tables: Tables, k: int) -> Any:
    """constriction's model of table ``k``."""
    return _model.Categorical(tables.table(k).astype(np.float64), lazy=False, perfect=False)


def _sum(checksum: int, symbols: Integers) -> int:
    return zlib.crc32(np.ascontiguousarray(symbols, "<i4").data, checksum)


class Writer:
    """Coder that stores blocks; ``bytes`` is the stream from which a :class:`Reader` returns them."""

    def __init__(self) -> None:
        self.checksum = 0
        self._blocks: list[tuple[_Block, Integers, NDArray[np.int64]]] = []

    def code(
        self, symbols: Integers | None, tables: Tables, shape: tuple[int, ...], index: Index | None = None
    ) -> Integers:
        """Store a block and return it; see :class:`Coder`."""
        assert symbols is not None
        block = _Block.of(tables, shape, index)
        self._blocks.append((block, *block.entries(block.sort(symbols))))
        self.checksum = _sum(self.checksum, symbols)
        return symbols

    def bytes(self) -> bytes:
        """The stream of all blocks so far; a multiple of four bytes."""
        ans = _stack.AnsCoder()
        for block, entries, escaped in reversed(self._blocks):
            _push_numbers(ans, escaped)
            for k, part in reversed(list(block.groups())):
                ans.encode_reverse(entries[part], model(block.tables, k))
        return ans.get_compressed().astype("<u4").tobytes()


class Reader:
    """Coder that returns the blocks of a stream.

    Whatever the bytes are, it ends, and needs no more memory than the symbols.

    Raises:
        InputError: in ``code`` and ``finish``, for a stream that no `Writer` made.
    """

    def __init__(self, data: bytes) -> None:
        self.checksum = 0
        if len(data) % 4:
            raise InputError("the file is damaged: its stream is no multiple of four bytes")
        try:
            self._ans = _stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))
        except ValueError:
            raise InputError("the file is damaged: its stream ends in zeros") from None

    def code(
        self, symbols: Integers | None, tables: Tables, shape: tuple[int, ...], index: Index | None = None
    ) -> Integers:
        """Decode a block from the stream; see :class:`Coder`."""
        block = _Block.of(tables, shape, index)
        if float(block.counts @ tables.cheapest) > self._ans.num_bits() + _SLACK:
            raise InputError("the file is damaged: its stream is too short for an image of this size")
        entries = np.empty(int(block.counts.sum()), np.int32)
        for k, part in block.groups():
            entries[part] = self._ans.decode(model(tables, k), part.stop - part.start)
        escaped = _pop_numbers(self._ans, block.number_escaped(entries))
        found = block.unsort(block.restore(entries, escaped), shape)
        self.checksum = _sum(self.checksum, found)
        return found

    def finish(self) -> None:
        """Raise InputError if the stream holds more than the blocks that were read."""
        if not self._ans.is_empty():
            raise InputError("the file is damaged: its stream is longer than its image")


class Counter:
    """Coder that adds up ``bits``: -log2 of the tables' frequencies, and the bits of escaped numbers."""

    def __init__(self) -> None:
        self.checksum, self.bits, self.symbols, self.escaped = 0, 0.0, 0, 0

    def code(
        self, symbols: Integers | None, tables: Tables, shape: tuple[int, ...], index: Index | None = None
    ) -> Integers:
        """Add the bits of a block and return it; see :class:`Coder`."""
        assert symbols is not None
        block = _Block.of(tables, shape, index)
        entries, escaped = block.entries(block.sort(symbols))
        costs = (tables.costs[tables.starts[k] + entries[part]].sum() for k, part in block.groups())
        self.bits += float(sum(costs)) + float((_bit_length(escaped).clip(1) - 1 + np.log2(_LENGTHS)).sum())
        self.symbols += symbols.size
        self.escaped += len(escaped)
        self.checksum = _sum(self.checksum, symbols)
        return symbols


# An escaped number n >= 0 of L bits: L, then what follows its leading 1, at most 16 bits at a time.


def _bit_length(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)  # exact below 2^53


def _halves(lengths: NDArray[np.int64]) -> tuple[Integers, Integers]:
    """Alphabets of the low and the high part of the rest of numbers of these lengths."""
    rest = (lengths - 1).clip(0)
    low = rest.clip(max=_HALF)
    return (1 << low).astype(np.int32), (1 << (rest - low)).astype(np.int32)


def _push_numbers(ans: Any, numbers: NDArray[np.int64]) -> None:
    if not len(numbers):
        return
    lengths = _bit_length(numbers)
    low, high = _halves(lengths)
    rest = numbers - np.where(lengths > 0, 1 << (lengths - 1).clip(0), 0)
    for digits, sizes in (((rest // low), high), ((rest % low), low)):
        some = sizes > 1  # an alphabet of one needs no digit, and constriction refuses it
        if some.any():
            ans.encode_reverse(digits[some].astype(np.int32), _model.Uniform(), sizes[some])
    ans.encode_reverse(lengths.astype(np.int32), _model.Uniform(_LENGTHS))


def _pop_numbers(ans: Any, count: int) -> NDArray[np.int64]:
    if not count:
        return np.empty(0, np.int64)
    lengths = ans.decode(_model.Uniform(_LENGTHS), count).astype(np.int64)
    low, high = _halves(lengths)
    rest = np.zeros(count, np.int64)
    for factors, sizes in ((np.ones_like(low), low), (low, high)):
        some = sizes > 1
        if some.any():
            rest[some] += factors[some] * ans.decode(_model.Uniform(), sizes[some]).astype(np.int64)
    return rest + np.where(lengths > 0, 1 << (lengths - 1).clip(0), 0)
