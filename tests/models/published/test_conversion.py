"""Published state dicts under the names of this project: every key once, nothing left over, and what is refused."""

import math
import pickle
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from synthetic import ZOO, compressai, compressai_shapes, hific, hific_shapes, vq, vq_shapes

from gcn.errors import InputError
from gcn.models.published.codec_target import QUANTILES, codec_target, filled
from gcn.models.published.conversion import converted, normalised, recognised
from gcn.models.published.layouts import LAYOUTS
from gcn.models.published.vq_autoencoder import LABELLER
from gcn.models.published.weights_file import read

STATES = {
    "HiFiCAutoencoder": hific,
    **{kind: lambda kind=kind, **said: compressai(kind, **said) for kind in ZOO},
}


def file_of(state, folder, name="weights.pth"):
    torch.save(state, folder / name)
    return read(folder / name)


def conversion(state, folder, name="weights.pth"):
    file = file_of(state, folder, name)
    return converted(file, recognised(file, LAYOUTS))


@cache
def plain_weights(kind):
    """What becomes of a state dict in its newest naming, with nothing beside it."""
    with TemporaryDirectory() as folder:
        return conversion(STATES[kind](), Path(folder)).weights


def total(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def test_tables_of_the_tests_have_the_published_numbers_of_entries_and_parameters():
    assert (len(hific_shapes()), total(hific_shapes())) == (151, 181_481_103)
    assert len(hific()) - len(hific_shapes(2, 5, 4, 2)) == 12  # buffers: 163 entries in all
    sizes = {
        (kind, N): total(compressai_shapes(kind, N, M)) for kind in ZOO for N, M in ((128, 192), (192, 320))
    }
    assert sizes == {
        ("bmshj2018-factorized", 128): 2_998_147, ("bmshj2018-factorized", 192): 7_030_531,
        ("bmshj2018-hyperprior", 128): 5_075_843, ("bmshj2018-hyperprior", 192): 11_816_323,
        ("mbt2018-mean", 128): 7_028_003, ("mbt2018-mean", 192): 17_561_699,
    }  # fmt: skip


def test_published_sizes_are_those_of_the_networks_here():
    """Without memory for the weights."""
    full = codec_target("hific", width=60, M=220, hyper=320, blocks=9)
    assert total(full.expected) == total(hific_shapes()) - 3 * 320  # quantiles are found by bisection
    assert full.words == ["generator=hific"]
    for kind, choice in zip(ZOO, ("bmshj2018_factorized", "bmshj2018", "mbt2018"), strict=True):
        found = codec_target(choice, N=192, M=320)
        density = 320 if kind == ZOO[0] else 192
        assert total(found.expected) == total(compressai_shapes(kind, 192, 320)) - 3 * density
        assert found.words == [f"generator={choice}", "generator.N=192", "generator.M=320"]


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize(
    "said", [{}, {"naming": "old"}, {"naming": "parameter list"}, {"tables": True}, {"prefix": "module."}]
)
def test_every_key_is_used_once_or_dropped_and_every_weight_is_filled(kind, said, tmp_path):
    state = STATES[kind](**said)
    found = conversion(state, tmp_path)
    assert kind in found.layout.name
    assert [line.key for line in found.lines] == list(state)
    used = [line.name for line in found.lines if line.name is not None]
    assert len(set(used)) == len(used)
    assert set(used) == set(found.weights) == set(found.target.expected)
    assert all((line.name is None) == bool(line.reason) for line in found.lines)
    if not said:
        codec = filled(found)
        trained = {name for name, _ in codec.named_parameters()} - {QUANTILES}
        assert trained == set(used)
        assert all(torch.equal(codec.state_dict()[name], value) for name, value in found.weights.items())
    plain = plain_weights(kind)
    assert all(torch.equal(plain[name], value) for name, value in found.weights.items())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_key_of_the_labeller_is_used_once_or_dropped(prefix, tmp_path):
    state = vq(prefix=prefix)
    found = conversion(state, tmp_path)
    assert "VqVaeXCiTAutoencoder" in found.layout.name
    assert found.layout.licence.name == "CC-BY-NC-4.0"
    assert [line.key for line in found.lines] == list(state)
    used = [line.name for line in found.lines if line.name is not None]
    assert sorted(used) == sorted(found.target.expected)
    dropped = {line.key.removeprefix(prefix) for line in found.lines if line.name is None}
    assert {name.rpartition(".")[0] for name in dropped} == {
        "decoder.conv_in", "bottleneck_op.output_conv", "bottleneck_op.child.child",
    }  # fmt: skip
    assert found.target.words == ["labeller=vq", "labeller.classes=16", "labeller.width=4"]


def test_the_published_size_of_the_labeller():
    encoder = {name: shape for name, shape in vq_shapes().items() if name.startswith("encoder.")}
    found = LABELLER.target(vq_shapes())
    assert found.words == ["labeller=vq"]
    assert {name: found.expected[name] for name in encoder} == encoder


def test_a_training_checkpoint_of_compressai_is_read_and_what_lies_beside_its_weights_is_listed(tmp_path):
    state = compressai("mbt2018-mean")
    found = conversion({"epoch": 3, "state_dict": state, "optimizer": {}}, tmp_path)
    assert [(line.key, line.name) for line in found.lines[:2]] == [("epoch", None), ("optimizer", None)]
    assert len(found.lines) == len(state) + 2


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("module.entropy_bottleneck._matrix3", "entropy_bottleneck.matrices.3"),
        ("hyper_bottleneck._biases.0", "hyper_bottleneck.biases.0"),
        ("entropy_bottleneck._factor2", "entropy_bottleneck.factors.2"),
        ("entropy_bottleneck.matrices.1", "entropy_bottleneck.matrices.1"),
        ("g_a.0.bias", "g_a.0.bias"),
    ],
)
def test_names_of_other_versions(key, name):
    assert normalised(key) == name


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def changed(state, name, change):
    return state | {name: change(state[name])}


