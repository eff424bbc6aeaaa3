"""The control that ties the synthesis to where it began."""

import pytest
import torch
from small import Small

from gcn.game.streams import Streams

pytestmark = pytest.mark.usefixtures("native_convolutions")


def test_it_is_the_squared_distance_to_the_first_synthesis():
    small = Small("anchor=1 mse=0 generator.quantisation=ste")
    (x,) = small.batches(0)
    small.play(1)
    assert small.game.values["g/anchor"].item() == 0
    first = small.game.objective.terms["anchor"].start
    small.play(5, start=1)
    out = small.game.generator(x, Streams(0).at(9))
    turn = small.game.turn("g", x, 9)
    with torch.no_grad():
        there = first(turn.out.y_hat) + 0.5
    value = small.game.objective.terms["anchor"](turn)
    assert value.item() == pytest.approx(
        (255 / 8) ** 2 * (turn.x_hat - there).square().mean().item(), rel=1e-6
    )
    assert value > 0
    assert out.x_hat.shape == x.shape


def test_the_anchor_stays_where_it_is_and_survives_a_checkpoint():
    small = Small("anchor=1")
    start = {k: v.clone() for k, v in small.game.objective.terms["anchor"].start.state_dict().items()}
    small.play(5)
    state = small.game.state_dict()
    again = Small("anchor=1 seed=5")
    again.game.load_state_dict(state)
    for game in (small.game, again.game):
        kept = game.objective.terms["anchor"].start.state_dict()
        assert all(torch.equal(kept[name], start[name]) for name in start)
    assert not torch.equal(small.game.generator.g_s[0].weight, start["0.weight"])


def test_it_holds_the_synthesis_back():
    moved = []
    for weight in (0, 30):
        small = Small(f"anchor={weight} loss=ns rate=null generator.quantisation=ste")
        before = small.game.generator.g_s[0].weight.detach().clone()
        small.play(16)
        moved.append((small.game.generator.g_s[0].weight - before).norm().item())
    assert moved[1] < 0.8 * moved[0]
