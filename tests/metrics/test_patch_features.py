"""Features of patches: closed forms of the first layer, both networks, files of weights, and the training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gcn.data.photos import COLOUR, GREY, VAL, copies_of, photograph
from gcn.errors import InputError
from gcn.metrics import feature_training
from gcn.metrics.degradations import LADDERS, ladder, rungs
from gcn.metrics.feature_training import FEWEST, PHOTOGRAPH, TESTED, bank, train
from gcn.metrics.fidelity import to_uint8
from gcn.metrics.mmd import paired_mmd
from gcn.metrics.patch_features import (
    TRAINED,
    PatchFeatures,
    about,
    front,
    random_weights,
    trained_weights,
)


@pytest.fixture(scope="module")
def photos() -> list[Tensor]:
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    images = [torch.tensor(photograph(name)).permute(2, 0, 1).float() / 255 for name in names]
    return [image[:, k : k + 96, k : k + 96] for image in images for k in (64, 160)]


def test_the_first_layer_is_orthogonal_in_dct_and_opponent_colours() -> None:
    filters = front().flatten(1)
    filters = filters / filters.norm(dim=1, keepdim=True)
    assert torch.allclose(filters @ filters.T, torch.eye(48), atol=1e-5)
    grey = torch.full((3, 4, 4), 0.5).flatten()
    responses = filters @ grey
    assert responses[0] > 1  # luminance of a flat block
    assert responses[1:].abs().max() < 1e-5  # nothing else


def test_mid_grey_has_features_of_the_biases_alone() -> None:
    weights = random_weights()
    found = PatchFeatures(weights)(torch.full((2, 3, 32, 32), 0.5))
    assert torch.allclose(found, torch.zeros(2, 64), atol=1e-3)


def test_features_depend_on_the_seed_and_on_nothing_else(photos: list[Tensor]) -> None:
    crops = torch.stack([image[:, :32, :32] for image in photos])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = PatchFeatures(random_weights(1))(crops)
    assert first.shape == (6, 64)
    assert torch.equal(first, PatchFeatures(random_weights(1))(crops))
    assert not torch.equal(first, PatchFeatures(random_weights(2))(crops))
    assert torch.equal(torch.get_rng_state(), before)
    eight = to_uint8(crops)
    assert torch.allclose(PatchFeatures(random_weights(1)).of_bytes(eight), first, atol=1e-4)


@pytest.mark.parametrize("weights", [random_weights, trained_weights])
def test_the_distance_grows_with_noise_and_blur(photos: list[Tensor], weights) -> None:
    network = PatchFeatures(weights())
    image = torch.arange(6).repeat_interleave(9)

    def crops(images: list[Tensor]) -> Tensor:
        cut = [x.unfold(1, 32, 32).unfold(2, 32, 32).permute(1, 2, 0, 3, 4).flatten(0, 1) for x in images]
        return network(torch.cat(cut))

    for name in ("noise", "blur"):
        one = ladder(name)
        values = [
            paired_mmd(crops(photos), crops([one.at(x[None], s)[0] for x in photos]), image).value
            for s in one.strengths[:3]  # strong blur is all the same to the trained network
        ]
        assert values == sorted(values)
        assert values[0] > 0


def test_the_trained_file_ships_with_its_origin() -> None:
    assert TRAINED.stat().st_size < 300_000
    said: dict[str, Any] = about()
    assert said["command"] == "python scripts/features.py"
    assert said["images"] == sorted(
        COLOUR + GREY
    )  # free photographs, none that an evaluation without words uses
    assert set(said["images"]).isdisjoint(VAL)
    assert said["accuracy"] > 3 / (len(LADDERS) + 1)


def test_other_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(InputError, match="cannot be read"):
        trained_weights(tmp_path / "text")
    save_file({"mix": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(InputError, match="not the weights of patch features"):
        trained_weights(tmp_path / "other")
    with pytest.raises(ValueError, match="s at least 16"):
        PatchFeatures(random_weights())(torch.zeros(1, 3, 15, 32))


def test_the_bank_has_every_step_at_the_same_places(photos: list[Tensor]) -> None:
    places = 7
    crops = bank([[photo] for photo in photos[:2]], seed=0, places=places)
    steps = len(list(rungs()))
    assert len(crops.pixels) == 2 * (1 + steps) * places
    assert crops.pixels.shape[1:] == (3, 32, 32)
    originals = crops.pixels[(crops.label == PHOTOGRAPH) & (crops.image == 0)]
    colour = [one.name for one in LADDERS].index("colour") + 1
    shifted = crops.pixels[(crops.label == colour) & (crops.image == 0)][
        :places
    ]  # the weakest: one grey level
    inside = (originals > 1) & (originals < 254)
    difference = (shifted.int() - originals.int()) * inside
    assert set(difference[:, 0].unique().tolist()) <= {0, 1}
    assert difference[:, 0].sum() > 0
    assert set(difference[:, 1].unique().tolist()) == {0}


def test_copies_of_one_photograph_stay_together(photos: list[Tensor]) -> None:
    """Trained on and tested are different photographs, whatever their number of copies."""
    copies = [[photo, photo[:, ::2, ::2]] for photo in photos[:3]]
    crops = bank(copies, seed=0, places=2)
    of_each = 2 * (1 + len(list(rungs()))) * 2
    assert torch.equal(crops.image, torch.arange(3).repeat_interleave(of_each))
    same = crops.pixels[(crops.image == 1) & (crops.label == PHOTOGRAPH)]
    assert len(same) == 4
    whole, half = to_uint8(photos[1]), to_uint8(photos[1][:, ::2, ::2])
    found = [any(bool((cut == part).all()) for cut in _cuts(whole) + _cuts(half)) for part in same]
    assert all(found)


def _cuts(image: Tensor) -> list[Tensor]:
    return list(image.unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4).flatten(0, 1))


def test_grey_photographs_get_a_tint_for_each_size() -> None:
    first, second = (
        copy.astype(float).reshape(-1, 3).mean(0) for copy in copies_of("gravel.png", (0.2, 0.1))
    )
    assert abs(first - first.mean()).max() > 1
    assert abs(first - second).max() > 1
    assert [copy.shape for copy in copies_of("astronaut.png", (0.5, 0.25))] == [(256, 256, 3), (128, 128, 3)]


def test_training_learns_and_repeats(photos: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    two = [ladder("noise"), ladder("blur")]
    monkeypatch.setattr(feature_training, "LADDERS", two)
    monkeypatch.setattr(feature_training, "rungs", lambda: [(one, one.strengths[-1]) for one in two])
    monkeypatch.setattr(feature_training, "BATCH", 32)
    crops = bank([[photo] for photo in photos], seed=0)
    first, again = train(crops, steps=60, seed=1), train(crops, steps=60, seed=1)
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    photographs = crops.pixels[(crops.label == PHOTOGRAPH) & (crops.image % TESTED != TESTED - 1)]
    features = PatchFeatures(first.weights).of_bytes(photographs)
    assert float(features.square().mean()) == pytest.approx(1, rel=1e-4)
    assert list(first.of_ladder) == ["photograph", "noise", "blur"]
    assert first.accuracy > 0.6
    assert first.accuracy == pytest.approx(sum(first.of_ladder.values()) / 3)


def test_too_few_images_are_one_line(photos: list[Tensor]) -> None:
    with pytest.raises(InputError, match=f"give {FEWEST} or more"):
        train(bank([[photos[0]]], seed=0, places=1), steps=1, seed=0)