FIRST = "encoder.blocks.0.0.weight"
GAMMA = "encoder.blocks.0.1.gamma"
MEAN = compressai("mbt2018-mean")
REFUSED = {
    "its first tensors are a": {"a": torch.zeros(2)},
    "nothing in it fills h_a.2.bias": without(hific(), "hyper_analysis.2.bias"),
    "nothing in it fills entropy_bottleneck.matrices.3": without(MEAN, "entropy_bottleneck.matrices.3"),
    "encoder.blocks.5.weight is missing": without(hific(), "encoder.blocks.5.weight"),
    "discriminator.weight is not of that network": hific() | {"discriminator.weight": torch.zeros(1)},
    "g_a.7.weight is not of that network": MEAN | {"g_a.7.weight": torch.zeros(1)},
    "and the network's g_a.blocks.0.1.gamma is 2": changed(hific(), GAMMA, lambda v: v.flatten()[:1]),
    "and the network's h_s.mean.0.weight is 4x4x5x5": changed(
        hific(), "hyper_synthesis_mean.0.weight", lambda v: v[..., :3]
    ),
    "and the network's h_s.scale.6.weight is absent": hific()
    | {"hyper_synthesis_scale.6.weight": torch.zeros(1)},
    "g_s.1.gamma is 4x5": changed(MEAN, "g_s.1.gamma", lambda v: torch.ones(4, 5)),
    "has numbers that are not finite": changed(hific(), FIRST, lambda v: v * math.nan),
    "has numbers that are not finite; ": changed(MEAN, "g_s.6.bias", lambda v: v + math.inf),
    "holds integers": changed(MEAN, "g_s.6.bias", lambda v: v.int()),
    "matrices.0 twice, in two namings": MEAN
    | {"entropy_bottleneck._matrix0": MEAN["entropy_bottleneck.matrices.0"]},
    "which the conversion relies on": changed(MEAN, "g_a.1.beta_reparam.pedestal", lambda v: v * 2),
    "is not 0.11, which": changed(MEAN, "gaussian_conditional.scale_bound", lambda v: v * 2),
    "its tensors are larger than the file": MEAN
    | dict.fromkeys(map(str, range(99)), torch.zeros(10**4)),  # saved once
    "is no plain tensor": MEAN | {"epoch": 3},
    "it has 1 codes; 2 to 65536 are possible": vq(codes=1),
    "encoder.attn.weight is not of that network": vq() | {"encoder.attn.weight": torch.zeros(1)},
    "nothing in it fills bottleneck_op.input_conv.bias": without(vq(), "bottleneck_op.input_conv.bias"),
    "holds no names with tensors": [torch.zeros(1)],
    "lie under model_state_dict": {"model_state_dict": MEAN, "discriminator_state_dict": {}},
    "holds code or objects, which are never loaded": {"a": torch.nn.Linear(1, 1)},
    "weights of a known network": MEAN | {"context_prediction.weight": torch.zeros(1)},
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_does_not_fit_is_refused_in_a_line(says, tmp_path):
    with pytest.raises(InputError) as refusal:
        conversion(REFUSED[says], tmp_path)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "weights.pth" in str(refusal.value)


def test_files_that_are_no_whole_archives_are_refused_in_a_line(tmp_path):
    torch.save(compressai("mbt2018-mean"), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    files = {"cut": whole[: len(whole) // 2], "flipped": bytes(flipped), "empty": b"", "text": b"weights",
             "code": pickle.dumps(print)}  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: (damaged|not a file of tensors alone)") as refusal:
            read(tmp_path / name)
        assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "absent")


def test_a_file_is_not_read_beyond_the_largest_size(tmp_path):
    with (tmp_path / "large.pth").open("wb") as file:
        file.truncate(2**32 + 1)  # of which nothing is on the disk
    with pytest.raises(InputError, match="larger than"):
        read(tmp_path / "large.pth")


def test_the_hash_in_a_name_is_compared(tmp_path):
    state = compressai("bmshj2018-factorized")
    whole = file_of(state, tmp_path)
    assert not whole.hash_checked
    right = tmp_path / f"bmshj2018-factorized-prior-1-{whole.sha256[:8]}.pth.tar"
    whole.path.rename(right)
    assert read(right).hash_checked
    wrong = right.rename(tmp_path / "bmshj2018-factorized-prior-1-446d5c7f.pth.tar")
    with pytest.raises(InputError, match=f"begins with {whole.sha256[:8]}, and its name says 446d5c7f"):
        read(wrong)


def test_weights_too_large_for_exact_sums_are_no_codec(tmp_path):
    found = conversion(changed(hific(), "hyper_synthesis_mean.0.weight", lambda v: v * 1e9), tmp_path)
    with pytest.raises(ValueError, match="too large for exact sums"):
        filled(found)
