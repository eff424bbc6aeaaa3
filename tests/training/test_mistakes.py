"""Mistakes that public trainers of GANs and codecs make, each against the property that it breaks.

``tests/mutants`` puts each of them into a copy of the code and requires that the test here fails.
"""

import copy
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from runs import assert_same_run, killed_at, planned, run, words
from small import Small
from torch import Tensor

import gcn.game.reduction
from gcn.game.objective import total_of
from gcn.game.protocols import Players
from gcn.game.rules import Rule
from gcn.game.streams import Streams
from gcn.losses.distortion import MSE
from gcn.losses.perceptual import LPIPS
from gcn.report.metrics_table import MetricsTable
from gcn.training.fit import train


def descending(small: Small, rate: float) -> Small:
    """Gradient descent for both players: a move shows the gradient that was followed."""
    for player in small.players:
        player.optimizer = torch.optim.SGD(player.parameters, rate)
        player._commit = player.optimizer.step
    return small


def copied(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


def test_each_player_follows_the_gradient_of_its_own_loss_alone():
    """Mistake 1: what G's backward pass leaves on D's parameters is added to D's next gradient."""
    rate = 0.1
    small = descending(Small("mse=1"), rate)
    small.game.double()
    small.batches = lambda step: [x.double() for x in Small.batches(small, step)]
    small.play(2)  # by now each player has seen the other move
    alone = copy.deepcopy(small.game)
    small.play(1, start=2)
    turn = alone.turn("d", small.batches(2)[0], 2)
    for player in ("d", "g"):
        own = alone.parameters_of(player)
        loss = total_of(alone.objective.losses(turn, player))
        gradients = torch.autograd.grad(loss, own, retain_graph=True)
        with torch.no_grad():
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.sub_(rate * gradient)
        torch.testing.assert_close(copied(small.game.parameters_of(player)), copied(own))
        turn = turn.next("g")


def test_every_image_is_judged_with_its_own_latents():
    """Mistake 2: latents in another order than the images, so that D sees another image's y_hat."""
    game = Small("").game
    assert game.discriminator is not None
    turn = game.turn("d", torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 0)
    for seen, judged in ((turn.seen_real, turn.real), (turn.seen_fake, turn.fake)):
        for i in range(3):
            own, other = (turn.out.y_hat[j : j + 1] for j in (i, (i + 1) % 3))
            expected = game.discriminator(seen[i : i + 1], own).logits[0]
            assert not torch.allclose(
                game.discriminator(seen[i : i + 1], other).logits[0], expected, atol=1e-3
            )
            torch.testing.assert_close(judged.logits[0][i : i + 1], expected)


class Listening(Rule):
    """Notes the update and both learning rates, and lets a rule play."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.seen = rule, []

    def __call__(self, game: Any, batches: Sequence[Tensor], step: int, players: Players) -> Any:
        rates = (player.optimizer.param_groups[0]["lr"] for player in players)
        self.seen.append((step, len(batches), *rates))
        return self.rule(game, batches, step, players)


RARELY = "val_every=100 panel_every=100"


def test_the_clock_counts_generator_updates(data, quick, tmp_path):
    """Mistake 3: steps of optimizers are counted, so that runs and their schedules end early."""
    plan = planned(tmp_path, *words(data, RARELY, "steps=4 d_steps=2 optim=hific optim.d.lr=4e-4"))
    listening = plan.module.rule = Listening(plan.module.rule)
    assert train(plan)["steps"] == 4
    factors = (1.0, 1.0, 0.1, 0.1)  # a tenth from half time on
    assert [moment[:2] for moment in listening.seen] == [(step, 2) for step in range(4)]
    for at, (_, _, g, d) in enumerate(listening.seen):
        assert (g, d) == pytest.approx((1e-4 * factors[at], 4e-4 * factors[at]))
    logged = MetricsTable(tmp_path / "metrics.csv").rows()
    assert [(row["train/lr/g"], row["train/lr/d"]) for row in logged] == [m[2:] for m in listening.seen]


def test_a_resumed_run_goes_on_where_it_was(data, quick, tmp_path):
    """Mistake 6: steps, schedules, the position in the data or the noise begin again."""
    said = words(data, RARELY, "steps=4 checkpoint_every=2")
    run(tmp_path / "reference", *said)
    killed_at(3, tmp_path / "killed", *said)
    run(tmp_path / "killed")
    assert_same_run(tmp_path / "killed", tmp_path / "reference")


@pytest.mark.filterwarnings("ignore:lpips. the .* backbone has random weights")
def test_lpips_has_a_gradient_at_a_perfect_reconstruction():
    """Mistake 8: the infinite slope of a root at zero, times a difference that is zero, is not a number.

    Looked at where it arises, at the features: a ReLU of torch drops it on the way to x_hat, others pass it on, and
    torch's anomaly detection stops at it.
    """
    term = LPIPS("alex", backbone="random")
    (network,) = term._hidden
    last = [layer for layer in network.net.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    last.bias.data.fill_(-1e3)  # all features vanish, as they do here and there in trained networks
    features: list[Sequence[Tensor]] = []
    network.net.register_forward_hook(lambda module, images, found: features.append(found))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    distance = term.distance(x, x.clone().requires_grad_())
    of_x_hat = features[1]
    assert not of_x_hat[-1].any()
    for gradient in torch.autograd.grad(distance.sum(), of_x_hat):
        assert gradient.isfinite().all()


class Threads:
    """Stands for ``torch.distributed``: ranks are threads that wait for each other at each sum."""

    def __init__(self, world: int) -> None:
        self.world, self.parts = world, [torch.empty(0)] * world
        self.meeting, self.me = threading.Barrier(world, timeout=60), threading.local()

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def get_world_size(self) -> int:
        return self.world

    def get_rank(self) -> int:
        return self.me.rank

    def all_reduce(self, tensor: Tensor) -> None:
        self.parts[self.me.rank] = tensor.clone()
        self.meeting.wait()
        tensor.copy_(torch.stack(self.parts).sum(0))
        self.meeting.wait()


class Part(Small):
    """One rank's part of a game in float64."""

    def __init__(self, cfg: str, rank: int = 0, world: int = 1) -> None:
        super().__init__(cfg)
        self.game.double().streams = Streams(self.cfg.seed, rank, world)

    def batches(self, step: int) -> Sequence[Tensor]:
        streams = self.game.streams
        return [x.double().chunk(streams.world)[streams.rank] for x in super().batches(step)]


def test_both_players_gradients_are_averaged_over_processes(monkeypatch):
    """Mistake 10: G's backward pass serves the reducer, and each process trains a discriminator of its own."""
    ranks = Threads(2)
    parts = [descending(Part("mse=1", rank, 2), 0.1) for rank in range(2)]
    alone = descending(Part("mse=1"), 0.1).play(2)

    def play(rank: int) -> None:
        ranks.me.rank = rank
        parts[rank].play(2)

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(gcn.game.reduction, "dist", ranks)
        list(pool.map(play, range(2)))
    for player in ("d", "g"):
        first, second, joint = (copied(p.game.parameters_of(player)) for p in (*parts, alone))
        torch.testing.assert_close(first, second, rtol=0, atol=0, msg=f"the replicas of {player} differ")
        torch.testing.assert_close(first, joint)


def test_an_update_that_is_not_finite_ends_the_run_and_is_named(data, quick, tmp_path, monkeypatch):
    """Mistake 11: such updates are skipped, and nothing in the run folder shows it."""
    forward = MSE.forward
    monkeypatch.setattr(
        MSE, "forward", lambda self, turn: forward(self, turn) * (torch.nan if turn.step == 2 else 1)
    )
    summary = run(tmp_path, *words(data, RARELY, "steps=6 log_every=6"))  # it falls between two rows
    assert (summary["verdict"], summary["verdict_step"]) == ("diverged", 3)
    assert "train/g/grad_norm is nan" in summary["verdict_reason"]
    assert summary["steps"] == 3
