"""What an evaluation states about realism without any download, and where it says why it does not."""

import math

import pytest
from PIL import Image
from rounding import photo

from gcn.evaluation import measuring

NAMES = ("c2st", "c2st_low", "c2st_high", "c2st_auc", "kid_random", "kid_trained", "swd_disjoint")


@pytest.fixture
def twelve(tmp_path):
    """Twelve images of 25 crops each."""
    root = tmp_path / "twelve"
    root.mkdir()
    for i in range(12):
        Image.fromarray(photo(96, 100, i)).save(root / f"{i}.png")
    return root


def test_enough_images_have_all_numbers_and_a_resumed_evaluation_has_the_same(
    codecs, twelve, evaluate, monkeypatch
):
    status, record = evaluate(twelve)
    assert status == 0
    fine, coarse = sorted(record.pooled, key=lambda row: row.setting == "32")
    for row in (fine, coarse):
        assert all(math.isfinite(row.value(name)) for name in NAMES)
        assert 0 <= row.value("c2st_low") <= row.value("c2st") <= row.value("c2st_high") <= 1
        assert row.value("lattice") == max(row.value(f"lattice_{period}") for period in (2, 4, 8, 16))
    assert coarse.value("c2st") > 0.3
    assert coarse.value("kid_random") > fine.value("kid_random") > 0
    assert record.swd_disjoint_floor > 0
    assert coarse.value("swd_disjoint") > record.swd_disjoint_floor
    assert not any("different images" in note or "of crops" in note for note in record.notes)

    monkeypatch.setattr(measuring, "of_sets", lambda *_: pytest.fail("measured again"))
    _, again = evaluate(twelve)
    assert again.pooled == record.pooled


def test_too_few_images_are_said_in_a_note_in_place_of_a_number(codecs, images, evaluate):
    _, record = evaluate(images)
    assert not any(name in row.extra for row in record.pooled for name in NAMES)
    assert math.isnan(record.swd_disjoint_floor)
    assert (
        "C2ST and KID of crops left out: 0 images of at least 32 pixels a side, 10 are the least"
        in record.notes
    )
    assert "SWD with different images left out: 4 images, 10 are the least" in record.notes


def test_numbers_of_another_number_of_crops_are_not_taken_up(codecs, twelve, evaluate, monkeypatch):
    monkeypatch.setattr(measuring, "of_sets", lambda *_: {"c2st": 0.25})
    assert evaluate(twelve)[1].pooled[0].value("c2st") == 0.25
    monkeypatch.setattr(measuring, "crops_of", lambda count: 8)
    monkeypatch.setattr(measuring, "of_sets", lambda *_: {"c2st": 0.5})
    assert evaluate(twelve)[1].pooled[0].value("c2st") == 0.5
