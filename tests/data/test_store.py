"""A file that goes bad after the scan must not end a run."""

import numpy as np
import pytest
import torch
from PIL import Image

from gcn.data.loader import Crops, Source, WholeImages, train_loader
from gcn.data.scan import scan
from gcn.data.store import Store
from gcn.errors import InputError


@pytest.fixture
def entries(pictures):
    return scan(pictures).entries


def test_it_is_the_sequence_of_the_images(entries, pictures):
    kept = Store(scan(pictures, keep_bytes=10**6).entries)
    decoded = Store(entries)
    assert len(kept) == len(decoded) == 12
    assert all(np.array_equal(a, b) for a, b in zip(kept, decoded, strict=True))
    with pytest.raises(IndexError):
        decoded[12]


def test_recently_decoded_images_stay_within_their_budget(entries):
    store = Store(entries, recent_bytes=5000)
    first = store[0]
    assert store[0] is first
    for index in range(12):
        store[index]
        assert sum(pixels.nbytes for pixels in store._recent.values()) <= 5000
    assert store[0] is not first


def spoil(path, how):
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        Image.new("RGB", (5, 7)).save(path)


@pytest.mark.parametrize("how", ["deleted", "truncated", "of another size"])
def test_the_next_image_stands_in_and_it_is_said_once(entries, how):
    store = Store(entries)
    expected = store[5]
    spoil(entries[4].path, how)
    for _ in range(3):
        assert np.array_equal(store[4], expected)
    said = store.new_bad()
    assert list(said) == [str(entries[4].path)]
    assert said[str(entries[4].path)].endswith(f"; {entries[5].path.name} stands in")
    assert store.new_bad() == {}


@pytest.mark.parametrize("how", ["deleted", "truncated", "of another size"])
def test_a_validation_goes_on_without_an_image_that_went_bad(entries, how):
    names = [entry.path.name for entry in entries]
    images = WholeImages(Store(entries), names)
    before = list(images)
    spoil(entries[4].path, how)
    after = list(images)
    assert [image.name for image in after] == names[:4] + names[5:]
    assert all(torch.equal(a.x, b.x) for a, b in zip(before[:4] + before[5:], after, strict=True))
    assert list(images.bad) == [names[4]]


def test_the_last_one_is_followed_by_the_first(entries):
    store = Store(entries)
    entries[11].path.unlink()
    assert np.array_equal(store[11], store[0])


def test_when_all_are_gone_it_says_so(entries):
    for entry in entries:
        entry.path.unlink()
    with pytest.raises(InputError, match="no image can be read any more"):
        Store(entries)[3]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_the_same_way_in_any_process_and_says_it_once(entries, workers):
    def loader(workers):
        return train_loader(
            Crops([Source(Store(entries))], crop=8, seed=0, batch=6), steps=8, workers=workers
        )

    entries[7].path.unlink()
    expected = list(loader(0))
    helped = loader(workers)
    assert all(torch.equal(a, b) for a, b in zip(expected, helped, strict=True))
    assert helped.bad == {
        str(entries[7].path): f"file is missing; {entries[8].path.name} stands in",
    }
