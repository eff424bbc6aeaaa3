"""A file that goes bad after the scan must not end a run."""

import logging

import numpy as np
import pytest
import torch

from gcn.data.loader import Crops, Source, train_loader
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


@pytest.mark.parametrize("how", ["deleted", "truncated"])
def test_the_next_image_stands_in_and_it_is_said_once(entries, caplog, how):
    store = Store(entries)
    expected = store[5]
    path = entries[4].path
    path.unlink() if how == "deleted" else path.write_bytes(path.read_bytes()[:200])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert np.array_equal(store[4], expected)
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("gcn")]
    assert said.startswith(f"{path} went bad (")
    assert said.endswith(f"{entries[5].path.name} stands in")


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
def test_a_run_goes_on_the_same_way_in_any_process_and_says_it_once(entries, workers, tmp_path, monkeypatch):
    def batches(workers):
        crops = Crops([Source(Store(entries))], crop=8, seed=0, batch=6)
        return list(train_loader(crops, steps=8, workers=workers))

    entries[7].path.unlink()
    expected = batches(0)
    # whatever a test of a whole command has left behind in this process
    log = logging.getLogger("gcn.data.store")
    monkeypatch.setattr(log, "disabled", False)
    monkeypatch.setattr(log.manager, "disable", logging.NOTSET)
    log.setLevel(logging.WARNING)
    handler = logging.FileHandler(tmp_path / "log")
    log.addHandler(handler)
    try:
        assert all(torch.equal(a, b) for a, b in zip(expected, batches(workers), strict=True))
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
        handler.close()
    assert (tmp_path / "log").read_text().count("went bad") == 1
