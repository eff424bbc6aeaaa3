"""Twins keep everything of a game but the reaction of one player to the other."""

import pytest
import torch
from small_study import GROUND_WORDS, ground_of

from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.replay import point_of
from gcn.study.arm_training import ArmTraining
from gcn.study.twins import adversary_at_x_hat, training_of


@pytest.fixture(scope="module")
def grounds():
    return [ground_of(seed) for seed in (0, 1)]


def configured(*said, seed=0):
    return parse([*GROUND_WORDS, "init_from=codec", f"seed={seed}", *said])


def moved(training, player="g"):
    """Parameters of a player after three updates."""
    for _ in range(3):
        training.advance()
    return point_of(training.game.parameters_of(player))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "said", [["mse=1"], ["d_steps=2"], ["dynamics=extragradient"], ["spectral_norm=true"]]
)
def test_a_yoked_discriminator_repeats_the_other_game_bit_for_bit(grounds, said):
    alone = ArmTraining(configured("loss=ns", *said, seed=1), grounds[1])
    other = ArmTraining(configured("loss=ns", *said, seed=1), grounds[1])
    twin = training_of(configured("loss=ns", *said), grounds[0], "yoked", other)
    assert same(point_of(twin.game.parameters_of("d")), point_of(alone.game.parameters_of("d")))
    for _ in range(3):
        twin.advance()
        alone.advance()
        for player in "gd":  # the other game is not disturbed
            assert same(
                point_of(other.game.parameters_of(player)), point_of(alone.game.parameters_of(player))
            )
        assert same(point_of(twin.game.parameters_of("d")), point_of(alone.game.parameters_of("d")))
    assert not same(point_of(twin.game.parameters_of("g")), point_of(alone.game.parameters_of("g")))


def test_nothing_that_a_yoked_generator_does_reaches_the_discriminator(grounds):
    found = []
    for lr in ("1e-4", "1e-1"):
        other = ArmTraining(configured("loss=ns", seed=1), grounds[1])
        twin = training_of(configured("loss=ns", f"optim.g.lr={lr}"), grounds[0], "yoked", other)
        found.append((moved(twin), point_of(twin.game.parameters_of("d"))))
    assert not same(found[0][0], found[1][0])
    assert same(found[0][1], found[1][1])


def test_a_rescaled_discriminator_is_as_many_times_as_far_from_its_first_weights(grounds):
    """On the line through the recorded point, whatever the rate of the twin's G; with 1 it is the recorded point."""
    found = {}
    for scale in (1.0, 3.0):
        other = ArmTraining(configured("loss=ns", seed=1), grounds[1])
        start = point_of(other.game.parameters_of("d"))
        twin = training_of(configured("loss=ns", "optim.g.lr=3e-4"), grounds[0], "rescaled", other, scale)
        for _ in range(3):
            twin.advance()
        found[scale] = point_of(twin.game.parameters_of("d"))
        assert same(found[1.0], point_of(other.game.parameters_of("d")))
    for first, one, three in zip(start, found[1.0], found[3.0], strict=True):
        torch.testing.assert_close(three - first, 3 * (one - first), rtol=1e-3, atol=1e-7)
        assert not torch.equal(three, one)


def test_a_rescaled_discriminator_keeps_its_constraint(grounds):
    """Weights that were clipped at .01 in the recorded game are clipped at .01 after they were moved on."""
    other = ArmTraining(configured("loss=wgan", "weight_clip=0.01", seed=1), grounds[1])
    twin = training_of(configured("loss=wgan", "weight_clip=0.01"), grounds[0], "rescaled", other, -5.0)
    largest = max(float(p.abs().max()) for p in moved(twin, "d"))
    assert largest == pytest.approx(0.01)


