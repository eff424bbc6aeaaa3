"""Tables and the entropy coder."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.codec.coder import LARGEST, Counter, Reader, Writer
from gcn.codec.tables import TOTAL, Tables
from gcn.errors import InputError


def gaussian(scale, reach=50):
    x = np.arange(-reach, reach + 1)
    mass = np.exp(-0.5 * (x / scale) ** 2)
    return mass / mass.sum()


TABLES = Tables.of([gaussian(s) for s in (0.3, 2, 9)], [-50, -50, -50])


def drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(scale=3, size=shape).round().astype(np.int32)


def there_and_back(blocks):
    """Blocks (symbols, index) through a writer and a reader; returns the stream and the bits by the tables."""
    writer, counter = Writer(), Counter()
    for symbols, index in blocks:
        writer.code(symbols, TABLES, symbols.shape, index)
        counter.code(symbols, TABLES, symbols.shape, index)
    stream = writer.bytes()
    reader = Reader(stream)
    for symbols, index in blocks:
        assert np.array_equal(reader.code(None, TABLES, symbols.shape, index), symbols)
    reader.finish()
    assert reader.checksum == writer.checksum == counter.checksum
    return stream, counter


@pytest.mark.parametrize("scale", [0.01, 0.3, 5.0, 200.0])
def test_tables_are_positive_and_sum_to_one(scale):
    tables = Tables.of([gaussian(scale, 2000)], [-2000])
    tables.check()
    table = tables.table(0)
    assert (table >= 1).all()
    assert table.sum() == TOTAL


def test_tails_are_left_to_the_escape():
    tables = Tables.of([gaussian(1.0, 2000)], [-2000])
    assert -6 < tables.offsets[0] < -3
    assert tables.lengths[0] == -2 * tables.offsets[0] + 2


def test_the_coder_spends_what_the_tables_say():
    symbols = drawn((3, 40, 500))
    index = np.random.default_rng(1).integers(0, 3, symbols.shape).astype(np.uint8)
    stream, counter = there_and_back([(symbols, index)])
    assert abs(8 * len(stream) - counter.bits) < 64 + 1e-4 * counter.bits


def test_tables_are_chosen_by_the_index_or_by_the_row():
    symbols = drawn((3, 7, 5))
    rows = np.broadcast_to(np.arange(3, dtype=np.uint8)[:, None, None], symbols.shape).copy()
    assert there_and_back([(symbols, rows)])[0] == there_and_back([(symbols, None)])[0]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-60, 60), min_size=0, max_size=20), max_size=4
    )
)
def test_any_symbols_in_any_number_of_blocks(lists):
    blocks = []
    for i, values in enumerate(lists):
        symbols = np.array(values, np.int32)
        blocks.append((symbols, (np.arange(len(values)) * (i + 1) % 3).astype(np.uint8)))
    there_and_back(blocks)


@pytest.mark.parametrize("symbol", [0, 1, -1, 50, 51, -51, LARGEST, -LARGEST])
def test_a_message_of_one_symbol(symbol):
    stream, counter = there_and_back([(np.array([symbol], np.int32), np.zeros(1, np.uint8))])
    assert len(stream) <= 16
    assert 8 * len(stream) >= counter.bits - 32


@pytest.mark.parametrize(("share", "kept"), [(0.6, 3), (0.4, 1)])
def test_a_tail_of_half_of_what_a_range_may_leave_outside_is_trimmed(share, kept):
    tail = share / TOTAL
    tables = Tables.of([np.array([tail, 1 - 2 * tail, tail])], [7])
    assert (tables.offsets.tolist(), tables.lengths.tolist()) == ([7 if kept == 3 else 8], [kept + 1])


@pytest.mark.parametrize("offset", [TOTAL, -TOTAL])
def test_a_range_may_begin_as_far_from_0_as_a_table_has_shares(offset):
    def tables(first):
        return Tables(np.array([first], np.int32), np.array([1], np.int32), np.array([TOTAL], np.int32))

    tables(offset).check()
    with pytest.raises(ValueError, match="far from all symbols"):
        tables(offset + (1 if offset > 0 else -1)).check()


def test_a_range_takes_half_of_a_tables_shares_at_most():
    def tables(symbols):
        return Tables.of([np.full(symbols, 1 / symbols)], [0])

    tables(TOTAL // 2 - 1).check()
    with pytest.raises(ValueError, match="a range of 32769 symbols does not fit a table of 65536"):
        tables(TOTAL // 2)


@pytest.mark.parametrize("part", ["offsets", "lengths", "frequencies"])
@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint32])
def test_tables_of_other_integers_are_refused(part, dtype):
    parts = {"offsets": TABLES.offsets, "lengths": TABLES.lengths, "frequencies": TABLES.frequencies}
    parts[part] = parts[part].astype(dtype)
    with pytest.raises(ValueError, match="not lists of integers"):
        Tables(**parts).check()


def test_a_magnitude_has_30_bits_and_what_is_beyond_is_clipped():
    beyond = np.array([2**30, 2**30 + 1, 2**31 - 1, -(2**30), -(2**30) - 1, -(2**31) + 1], np.int32)
    index = np.zeros(6, np.uint8)
    writer = Writer()
    writer.code(beyond, TABLES, (6,), index)
    found = Reader(writer.bytes()).code(None, TABLES, (6,), index)
    assert found.tolist() == [2**30] * 3 + [-(2**30)] * 3


def test_a_counter_counts_from_nothing():
    counter = Counter()
    assert (counter.bits, counter.symbols, counter.escaped, counter.checksum) == (0, 0, 0, 0)
    counter.code(np.array([[0, 0], [0, 300], [0, 0]], np.int32), TABLES, (3, 2))
    assert (counter.symbols, counter.escaped) == (6, 1)
    escape = TABLES.costs[TABLES.starts[2] - 1]
    inside = sum(TABLES.costs[TABLES.starts[k] - TABLES.offsets[k]] * (1 if k == 1 else 2) for k in range(3))
    folded = 2 * (300 - TABLES.offsets[1] - TABLES.lengths[1] + 1)
    assert counter.bits == pytest.approx(inside + escape + math.log2(33) + int(folded).bit_length() - 1)


def test_one_table_for_all_symbols_costs_next_to_nothing():
    sure = Tables.of([np.array([1.0])], [5])
    writer = Writer()
    writer.code(np.full((1, 10**6), 5, np.int32), sure, (1, 10**6))
    assert len(writer.bytes()) < 10


def test_the_same_symbols_give_these_very_bytes():
    """A change of this stream makes all files unreadable: raise the version of the format."""
    frequencies = np.array([1000, 20000, 30000, 10000, 4535, 1, 65000, 536], np.int32)
    tables = Tables(np.array([-2, 7], np.int32), np.array([6, 2], np.int32), frequencies)
    tables.check()
    writer = Writer()
    writer.code(np.array([[0, 1, -1, 300], [7, 7, -100000, 8]], np.int32), tables, (2, 4))
    assert writer.bytes().hex() == "50c4546340c72eb9e5256ff205000000"
    assert writer.checksum == 1520157540


def test_a_stream_too_short_for_its_symbols_is_refused_before_they_are_read():
    with pytest.raises(InputError, match="too short"):
        Reader(b"\1" * 8).code(None, TABLES, (3, 10**9))


def test_a_stream_with_something_left_is_refused():
    stream, _ = there_and_back([(drawn((3, 5)), None)])
    reader = Reader(b"\1\0\0\0" + stream)
    reader.code(None, TABLES, (3, 5))
    with pytest.raises(InputError, match="longer"):
        reader.finish()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60), st.integers(1, 40))
def test_any_bytes_end_in_symbols_or_in_an_error(data, columns):
    try:
        found = Reader(data).code(None, TABLES, (3, columns))
    except InputError:
        return
    assert found.shape == (3, columns)
    assert np.abs(found.astype(np.int64)).max() <= LARGEST


@pytest.mark.parametrize("change", ["offsets", "lengths", "frequencies", "negative"])
def test_damaged_tables_are_noticed(change):
    parts = {
        "offsets": TABLES.offsets.copy(),
        "lengths": TABLES.lengths.copy(),
        "frequencies": TABLES.frequencies.copy(),
    }
    if change == "negative":
        parts["frequencies"][0] = -1
    elif change == "offsets":
        parts["offsets"] = parts["offsets"][:-1]
    else:
        parts[change][0] += 1
    with pytest.raises(ValueError, match=r"ranges|frequencies"):
        Tables(**parts).check()


def test_costs_are_logarithms():
    assert Tables.of([np.array([0.5, 0.5])], [0]).costs[0] == pytest.approx(1, abs=1e-3)
    assert TABLES.cheapest[0] == pytest.approx(-math.log2(TABLES.table(0).max() / TOTAL))
