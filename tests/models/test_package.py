"""Model files."""

import json
import os
import shutil
import struct
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from processes import Forked
from safetensors import safe_open
from safetensors.torch import save_file

from gcn.codec.container import read, write
from gcn.errors import InputError
from gcn.models import package

X = torch.rand(1, 3, 50, 37, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["tiny", "hyperprior"])
def original(request, spread_generator, tmp_path_factory):
    codec = spread_generator(request.param).for_coding()
    path = tmp_path_factory.mktemp(request.param) / "model.safetensors"
    package.save(codec, path, {"about": "a test"})
    return codec, path


@pytest.fixture
def saved(original, tmp_path):
    """A codec and a copy of its model file, which a test may change."""
    codec, path = original
    return codec, Path(shutil.copy(path, tmp_path))


def contents(path):
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_loaded_model_codes_as_the_saved_one(saved):
    codec, path = saved
    loaded = package.load(path)
    data = write(codec, X)
    assert write(loaded, X) == data
    assert torch.equal(read(loaded, data), codec.reconstruct(X).x_hat.clamp(0, 1))
    assert (loaded.latents_id, loaded.picture_id) == (codec.latents_id, codec.picture_id)


def _uses_a_model_whose_file_is_emptied(path):
    loaded = package.load(path)
    os.truncate(path, 0)
    loaded.count(X)


@pytest.mark.slow
def test_a_model_in_use_does_not_depend_on_its_file(saved):
    """Pages of a mapped file that are gone end a process with SIGBUS."""
    assert Forked(_uses_a_model_whose_file_is_emptied, saved[1]).wait(120) == 0


def test_the_card_says_what_the_file_is(saved):
    codec, path = saved
    card = package.card(path)
    assert (card.latents_id, card.picture_id) == (codec.latents_id, codec.picture_id)
    assert card.about == {"about": "a test"}


def test_nothing_of_the_tables_is_computed_again(saved, monkeypatch):
    codec, path = saved
    data = write(codec, X)
    for name in ("bisect", "make_tables"):
        monkeypatch.setattr(type(codec.entropy_bottleneck), name, lambda *_: pytest.fail("computed again"))
    assert write(package.load(path), X) == data


def test_half_precision_is_half_the_size(spread_generator, tmp_path):
    sizes = []
    for half in (False, True):
        codec = spread_generator("tiny", N=32)
        codec = (package.rounded(codec) if half else codec).for_coding()
        path = tmp_path / f"{half}.safetensors"
        package.save(codec, path, {})
        assert write(package.load(path), X) == write(codec, X)
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


def test_a_variant_draws_the_same_latents_otherwise(saved):
    codec, path = deepcopy(saved[0]), saved[1]
    data, plain = write(codec, X), codec.reconstruct(X).x_hat.clamp(0, 1)
    with torch.no_grad():
        codec.g_s[0].weight.mul_(1.1)
    variant = path.with_name("variant.safetensors")
    package.save(codec, variant, {}, base=path)
    loaded = package.load(variant)
    assert not torch.equal(read(loaded, data), plain)
    assert torch.equal(read(loaded, data), codec.reconstruct(X).x_hat.clamp(0, 1))
    assert variant.stat().st_size < path.stat().st_size
    assert (
        package.card(variant).latents_id == package.card(path).latents_id != package.card(variant).picture_id
    )


def test_a_variant_of_other_latents_is_refused(saved, spread_generator, tmp_path):
    _, path = saved
    other = spread_generator("tiny", 3.0, N=6).for_coding()
    with pytest.raises(InputError, match="same latents"):
        package.save(other, tmp_path / "other.safetensors", {}, base=path)
    assert not (tmp_path / "other.safetensors").exists()


def resaved(path, change):
    """The model file with its metadata and tensors changed."""
    metadata, tensors = contents(path)
    change(metadata, tensors)
    save_file(tensors, path, metadata)


def clear(metadata, tensors):
    metadata.clear()


def run_code(metadata, tensors):
    metadata["target"] = "os.system"


def no_codec(metadata, tensors):
    metadata["target"] = "gcn.models.blocks.GDN"


def enormous(metadata, tensors):
    metadata["architecture"] = json.dumps(json.loads(metadata["architecture"]) | {"N": 10**6})


def missing(metadata, tensors):
    del tensors["weights.g_s.0.weight"]


def no_tables(metadata, tensors):
    del tensors["coding.tables.y.lengths"]


def odd_table(metadata, tensors):
    tensors["coding.tables.y.frequencies"][0] += 1


def other_weights(metadata, tensors):
    tensors["weights.g_s.0.weight"] = tensors["weights.g_s.0.weight"] * 2


def lost_base(metadata, tensors):
    metadata["base"] = "/etc/passwd"


CHANGES = {
    clear: "not a model of this project",
    run_code: "no codec",
    no_codec: "no codec",
    enormous: "architecture",
    missing: "architecture",
    no_tables: "damaged",
    odd_table: "frequencies",
    other_weights: "identifiers",
    lost_base: "not a file beside it",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_strange_model_files_are_refused(saved, change):
    resaved(saved[1], change)
    with pytest.raises(InputError, match=CHANGES[change]) as error:
        package.load(saved[1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"GCN", struct.pack("<Q", 2**60) + b"{}", b"\xff" * 100])
def test_other_files_are_refused(data, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a model file"):
        package.load(path)


def test_a_machine_that_computes_otherwise_is_refused(spread_generator, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    package.save(spread_generator("hyperprior").for_coding(), path, {})
    monkeypatch.setattr("gcn.models.exact.IntegerNetwork.fingerprint", lambda *_: 1)
    with pytest.raises(InputError, match="linear algebra"):
        package.load(path)
