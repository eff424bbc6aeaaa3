"""Instruments of sets of images: what is kept, when numbers are stated, and what they are of known damage."""

import math

import pytest
import torch
from torch import Tensor

from gcn.data.photos import photograph
from gcn.metrics import realism_of_sets as instruments
from gcn.metrics.c2st import Classifier
from gcn.metrics.degradations import ladder
from gcn.metrics.realism_of_sets import (
    CROPS,
    FEWEST,
    Look,
    classify,
    crops_of,
    enough,
    kernel_distances,
    lattices,
    look,
    of_sets,
)

FAST = Classifier(width=4, epochs=3, batch=64, rate=1e-2)


@pytest.fixture(scope="module")
def photos() -> list[Tensor]:
    """Twelve pieces of 96 pixels of three photographs."""
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    images = [torch.tensor(photograph(name)).permute(2, 0, 1).float() / 255 for name in names]
    return [image[:, k : k + 96, k : k + 96] for k in (0, 64, 128, 192) for image in images]


def looks(images: list[Tensor], count: int = 24) -> list[Look]:
    return [look(image, index, 0, count) for index, image in enumerate(images)]


def damaged(images: list[Tensor], name: str, strength: float) -> list[Tensor]:
    return [ladder(name).at(image[None], strength, i)[0] for i, image in enumerate(images)]


def test_crops_are_at_the_same_places_and_as_in_a_file(photos: list[Tensor]) -> None:
    x = photos[0]
    first, shifted = look(x, 3, 0, 5), look(x + 0.4 / 255, 3, 0, 5)
    assert first.crops.dtype == torch.uint8
    assert torch.equal(first.crops, shifted.crops)
    assert not torch.equal(first.crops, look(x, 4, 0, 5).crops)
    windows = (x * 255).round().byte().unfold(1, 32, 16).unfold(2, 32, 16)  # places at multiples of 16
    found = [(windows == crop[:, None, None]).all((0, 3, 4)).nonzero().tolist() for crop in first.crops]
    assert all(len(places) == 1 for places in found)
    assert len({str(places) for places in found}) == 5  # none twice
    assert len(look(x, 3, 0, 64).crops) == 5 * 5  # all that an image of 96 pixels has


def test_crops_are_bounded_whatever_the_number_of_images() -> None:
    assert crops_of(1) == 64
    assert crops_of(100) == 16
    assert crops_of(100_000) == 1
    assert all(count * crops_of(count) <= 8192 for count in range(1, 8192, 97))


def test_too_few_images_or_crops_are_said(photos: list[Tensor]) -> None:
    assert enough(looks(photos)) is None
    few = looks(photos[: FEWEST - 1])
    assert str(enough(few)).startswith(f"{FEWEST - 1} images of at least 32 pixels")
    assert str(enough(looks(photos, 2))).startswith(f"24 crops of 32 pixels, {CROPS}")
    found = of_sets(few, few)
    assert set(found) == {"lattice", "lattice_2", "lattice_4", "lattice_8", "lattice_16"}
    small = look(torch.rand(3, 20, 100), 0, 0, 5)
    assert len(small.crops) == 0
    assert math.isnan(float(small.lattice[0, 0]))


def test_reconstructions_without_error_have_no_distance(photos: list[Tensor]) -> None:
    real = looks(photos)
    found = of_sets(real, real, seeds=[0])
    assert found["c2st"] == 0
    assert found["c2st_auc"] == 0.5
    assert found["kid_random"] == pytest.approx(0, abs=1e-9)
    assert found["kid_trained"] == pytest.approx(0, abs=1e-9)
    assert found["lattice"] == 1


def test_noise_is_seen_by_all_but_the_lattice_index(photos: list[Tensor]) -> None:
    real, fake = looks(photos), looks(damaged(photos, "noise", 12.0))
    found = classify(real, fake, [0, 1], FAST)
    assert 0 <= found.bits.low <= found.bits.value <= found.bits.high <= 1
    assert found.bits.low > 0
    assert found.auc > 0.8
    assert found.of_seeds > 0
    for distance in kernel_distances(real, fake).values():
        assert 0 < distance.low < distance.value < distance.high
    assert max(one.value for one in lattices(real, fake).values()) < 2


def test_a_lattice_is_named_by_its_period(photos: list[Tensor]) -> None:
    found = of_sets(looks(photos)[:2], looks(damaged(photos, "lattice_4", 4.0))[:2])
    assert found["lattice"] == found["lattice_4"] > 5
    assert found["lattice_2"] < 2


def test_no_image_is_judged_by_a_classifier_that_has_seen_it(
    photos: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    splits: list[Tensor] = []
    original = instruments.c2st

    def watched(real: Tensor, fake: Tensor, held_out: Tensor, *others):
        splits.append(held_out)
        return original(real, fake, held_out, *others)

    monkeypatch.setattr(instruments, "c2st", watched)
    real = looks(photos)
    classify(real, real, [0], FAST)
    owner = torch.arange(12).repeat_interleave(24)
    assert torch.equal(splits[0], owner % 2 == 0)
    assert torch.equal(splits[1], owner % 2 == 1)
