"""What a turn promises to the losses: its draws, its condition, its precision, and that measuring leaves no trace."""

import pytest
import torch
from torch import nn
from turns import Given, Linear, open_turn

from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput, Players
from gcn.game.rules import SGA, Alternating, Descend, Simultaneous
from gcn.game.streams import Streams
from gcn.losses.adversarial import NonSaturating, Wasserstein
from gcn.losses.distortion import MSE
from gcn.losses.penalties import R1
from gcn.losses.perturbation import InstanceNoise


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, X_HAT = image(4, 3, 5, 5), image(4, 3, 5, 5, seed=1)
W = image(3, 5, 5, seed=2) - 0.3


def noisy_game():
    return open_turn(X, X_HAT, Linear(W), NonSaturating(), perturbations=[InstanceNoise(0.3)]).game


def test_the_first_batch_of_an_update_is_number_0():
    game = noisy_game()
    first = game.turn("d", X, 3).seen_real
    assert torch.equal(first, game.turn("d", X, 3, batch=0).seen_real)
    assert not torch.equal(first, game.turn("d", X, 3, batch=1).seen_real)
    assert not torch.equal(first, game.turn("d", X, 4).seen_real)


def test_a_turn_knows_who_pays():
    game = noisy_game()
    assert {player: game.turn(player, X, 0).payer for player in ("g", "d", "both")} == {
        "g": "g",
        "d": "d",
        "both": "g",
    }


def test_gradients_have_a_graph_where_it_is_asked_for_alone():
    game = noisy_game()
    for asked in (False, True):
        found = game.field(game.turn("both", X, 0), create_graph=asked)
        assert [gradient.requires_grad for gradient in (*found[0], *found[1])] == [asked] * 2
        turn = game.turn("g", X, 0)
        assert game.gradient("g", turn, create_graph=asked)[0].requires_grad is asked
    plain = game.turn("both", X, 0)
    assert not any(gradient.requires_grad for gradients in game.field(plain) for gradient in gradients)
    assert not game.gradient("d", game.turn("d", X, 0))[0].requires_grad


def test_what_is_observed_has_its_names_and_values():
    terms = {"mse": (0.5, MSE(255.0)), "r1": (0.0, R1())}
    turn = open_turn(X, X_HAT, Linear(W), NonSaturating(), terms, adv=2.0)
    game = turn.game
    game.field(turn)
    assert game.values == {}, "nobody is looking"
    game.observing = True
    game.field(game.turn("both", X, 0))
    values = {name: value.item() for name, value in game.values.items()}
    mse = (X - X_HAT).square().mean().item()
    logits = [(images * W).flatten(1).sum(1) for images in (X, X_HAT)]
    softplus = nn.functional.softplus
    d, g = softplus(-logits[0]).mean() + softplus(logits[1]).mean(), softplus(-logits[1]).mean()
    expected = {
        "g/adv": g.item(), "g/mse": mse, "g/total": 2 * g.item() + 0.5 * mse,
        "d/adv": d.item(), "d/total": d.item(), "d/r1": 0.5 * W.square().sum().item(),
    }  # fmt: skip
    assert values == pytest.approx(expected)
    assert not any(value.requires_grad for value in game.values.values())


def test_an_adversary_of_weight_0_is_measured_and_not_paid():
    turn = open_turn(X, X_HAT, Linear(W), NonSaturating(), {"mse": (1.0, MSE())}, adv=0.0)
    objective = turn.game.objective
    assert [loss.name for loss in objective.losses(turn, "g")] == ["mse"]
    assert list(objective.measure(turn, "g")) == ["adv"]
    assert [loss.name for loss in objective.losses(turn, "d")] == ["adv"], "D pays all of its loss"
    assert objective.measure(turn, "d") == {}


def test_a_measurement_has_draws_and_no_graph_of_its_own():
    turn = noisy_game().turn("d", X, 0)
    aside = turn.aside()
    assert (turn.measuring, aside.measuring, aside.payer, aside.step) == (False, True, "d", 0)
    assert not torch.equal(aside.seen_real, turn.seen_real)
    assert turn.input_gradient("real").requires_grad
    assert not aside.input_gradient("real").requires_grad


class Conditioned(nn.Module):
    """D(x, y) = <w, x> + Σ y, which notes what it is given."""

    def __init__(self, condition_gradient):
        super().__init__()
        self.w, self.condition_gradient = nn.Parameter(W.clone()), condition_gradient

    def forward(self, images, cond):
        score = (images * self.w).flatten(1).sum(1) + cond.flatten(1).sum(1)
        return DiscriminatorOutput((score.reshape(-1, 1, 1, 1),))


class Latent(Given):
    """A generator with latents, of which x_hat is twice the value."""

    def forward(self, x, noise):
        return GeneratorOutput(2 * self.x_hat, 1.0 * self.x_hat, {})


