import numpy as np
import pytest

from gcn.data import leaves, leaves_cache
from gcn.data.leaves_cache import cache_folder, drawn_once
from gcn.data.photos import photograph, scaled

SIZE, COUNT = 16, 2


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Numbers of images as often as some are drawn."""
    calls = []

    def counted(photographs, count, size, seed):
        calls.append(count)
        return draw(photographs, count, size, seed)

    draw = leaves.dead_leaves
    monkeypatch.setattr(leaves, "dead_leaves", counted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


@pytest.fixture(scope="module")
def sources():
    return [scaled(photograph("astronaut.png"), 0.25)]


def same(images, others):
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(images, others, strict=True))


def test_images_are_drawn_once_and_read_back_bit_for_bit(drawn, sources):
    first, second = (drawn_once(sources, COUNT, SIZE, seed=3) for _ in range(2))
    assert drawn == [COUNT]
    assert same(first, leaves.dead_leaves(sources, COUNT, SIZE, 3))
    assert same(first, second)


def test_whatever_the_images_depend_on_makes_another_file(drawn, sources, monkeypatch):
    drawn_once(sources, COUNT, SIZE, seed=3)
    drawn_once(sources, COUNT, SIZE, seed=4)
    drawn_once([sources[0][::-1]], COUNT, SIZE, seed=3)
    monkeypatch.setattr(leaves_cache.PIL, "__version__", "another")
    drawn_once(sources, COUNT, SIZE, seed=3)
    assert len(drawn) == len(list(cache_folder().iterdir())) == 4


DAMAGES = [lambda data: data[:-1], lambda data: bytes([data[0] ^ 1]) + data[1:], lambda _: b""]


@pytest.mark.parametrize("damage", DAMAGES, ids=["cut", "changed", "empty"])
def test_a_damaged_file_is_drawn_again(damage, drawn, sources):
    expected = drawn_once(sources, COUNT, SIZE)
    (file,) = cache_folder().iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert same(drawn_once(sources, COUNT, SIZE), expected)
    assert file.read_bytes() == whole


def test_without_a_cache_folder_the_images_are_drawn(drawn, sources, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    assert same(drawn_once(sources, COUNT, SIZE), drawn_once(sources, COUNT, SIZE))
    assert drawn == [COUNT, COUNT]