def test_learning_rates_of_both_games_rise_together(grounds):
    other = ArmTraining(configured("loss=ns", seed=1), grounds[1])
    twin = training_of(configured("loss=ns"), grounds[0], "yoked", other)
    players = [(game, player) for game in (twin.game, other.game) for player in "gd"]
    before = [point_of(game.parameters_of(player)) for game, player in players]
    twin.advance(learning_rate=0.0)
    assert all(
        same(point_of(g.parameters_of(p)), point) for (g, p), point in zip(players, before, strict=True)
    )
    twin.advance(learning_rate=1.0)
    assert not any(
        same(point_of(g.parameters_of(p)), point) for (g, p), point in zip(players, before, strict=True)
    )


def test_a_frozen_discriminator_stays_and_its_generator_does_not(grounds):
    cfg = configured("loss=ns")
    game, twin = ArmTraining(cfg, grounds[0]), training_of(cfg, grounds[0], "frozen_d")
    start = point_of(game.game.parameters_of("g")), point_of(game.game.parameters_of("d"))
    assert not same(moved(twin), start[0])
    assert same(point_of(twin.game.parameters_of("d")), start[1])
    assert not same(point_of(twin.game.parameters_of("g")), moved(game))


def test_still_is_still(grounds):
    cfg = configured("loss=wgan", "gp=10")
    start = point_of(ArmTraining(cfg, grounds[0]).game.parameters_of("g"))
    assert same(moved(training_of(cfg, grounds[0], "still")), start)


def test_distortion_alone_is_the_game_without_its_loss(grounds):
    """Whatever tricks the words name for the adversary that is gone."""
    twin = training_of(configured("loss=ns", "mse=1", "r1=10", "adv=3"), grounds[0], "distortion_alone")
    plain = ArmTraining(configured("loss=none", "mse=1"), grounds[0])
    plain.rule = twin.rule
    assert same(moved(twin), moved(plain))


def test_a_random_gradient_has_the_adversary_s_norm_and_nothing_of_its_direction(grounds):
    cfg = configured("loss=ns", "adv=2", "mse=0")
    twin, game = training_of(cfg, grounds[0], "random_gradient"), ArmTraining(cfg, grounds[0])
    norm = adversary_at_x_hat(game)
    turns = [twin.game.turn("g", twin.batches(step)[-1], step, playing=False) for step in (0, 0, 1)]
    gradients = []
    for turn in turns:
        (loss,) = twin.game.objective.losses(turn, "g")
        gradients += torch.autograd.grad(loss.weight * loss.value, turn.x_hat)
    assert [float(g.norm()) for g in gradients] == pytest.approx([norm] * 3)
    assert torch.equal(gradients[0], gradients[1])
    cosine = torch.cosine_similarity(gradients[0].flatten(), gradients[2].flatten(), 0)
    assert abs(float(cosine)) < 0.1  # 6144 numbers: a deviation of .013


def test_the_norm_is_that_of_the_weighted_loss(grounds):
    """Of E softplus(-D(x_hat)), by hand."""
    game = ArmTraining(configured("loss=ns", "adv=2"), grounds[0])
    turn = game.game.turn("g", game.batches(0)[-1], 0)
    x_hat = turn.x_hat.detach().requires_grad_()
    (logits,) = game.game.discriminator(x_hat, None).logits
    (gradient,) = torch.autograd.grad(2 * torch.nn.functional.softplus(-logits).mean(), x_hat)
    assert adversary_at_x_hat(game) == pytest.approx(float(gradient.norm()), rel=1e-5)


@pytest.mark.parametrize(
    ("twin", "said", "why"),
    [
        ("yokd", ["loss=ns"], "twin=yokd: unknown; nearest: yoked"),
        ("distortion_alone", ["loss=ns", "mse=0"], "nothing is left to learn from; set a distortion, mse=1"),
        ("recorded", ["loss=none", "mse=1"], "twin=recorded: this configuration has no adversary"),
        ("frozen_d", ["loss=none", "mse=1"], "has no adversary; choose a loss, loss=ns"),
        ("random_gradient", ["loss=ns", "mse=1", "adv=0"], "with adv above 0"),
    ],
)
def test_twins_that_cannot_be(grounds, twin, said, why):
    other = ArmTraining(configured(*said, seed=1), grounds[1])
    with pytest.raises(InputError, match=why):
        training_of(configured(*said), grounds[0], twin, other)