@pytest.mark.parametrize("passes", [False, True])
def test_the_condition_is_cut_from_the_generator_unless_d_lets_it_through(passes):
    objective = Objective(NonSaturating(), 1.0, {})
    game = Game(Latent(X_HAT), Conditioned(passes), objective, Streams(0)).double()
    turn = game.turn("g", X, 0)
    assert torch.equal(turn.condition, turn.out.y_hat)
    assert turn.condition is turn.condition
    score = (2 * X_HAT * W).flatten(1).sum(1) + X_HAT.flatten(1).sum(1)
    assert torch.allclose(turn.fake.logits[0].flatten(), score)
    pull = -torch.sigmoid(-score).reshape(-1, 1, 1, 1) / len(X)  # of softplus(-score), a mean over the batch
    expected = pull * (2 * W + (1.0 if passes else 0.0))
    assert torch.allclose(game.gradient("g", turn)[0], expected)


class Convolution(nn.Module):
    """A discriminator of one layer, a norm with buffers and a square."""

    def __init__(self, norm=False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity()

    def forward(self, images, cond):
        return DiscriminatorOutput((self.norm(self.layer(images)).square(),))


@pytest.mark.parametrize("images", ["real", "fake", "between"])
def test_input_gradients_are_in_full_precision_under_autocast(images):
    x, x_hat = X.float(), X_HAT.float()
    found = {}
    for dtype in (None, torch.bfloat16):
        turn = open_turn(x, x_hat, Convolution())
        at = 0.5 * (x + x_hat) if images == "between" else images
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            found[dtype] = turn.input_gradient(at)
    assert found[torch.bfloat16].dtype == torch.float32
    assert torch.equal(found[None], found[torch.bfloat16])


def test_a_discriminator_that_is_looked_at_aside_keeps_its_buffers():
    turn = open_turn(X, X_HAT, Convolution(norm=True))
    critic = turn.game.discriminator
    before = {name: buffer.clone() for name, buffer in critic.named_buffers()}
    with turn.discriminator_untouched():
        critic(X, None)
        assert not torch.equal(critic.norm.running_mean, before["norm.running_mean"])
    assert all(torch.equal(buffer, before[name]) for name, buffer in critic.named_buffers())
    with open_turn(X, X_HAT).discriminator_untouched():
        pass  # without a discriminator there is nothing to keep


class Noting:
    """A player that keeps the gradients of its steps."""

    def __init__(self, parameters=()):
        self.parameters, self.steps = parameters, []

    def step(self, gradients):
        self.steps.append([gradient.detach().clone() for gradient in gradients])


@pytest.mark.parametrize(
    "rule", [Descend(), Simultaneous(), Alternating()], ids=lambda rule: type(rule).__name__
)
def test_the_generator_moves_on_the_last_batch_of_an_update(rule):
    game = open_turn(X, X_HAT, Linear(W), NonSaturating(), {"mse": (1.0, MSE(255.0))}, adv=0.0).game
    players = Players(Noting(), Noting())
    turn = rule(game, [X, 0 * X], 0, players)
    assert torch.equal(turn.x, 0 * X)
    ((gradient,),) = players.g.steps
    assert torch.allclose(gradient, 2 * X_HAT / X.numel())
    assert len(players.d.steps) == {"Descend": 0, "Simultaneous": 1, "Alternating": 2}[type(rule).__name__]
    assert rule.several_d_steps is isinstance(rule, Alternating)


def test_before_the_game_the_generator_hears_no_adversary():
    game = open_turn(X, X_HAT, Linear(W), NonSaturating(), {"mse": (1.0, MSE(255.0))}).game
    players = Players(Noting(), Noting())
    Descend()(game, [X], 0, players)
    ((gradient,),) = players.g.steps
    assert torch.allclose(gradient, 2 * (X_HAT - X) / X.numel())


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_sga_of_a_bilinear_game(strength, align):
    """D = <w, x> and wgan: ξ = (-w/B for each image, m), m = mean x_hat - mean x. The Jacobian is antisymmetric, so the
    adjustment is Jᵀξ = (m/B for each image, w/B), orthogonal to ξ, and its sign stays."""
    game = open_turn(X, X_HAT, Linear(W), Wasserstein()).game
    players = Players(*(Noting(game.parameters_of(player)) for player in ("g", "d")))
    SGA(strength, align)(game, [X], 0, players)
    ((g,),), ((d,),) = players.g.steps, players.d.steps
    batch, away = len(X), (X_HAT - X).mean(0)
    assert torch.allclose(g, (-W / batch + strength * away / batch).expand_as(g), atol=1e-12)
    assert torch.allclose(d, away + strength * W / batch, atol=1e-12)


def test_streams_draw_from_the_seed_of_their_key():
    """Another seed would be other numbers in every run."""
    generator = torch.Generator().manual_seed(3302071304752770035)
    stream = Streams(7).at("update", 3)
    assert torch.equal(stream.uniform(torch.zeros(3, 2)), torch.rand(3, 2, generator=generator))
    assert torch.equal(stream.normal(torch.zeros(2)), torch.randn(2, generator=generator))
    assert not torch.equal(
        Streams(7).at("update", 4).uniform(torch.zeros(2)), torch.rand(2, generator=generator)
    )


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_each_process_draws_its_rows_of_the_joint_batch(kind):
    joint = getattr(Streams(7).at("a"), kind)(torch.zeros(4, 3))
    rows = [getattr(Streams(7, rank, 2).at("a"), kind)(torch.zeros(2, 3)) for rank in (0, 1)]
    assert torch.equal(torch.cat(rows), joint)
