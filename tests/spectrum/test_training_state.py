"""The whole state of a training as a vector: copies, displacements, what belongs to it."""

import itertools

import pytest
import torch
from little import TINIEST, batch, game

from gcn.game.protocols import Players
from gcn.game.replay import Recorded, Replayed
from gcn.game.rules import Alternating, Extragradient, Lookahead, Optimistic, update
from gcn.spectrum.training_state import TrainingState
from gcn.training.player import OptimizerPlayer


def adam(of, **options):
    options = {"lr": 1e-2, "betas": (0.5, 0.9)} | options
    return Players(*(OptimizerPlayer(torch.optim.Adam(of.parameters_of(name), **options)) for name in "gd"))


class Laid:
    """A training of a tiny codec whose state has been laid out by its first update."""

    def __init__(self, said="loss=ns mse=1", rule=None, players=adam):
        self.game = game(said, size=TINIEST)
        self.rule, self.players = rule or Alternating(), players(self.game)
        self.x, self.step = batch(self.game, side=16), 0
        self.state = TrainingState(self.game, self.rule, self.players)
        before = self.state.take()
        self.move()
        self.state.lay_out(before, self.state.take())

    def move(self, updates=1, players=None):
        for _ in range(updates):
            update(self.game, self.rule, [self.x], self.step, players or self.players)
            self.step += 1


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.tensors, other.tensors, strict=True))


@pytest.mark.parametrize("rule", [Alternating, Optimistic, Lookahead, Extragradient])
def test_a_restored_training_goes_on_bit_for_bit(rule):
    it = Laid("loss=ns mse=1 lecam=1 spectral_norm=true", rule())
    start, step = it.state.take(), it.step
    it.move(3)
    end, it.step = it.state.take(), step
    assert not same(start, end)
    it.state.put(start)
    assert same(it.state.take(), start)
    it.move(3)
    assert same(it.state.take(), end)


def test_everything_that_changes_belongs_to_it_and_step_counts_do_not():
    it = Laid("loss=ns mse=1 lecam=1 spectral_norm=true", Optimistic())
    n = sum(p.numel() for name in "gd" for p in it.game.parameters_of(name))
    layers = [m for m in it.game.discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert {len(m.weight) for m in layers} == {
        1
    }  # the left vector of a power iteration is then a constant, 1 or -1
    vectors, lecam = sum(m.weight.numel() for m in layers), 3
    assert (
        len(it.state.vector(it.state.take())) == 4 * n + vectors + lecam
    )  # with m, v and the rule's last move
    unreached = sum(
        int((state["exp_avg_sq"] == 0).sum()) for p in it.players for state in p.optimizer.state.values()
    )
    assert 0 < unreached < n / 4  # the tiny codec has some
    assert it.state.mask("g", "d").sum() == 3 * (n - unreached)
    assert it.state.mask("shared").sum() == n + vectors + lecam


def test_a_displacement_of_0_changes_nothing_and_another_one_is_what_the_vector_says():
    it = Laid()
    now = it.state.take()
    here = it.state.vector(now)
    offset = 1e-3 * torch.randn(len(here), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offset = offset.abs()  # away from the fold of √v at 0
    assert torch.allclose(it.state.vector(it.state.displaced(now, 0 * offset)), here, rtol=1e-14, atol=0)
    assert torch.allclose(
        it.state.vector(it.state.displaced(now, offset)) - here, offset, rtol=1e-9, atol=1e-14
    )


def test_second_moments_stay_non_negative_at_any_distance():
    it = Laid()
    now = it.state.take()
    moved = it.state.displaced(now, torch.full_like(it.state.vector(now), -10.0))
    it.state.put(moved)
    for player in it.players:
        for state in player.optimizer.state.values():
            assert (state["exp_avg_sq"] >= 0).all()
            assert float(state["step"]) == 1
    it.move()
    assert it.state.vector(it.state.take()).isfinite().all()


def test_moments_count_by_what_they_move():
    """The RMS of a moment's coordinates is that of its parameter's last move."""
    it = Laid()
    now = it.state.take()
    count = sum(len(player.parameters) for player in it.players)
    parts = it.state.parts[count:]
    assert len(parts) == 2 * count
    moves = itertools.chain(*([0.01, 0.01] for _ in range(count)))  # Adam's first move is lr·sign(g)
    for part, move in zip(parts, moves, strict=True):
        coordinates = part.coordinate(now.tensors[part.place])
        share = float((now.tensors[part.place] != 0).double().mean())
        assert float(coordinates.square().mean().sqrt()) == pytest.approx(move * share**0.5, rel=1e-3)


@pytest.mark.parametrize("rule", [Alternating, Optimistic, Lookahead, Extragradient])
def test_a_player_beside_the_other_s_replay_moves_as_it_did(rule):
    it = Laid(rule=rule())
    start, step = it.state.take(), it.step
    g, d = (Recorded(player) for player in it.players)
    it.move(6, Players(g, d))
    end = it.state.take()
    points = {"g": g.take(), "d": d.take()}
    for name, other in (("g", "d"), ("d", "g")):
        it.state.put(start)
        it.step = step
        replayed = Replayed(getattr(it.players, other).parameters, points[other])
        it.move(6, Players(it.players.g, replayed) if name == "g" else Players(replayed, it.players.d))
        mask = it.state.mask(name, "shared")
        assert torch.equal(it.state.vector(it.state.take()) * mask, it.state.vector(end) * mask)


def test_float32_is_refused():
    it = Laid()
    it.game.float()
    with pytest.raises(ValueError, match="float64"):
        it.state.lay_out(it.state.take(), it.state.take())
