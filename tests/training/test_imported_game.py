"""A game from converted weights of HiFiC's architecture: four updates, and which gradient each ingredient changes."""

import sys
from pathlib import Path

import pytest
import torch
from small import Small
from test_routing import Watched

from gcn.config.parse import parse
from gcn.models.package import load

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "published"))
from synthetic import hific

pytestmark = pytest.mark.usefixtures("native_convolutions")
WORDS = [
    "generator=hific", "generator.width=2", "generator.M=5", "generator.hyper=4", "generator.blocks=2",
    "discriminator.width=4", "discriminator.depth=2", "data.crop=64", "data.batch=2", "loss=ns",
]  # fmt: skip
INGREDIENTS = ("mse=1", "gp=10", "instance_noise=0.1", "relativistic=pair")
CHANGES = {"mse=1": "g", "gp=10": "d", "instance_noise=0.1": "gd", "relativistic=pair": "gd"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from gcn.commands.convert import main

    folder = tmp_path_factory.mktemp("imported")
    state = hific()
    state["hyper_analysis.4.weight"] *= 20  # else all hyper-latents are rounded to 0, and h_s has no gradient
    torch.save(state, folder / "weights.ckpt")
    words = [
        str(folder / "weights.ckpt"),
        f"out={folder / 'model.safetensors'}",
        "accept_license=CC-BY-NC-4.0",
    ]
    assert main(words) == 0
    return folder / "model.safetensors"


def small(model, *said):
    """The game from the model; its players check at each move that no gradient reaches the other one."""
    game = Small(parse([*WORDS, f"init_from={model}", *said]), Watched)
    Watched.everybody = dict(game.players._asdict())
    return game


@pytest.mark.parametrize("said", [INGREDIENTS, ()], ids=["all", "none"])
def test_four_updates(said, model):
    game = small(model, "rate=1", *said)
    before = load(model)
    assert all(torch.equal(p, before.state_dict()[n]) for n, p in game.game.generator.named_parameters())
    game.play(4, observe_every=3)
    assert (game.players.g.moves, game.players.d.moves) == (4, 4)
    still = [n for n, p in game.game.generator.named_parameters() if torch.equal(p, before.state_dict()[n])]
    assert still == ["entropy_bottleneck.quantiles"]  # every other imported weight is trained


def gradients(game):
    """Both players' gradients of the first update, at the same weights."""
    (x,) = game.batches(0)
    return {player: game.game.gradient(player, game.game.turn(player, x, 0)) for player in "gd"}


@pytest.mark.parametrize("ingredient", INGREDIENTS)
def test_an_ingredient_changes_the_gradients_that_it_should(ingredient, model):
    others = ["rate=1", "l1=1"]
    plain, found = gradients(small(model, *others)), gradients(small(model, *others, ingredient))
    for player in "gd":
        same = all(torch.equal(a, b) for a, b in zip(plain[player], found[player], strict=True))
        assert same == (player not in CHANGES[ingredient])
