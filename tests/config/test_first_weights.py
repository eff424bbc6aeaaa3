"""The weights that a run starts from: of runs and of model files, with and without their discriminator."""

import copy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from scripting import ROOT, compress, decompress, error_of, export, picture

from gcn.errors import InputError
from gcn.models import package

sys.path.insert(0, str(ROOT / "tests" / "training"))
from runs import checkpoint, images, planned, run, undrawn, words

SELDOM = "log_every=1000000 val_every=1000000 panel_every=1000000 checkpoint_every=1000000"
GAME = "loss=ns steps=2 spectral_norm=true optim.d.lr=1e-2"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with a discriminator, its exported model with it and without it, and an image."""
    root = tmp_path_factory.mktemp("first_weights")
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch)
        run(root / "game", *words(images(root / "data"), GAME, SELDOM))
    for name, said in (("game", "discriminator=true"), ("codec", "discriminator=false")):
        assert export(f"run={root / 'game'}", "-o", str(root / f"{name}.safetensors"), said) == 0
    picture(50, 40).save(root / "a.png")
    return root


def started(root, folder, *said):
    """Module of a run that has just begun, ``init_from`` among the words."""
    return planned(folder, *words(root / "data", GAME, SELDOM, *said)).module.game


@pytest.fixture(scope="module")
def fresh(root):
    """Weights of a new discriminator."""
    return started(root, root / "fresh").discriminator.state_dict()


def same(networks, expected):
    state = networks.state_dict()
    return state.keys() == expected.keys() and all(
        torch.equal(state[name], expected[name]) for name in expected
    )


def of(folder, part):
    state = checkpoint(folder)["state_dict"]
    prefix = f"game.{part}."
    return {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}


@pytest.mark.parametrize(
    ("said", "with_d"),
    [
        ("init_from={}/game.safetensors", True),
        ("init_from={}/game.safetensors init_discriminator=true", True),
        ("init_from={}/game.safetensors init_discriminator=false", False),
        ("init_from={}/codec.safetensors", False),
        ("init_from={}/game", False),
        ("init_from={}/game init_discriminator=true", True),
        ("init_from={}/game/checkpoints/last.ckpt init_discriminator=true", True),
    ],
)
def test_a_run_starts_from_a_codec_and_where_it_is_asked_for_its_discriminator(
    said, with_d, root, fresh, tmp_path
):
    game = started(root, tmp_path / "run", said.format(root))
    weights = of(root / "game", "generator")
    quantiles = "entropy_bottleneck.quantiles"  # found by bisection when the model file is made
    own = {n: value for n, value in game.generator.state_dict().items() if n != quantiles}
    assert all(torch.equal(own[name], weights[name]) for name in own)
    assert same(game.discriminator, of(root / "game", "discriminator")) == with_d
    assert same(game.discriminator, fresh) != with_d


def test_a_training_model_codes_as_the_model_without_the_discriminator(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("game", "codec"):
        assert compress(str(root / "a.png"), f"model={root / name}.safetensors", "-o", f"{name}.gcn") == 0
        assert decompress(f"{name}.gcn", f"model={root / name}.safetensors", "-o", f"{name}.png") == 0
    for ending in ("gcn", "png"):
        assert Path(f"game.{ending}").read_bytes() == Path(f"codec.{ending}").read_bytes()
    assert (root / "game.safetensors").stat().st_size > (root / "codec.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("init_from={}/game.safetensors discriminator.width=8", "its discriminator is another one"),
        (
            "init_from={}/game.safetensors spectral_norm=false",
            "init_discriminator=false starts with a new one",
        ),
        ("init_from={}/codec.safetensors init_discriminator=true", "holds no discriminator"),
        ("init_from={}/codec.safetensors generator.N=12", "has N=8, this run's 12; give generator.N=8"),
        ("init_from={}/codec.safetensors generator.speed=1", "give generator.speed=10"),
        ("init_from={}/codec.safetensors generator=hyperprior", "weights of a Factorized"),
        ("init_from={}/game init_discriminator=true discriminator.depth=3", "of another architecture"),
    ],
)
def test_other_networks_are_refused_in_a_line(said, answer, root, tmp_path):
    with pytest.raises(InputError) as refusal:
        started(root, tmp_path / "run", said.format(root))
    assert answer in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "lost",
    ["", "game.discriminator.", "game.generator."],
)
def test_both_players_are_of_one_checkpoint(lost, root, tmp_path, capsys, monkeypatch):
    """Where the last checkpoint cannot be used for one of the players, both start from the one before it."""
    folder = tmp_path / "game"
    shutil.copytree(root / "game", folder)
    file = folder / "checkpoints" / "last.ckpt"
    older = torch.load(file, weights_only=True)
    older["state_dict"] = {n: v + 1 if v.is_floating_point() else v for n, v in older["state_dict"].items()}
    torch.save(older, file.with_name("last.ckpt.previous"))
    newer = torch.load(file, weights_only=True)
    newer["state_dict"] = {n: v for n, v in newer["state_dict"].items() if not lost or not n.startswith(lost)}
    torch.save(newer, file)
    read = []
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda path, **said: read.append(Path(path).name) or load(path, **said)
    )
    game = started(root, tmp_path / "run", f"init_from={folder} init_discriminator=true")
    used = older if lost else newer
    for name in ("generator.g_a.0.weight", "discriminator"):
        state = {n: v for n, v in game.state_dict().items() if n.startswith(name) and v.is_floating_point()}
        assert state
        assert all(torch.equal(v, used["state_dict"][f"game.{n}"]) for n, v in state.items())
    assert read == ["last.ckpt", "last.ckpt.previous"][: 2 if lost else 1]
    assert ("using last.ckpt.previous" in capsys.readouterr().err) == bool(lost)


@pytest.mark.parametrize(
    "words_", ["init_discriminator=true", "init_from=x loss=none init_discriminator=true"]
)
def test_a_discriminator_needs_a_file_and_a_loss(words_, root, tmp_path):
    with pytest.raises(InputError, match="init_discriminator"):
        started(root, tmp_path / "run", words_)


def test_a_codec_is_frozen_with_the_weights_that_it_starts_from(root, tmp_path):
    """Its quantiles are found by bisection for these weights, as in the model file, and not kept from the training."""
    frozen = started(
        root, tmp_path / "run", f"init_from={root}/game freeze=encoder rate=null mse=1"
    ).generator
    trained = of(root / "game", "generator")["entropy_bottleneck.quantiles"]
    expected = copy.deepcopy(frozen)
    expected.load_state_dict(of(root / "game", "generator"))
    expected.freeze("encoder")
    assert torch.equal(frozen.entropy_bottleneck.quantiles, expected.entropy_bottleneck.quantiles)
    assert not torch.equal(frozen.entropy_bottleneck.quantiles, trained)


def test_a_run_without_a_discriminator_exports_none(root, tmp_path, capsys):
    run(tmp_path / "rd", *words(root / "data", "loss=none steps=1", SELDOM))
    capsys.readouterr()
    said = export(f"run={tmp_path / 'rd'}", "-o", str(tmp_path / "a.safetensors"), "discriminator=true")
    assert "was trained without a discriminator; drop discriminator=true" in error_of(capsys, said)
    assert not (tmp_path / "a.safetensors").exists()


def test_weights_of_a_discriminator_that_are_not_finite_are_refused(root, tmp_path):
    codec = package.load(root / "codec.safetensors")
    package.save(codec, tmp_path / "a.safetensors", {}, discriminator={"w": torch.tensor([float("nan")])})
    with pytest.raises(InputError, match="damaged"):
        package.discriminator(tmp_path / "a.safetensors", {"w": torch.zeros(1)})
