"""A history of reconstructions against the paper's algorithm, written out for lists."""

import sys
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("theory", "training")]
from ensembles import descent, points
from small import Small
from turns import Given, Linear

from gcn.commands.lab import ensemble as configured
from gcn.config.build import build
from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.rules import Simultaneous, update
from gcn.game.streams import Streams
from gcn.lab.ensemble import GameEnsemble, play
from gcn.lab.games import Dirac
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.history import History

pytestmark = pytest.mark.usefixtures("native_convolutions")

WORDS = "loss=ns mse=1 history=5 data.batch=4 discriminator.condition=false"
RULES = ["alternating d_steps=2", "unrolled"]


def history(small) -> History:
    return small.game.objective.fakes


def rows(images) -> list[bytes]:
    """The images as values that can be counted."""
    return [image.detach().numpy().tobytes() for image in images]


def test_the_buffer_fills_and_then_half_a_batch_replaces_random_places():
    """N = 5, half a batch is 2: after three updates it is full, and from then on two of five change."""
    small, held = Small(WORDS), []
    for step in range(12):
        turn = update(small.game, small.rule, small.batches(step), step, small.players)
        now, new = rows(history(small).images), rows(turn.x_hat)[:2]
        if step < 2:
            assert now[: 2 * step + 2] == [*held, *new]
            held = now[: 2 * step + 2]
        else:
            assert set(new) < set(now)
            assert len(set(now) & set(held)) == (4 if step == 2 else 5) - (1 if step == 2 else 2)
            held = now
        assert history(small).filled == min(2 * step + 2, 5)
    assert len(set(held)) == 5


def test_all_places_are_replaced_and_shown_alike():
    source, counts, shown = History(5), torch.zeros(5), torch.zeros(5)
    source.check_images(2)
    objective = Objective(NonSaturating(), fakes=source)
    x, w = torch.zeros(4, 3, 2, 2), torch.ones(3, 2, 2)
    for step in range(203):
        game = Game(Given(torch.rand(4, 3, 2, 2)), Linear(w), objective, Streams(0))
        turn, before = game.turn("d", x, step), set(rows(source.images))
        if step > 2:
            given = rows(turn.seen_fake)
            shown += torch.tensor([float(image in given[:2]) for image in rows(source.images)])
        objective.after_update(turn)
        if step > 2:
            counts += torch.tensor([float(image not in before) for image in rows(source.images)])
    assert counts.sum() == shown.sum() == 400
    for found in (counts, shown):  # 200 draws of two of five: 80 expected of each, standard deviation 6.9
        assert 50 < found.min() <= found.max() < 110


@pytest.mark.parametrize("rule", RULES)
def test_only_the_loss_of_d_sees_the_past_and_without_gradient(rule):
    small = Small(f"{WORDS} dynamics={rule}").play(4)
    turn = small.game.turn("both", small.batches(4)[0], 4)
    buffer = set(rows(history(small).images))
    turn.payer = "d"
    seen, logits = turn.seen_fake, turn.fake.logits[0]
    assert [row in buffer for row in rows(seen)] == [True, True, False, False]
    assert len(set(rows(seen)[:2])) == 2
    assert torch.equal(seen[2:], turn.x_hat[2:])
    (felt,) = torch.autograd.grad(logits.sum(), turn.x_hat, retain_graph=True)
    assert [bool(image.any()) for image in felt] == [False, False, True, True]
    turn.payer = "g"
    assert torch.equal(turn.seen_fake, turn.x_hat)
    (felt,) = torch.autograd.grad(turn.fake.logits[0].sum(), turn.x_hat, retain_graph=True)
    assert all(bool(image.any()) for image in felt)
    sp, game = torch.nn.functional.softplus, small.game
    d = sum(
        sp(sign * game.discriminator(images, None).logits[0]).mean()
        for sign, images in ((-1, turn.x), (1, seen))
    )
    g = sp(-game.discriminator(turn.x_hat, None).logits[0]).mean()
    for player, expected in (("d", d), ("g", g)):
        (adv,) = [loss.value for loss in game.objective.losses(turn, player) if loss.name == "adv"]
        assert adv.item() == pytest.approx(expected.item(), rel=1e-5)


def test_before_the_first_update_d_sees_the_batch():
    small = Small(WORDS)
    turn = small.game.turn("d", small.batches(0)[0], 0)
    assert turn.payer == "d"
    assert torch.equal(turn.seen_fake, turn.x_hat)


def test_the_dirac_gan_follows_the_mean_of_present_and_past():
    """wgan, simultaneous, two copies of a point: θ ← θ + hψ, ψ ← ψ - h(θ + past)/2, past the last θ."""
    h = 0.1
    game = GameEnsemble(
        Dirac(), Objective(Wasserstein(), fakes=History(1)), rule=Simultaneous, streams=Streams(0), copies=2,
        **descent(h),
    )  # fmt: skip
    path = play(game, points((0.7, -0.4), (-1.0, 0.2)), 30)
    for i, start in enumerate([(0.7, -0.4), (-1.0, 0.2)]):
        (t, p), past = start, None
        for found in path[1:, i].tolist():
            shown = t if past is None else past
            past, t, p = t, t + h * p, p - h * (t + shown) / 2
            assert found == pytest.approx((t, p), abs=1e-12)


def test_games_in_the_plane_have_histories_of_their_own():
    words = ["game=ring", "history=6", "game.batch=4", "game.width=4", "game.depth=1", "steps=6"]
    cfg = parse(words, root=LAB)
    plane = build(cfg, "game")
    from gcn.config.build import objective, present_terms

    ends = []
    for seeds in ([3, 4], [4]):
        run = plane.train(objective(cfg, present_terms(cfg))[0], steps=6, log_every=6, seeds=seeds)
        ends.append(run.game.objective.fakes.images[-1])
        assert run.game.objective.fakes.images.shape == (len(seeds), 6, 2)
    assert torch.allclose(*ends, atol=1e-6)


def test_numbers_need_random_sampling():
    cfg = parse(["game=dirac", "history=4"], root=LAB)
    with pytest.raises(InputError, match=r"history: .* add sampling=random"):
        configured(cfg, build(cfg, "game"))


@pytest.mark.parametrize(("size", "batch"), [(1, 4), (5, 1)])
def test_a_batch_that_does_not_fit_is_refused(size, batch):
    small = Small("loss=ns mse=1 discriminator.condition=false")
    small.game.objective.fakes = History(size)
    small.game.objective.fakes.check_images(32)
    with pytest.raises(InputError, match=f"history={size}: half of a batch of {batch}"):
        update(small.game, small.rule, [torch.rand(batch, 3, 32, 32)], 0, small.players)
