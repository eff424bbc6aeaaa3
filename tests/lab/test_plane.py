"""Games of the plane: many at once are what each is alone; seeds pair the arms; what diverges stays by itself."""

from functools import partial

import pytest
import torch
from torch import nn

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput, Players
from gcn.game.rules import Alternating, Extragradient, Simultaneous
from gcn.game.streams import Streams
from gcn.lab.plane.distributions import Circle, Gaussians, Ring
from gcn.lab.plane.plane import Plane
from gcn.lab.plane.plane_figure import multiples, portrait, view
from gcn.lab.plane.transport import wasserstein
from gcn.lab.players import SGD, Adam, RMSProp
from gcn.losses.adversarial import Hinge, NonSaturating, Relativistic, Wasserstein
from gcn.losses.constraints import WeightClip
from gcn.losses.distortion import MSE
from gcn.losses.penalties import GP, R1
from gcn.losses.perturbation import InstanceNoise

SMALL = {"width": 6, "batch": 8, "latent": 3, "activation": "relu"}
UPDATES, FEW = 12, 5


def mse():
    return MSE(unit=255.0)


# one game alone, by torch's own layers and optimizer


def sequential(layers, game):
    """``nn.Linear`` with the weights of one game of an ensemble."""
    parts = []
    for weight, bias in zip(layers.weights, layers.biases, strict=True):
        linear = nn.Linear(*weight.shape[1:])
        linear.weight, linear.bias = nn.Parameter(weight[game].T.clone()), nn.Parameter(bias[game, 0].clone())
        parts += [linear, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class AloneGenerator(nn.Module):
    def __init__(self, many, game):
        super().__init__()
        self.encoder = sequential(many.encoder, game) if hasattr(many, "encoder") else None
        self.decoder = sequential(many.decoder, game)
        self.levels = 2 * many.bound + 1 if self.encoder is not None else None
        self.latent = self.decoder[0].in_features

    def forward(self, x, noise):
        if self.encoder is None:
            return GeneratorOutput(self.decoder(noise.normal(x.new_empty(len(x), self.latent))))
        y = (self.levels - 1) / 2 * torch.tanh(self.encoder(x))
        y_hat = y + noise.uniform(y) - 0.5
        return GeneratorOutput(self.decoder(y_hat), y_hat)


class AloneCritic(nn.Module):
    def __init__(self, many, game):
        super().__init__()
        self.layers = sequential(many.layers, game)

    def forward(self, images, cond=None):
        return DiscriminatorOutput((self.layers(images),))


class TorchAdam:
    """A player by ``torch.optim.Adam``."""

    def __init__(self, parameters, lr):
        self.parameters = parameters
        self.adam = torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.9))

    def step(self, gradients):
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.adam.step()

    extrapolate = step


def play_alone(plane, many, game, seed, objective, rule, lr, d_steps):
    alone = Game(
        AloneGenerator(many.generator, game), AloneCritic(many.discriminator, game), objective, Streams(seed)
    ).double()
    players = Players(TorchAdam(alone.parameters_of("g"), lr), TorchAdam(alone.parameters_of("d"), lr))
    like = torch.empty(plane.batch, 2, dtype=torch.float64)
    for step in range(FEW):
        batches = [plane.distribution.sample(Streams(seed).at("data", step, i), like) for i in range(d_steps)]
        rule(alone, batches, step, players)
    return alone


ARMS = {
    "ns": (lambda i: Objective(NonSaturating()), "noise", Alternating, 1),
    "r1 of each game": (
        lambda i: Objective(
            Hinge(), 1.0, {"r1": (torch.tensor([0.0, 0.3, 2.0])[slice(None) if i is None else i], R1())}
        ),
        "noise",
        Alternating,
        2,
    ),
    "gp": (lambda i: Objective(Wasserstein(), 1.0, {"gp": (0.5, GP())}), "noise", Simultaneous, 1),
    "codec": (
        lambda i: Objective(
            Relativistic("average").wrap(NonSaturating()), 0.7, {"mse": (0.4, mse())}, [InstanceNoise(0.3)]
        ),
        "autoencoder",
        Extragradient,
        1,
    ),
}


@pytest.mark.parametrize("arm", ARMS)
def test_a_game_among_many_is_the_game_alone(arm):
    objective, generator, rule, d_steps = ARMS[arm]
    plane = Plane(Ring(std=0.1), generator, **SMALL)
    seeds = [4, 9, 4]
    lr = torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64)
    many = plane.game(objective(None), seeds, torch.float64)
    players = Players(*(Adam(many.parameters_of(p), lr) for p in ("g", "d")))
    started = plane.game(objective(None), seeds, torch.float64)
    move = rule()
    for step in range(FEW):
        move(many, [plane.data(many, "data", step, i) for i in range(d_steps)], step, players)
    for i, seed in enumerate(seeds):
        alone = play_alone(plane, started, i, seed, objective(i), rule(), float(lr[i]), d_steps)
        for of_many, of_alone in (
            (many.generator.decoder, alone.generator.decoder),
            (many.discriminator.layers, alone.discriminator.layers),
        ):
            linears = [layer for layer in of_alone if isinstance(layer, nn.Linear)]
            for weight, bias, linear in zip(of_many.weights, of_many.biases, linears, strict=True):
                assert (weight[i].T - linear.weight).abs().max() < 1e-7
                assert (bias[i, 0] - linear.bias).abs().max() < 1e-7
        assert (many.generator.decoder.weights[0][i] - started.generator.decoder.weights[0][i]).norm() > 0.01


def leaky_network(weights, biases, x):
    *hidden, last = zip(weights, biases, strict=True)
    for weight, bias in hidden:
        x = x @ weight + bias
        x = torch.where(x > 0, x, 0.2 * x)
    return x @ last[0] + last[1]


def test_an_update_with_r1_and_rmsprop_is_that_of_the_formulas():
    """One alternating update of networks as in the study ``plane``, by the formulas of loss, penalty and optimizer."""
    plane = Plane(Circle(), width=5, depth=3, latent=4, batch=6, slope=0.2)
    found = plane.train(
        Objective(NonSaturating(), 1.0, {"r1": (3.0, R1())}), g_optimizer=partial(RMSProp, lr=0.01), steps=1, seeds=[8],
        dtype=torch.float64,
    )  # fmt: skip
    begun = plane.game(Objective(NonSaturating()), [8], torch.float64)
    g, d = begun.generator.decoder, begun.discriminator.layers
    streams = Streams(8)
    x = plane.distribution.sample(streams.at("data", 0, 0), torch.empty(6, 2, dtype=torch.float64))
    z = streams.at("update", 0, 0).child("quantisation").normal(torch.empty(6, 4, dtype=torch.float64))

    def rmsprop(parameters, loss):
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():  # v = (1 - .99)·g² after the first update
            for w, grad in zip(parameters, gradients, strict=True):
                w.sub_(0.01 * grad / (0.1 * grad.abs() + 1e-8))

    def logits(points):
        return leaky_network([w[0] for w in d.weights], [b[0] for b in d.biases], points)

    def fake():
        return leaky_network([w[0] for w in g.weights], [b[0] for b in g.biases], z)

    x.requires_grad_()
    real = logits(x)
    (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
    loss = (
        -torch.nn.functional.logsigmoid(real).mean() - torch.nn.functional.logsigmoid(-logits(fake())).mean()
    )
    rmsprop(list(d.parameters()), loss + 3.0 / 2 * slope.square().sum(1).mean())
    rmsprop(list(g.parameters()), -torch.nn.functional.logsigmoid(logits(fake())).mean())
    for name, expected in begun.named_parameters():
        assert torch.allclose(dict(found.game.named_parameters())[name], expected, rtol=1e-9, atol=1e-10), (
            name
        )


def run(plane, objective, seeds, steps=UPDATES, **options):
    return plane.train(objective, steps=steps, seeds=seeds, log_every=5, **options)


def test_arms_are_paired_and_games_do_not_know_of_each_other():
    plane = Plane(Circle(), **SMALL)
    weights = torch.tensor([0.0, 0.0, 5.0])
    together = run(plane, Objective(NonSaturating(), 1.0, {"r1": (weights, R1())}), [1, 2, 1])
    assert torch.equal(together.real[0], together.real[2])
    assert torch.equal(together.real[1], run(plane, Objective(NonSaturating()), [2]).real[0])
    for name, values in together.curves.items():
        if name != "d_norm":  # what D pays has another gradient from the start
            assert torch.equal(values[0, 0], values[0, 2]), name  # same start
    assert not torch.equal(together.samples[0], together.samples[2])
    alone = run(plane, Objective(NonSaturating()), [1])
    assert torch.allclose(together.samples[0], alone.samples[0], atol=1e-5)


def test_a_look_moves_nothing():
    plane = Plane(Circle(), **SMALL)
    often = plane.train(Objective(Hinge()), steps=6, seeds=[0], log_every=1)
    seldom = plane.train(Objective(Hinge()), steps=6, seeds=[0], log_every=6)
    assert torch.equal(often.samples, seldom.samples)
    assert often.steps.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert seldom.steps.tolist() == [0, 6]


def test_a_game_that_diverges_is_recorded_and_disturbs_no_other():
    plane = Plane(Gaussians(), **SMALL)
    wild = partial(SGD, lr=torch.tensor([0.01, 1e12]))
    both = run(plane, Objective(Wasserstein()), [7, 7], g_optimizer=wild)
    calm = run(plane, Objective(Wasserstein()), [7], g_optimizer=partial(SGD, lr=0.01))
    assert both.diverged.tolist() == [-1, 5]
    assert both.curves["recovered"][-1, 1] == 0
    assert torch.allclose(both.samples[0], calm.samples[0], atol=1e-6)


def test_the_code_says_no_more_than_its_levels():
    plane = Plane(Ring(), "autoencoder", width=6, code=2, levels=4)
    assert plane.bits == 4
    assert Plane(Ring()).bits is None
    game = plane.game(Objective(None, terms={"mse": (1.0, mse())}), [0])
    with torch.no_grad():
        for parameter in game.generator.encoder.parameters():
            parameter.mul_(1e3)  # saturates the code
    out = game.generator(plane.data(game, "data", 0), game.streams.at("x"))
    assert out.y_hat.abs().max() <= 2  # an interval of 4 with noise of width 1: log2 4 bits a number


def test_two_modes_are_learnt():
    plane = Plane(Gaussians(distance=2.0, std=0.3), width=16, batch=64, compared=0)
    found = plane.train(
        Objective(NonSaturating(), 1.0, {"r1": (0.1, R1())}), g_optimizer=partial(Adam, lr=1e-2), steps=100,
        seeds=[0, 1], log_every=100,
    )  # fmt: skip
    assert found.curves["good"][0].max() < 0.5
    assert found.curves["recovered"][-1].tolist() == [2, 2]
    assert found.curves["good"][-1].min() > 0.6
    assert found.diverged.tolist() == [-1, -1]


def test_a_distortion_alone_needs_no_adversary():
    plane = Plane(Ring(), "autoencoder", width=16, code=2, levels=8, compared=0)
    found = plane.train(
        Objective(None, terms={"mse": (1.0, mse())}), g_optimizer=partial(Adam, lr=1e-2), steps=50, seeds=[0],
        log_every=50,
    )  # fmt: skip
    start, end = found.curves["mse"][:, 0]
    assert end < 0.2 * start


def test_the_distance_to_the_data_is_that_of_fresh_samples():
    plane = Plane(Circle(), compared=64, **SMALL)
    found = run(plane, Objective(NonSaturating()), [3, 5])
    assert found.curves["w1"].shape == (len(found.steps), 2)
    start = found.game.streams.at("compared", 0, 0)  # other data than those that a codec would be given
    others = plane.distribution.sample(start, torch.empty(2, 64, 2))
    assert torch.equal(found.curves["w1"][-1], wasserstein(found.samples[:, :64], others))
    assert torch.equal(found.w1_of_data, wasserstein(found.real[:, :64], others))
    assert (
        found.curves["w1"][0] > 3 * found.w1_of_data
    ).all()  # an untrained generator is far from the circle
    without = run(Plane(Circle(), **SMALL), Objective(NonSaturating()), [3, 5])
    assert ("w1" in without.curves, without.w1_of_data) == (False, None)
    assert torch.equal(found.samples, without.samples)


def test_the_slope_of_a_unit_below_zero():
    plane = Plane(Circle(), **SMALL | {"activation": "leaky"}, slope=0.2)
    layers = plane.game(Objective(Hinge()), [0]).generator.decoder
    z = torch.full((1, 2, 3), -5.0)
    _, (first, _) = layers(z)
    inputs = torch.baddbmm(layers.biases[0], z, layers.weights[0])
    assert torch.allclose(first, torch.where(inputs > 0, inputs, 0.2 * inputs))
    assert (inputs < 0).any()


def test_progress_is_told():
    told = []
    run(
        Plane(Circle(), **SMALL),
        Objective(Hinge()),
        [0],
        progress=lambda done, whole: told.append((done, whole)),
    )
    assert told == [(0, 12), (5, 12), (10, 12), (12, 12)]


def test_impossible_games():
    plane = Plane(Ring(), **SMALL)
    with pytest.raises(InputError, match="autoencoder"):
        run(plane, Objective(Hinge(), 1.0, {"mse": (1.0, mse())}), [0])
    with pytest.raises(InputError, match="d_steps=2"):
        run(plane, Objective(Hinge()), [0], rule=Simultaneous, d_steps=2)
    with pytest.raises(InputError, match="seeds"):
        run(plane, Objective(Hinge()), [])
    with pytest.raises(InputError, match="compared=9999"):
        run(Plane(Ring(), compared=9999, **SMALL), Objective(Hinge()), [0])
    with pytest.raises(InputError, match="log_every=0"):
        plane.train(Objective(Hinge()), steps=2, seeds=[0], log_every=0)
    with pytest.raises(InputError, match="pair_shuffled"):
        run(plane, Objective(Relativistic("pair_shuffled").wrap(Hinge())), [0, 1])


def test_a_constraint_holds_after_each_update_of_d():
    plane = Plane(Ring(), **SMALL)
    found = run(plane, Objective(Wasserstein()), [0, 1], d_steps=2, constraints=[WeightClip(0.05)])
    largest = {
        player: max(p.detach().abs().max() for p in found.game.parameters_of(player)) for player in "gd"
    }
    assert largest["d"].item() == pytest.approx(0.05)
    assert largest["g"].item() > 0.1


@pytest.mark.usefixtures("coarse_figures")
def test_figures_are_written_and_depend_on_the_run_alone(tmp_path):
    found = run(Plane(Ring(), **SMALL), Objective(NonSaturating()), [0, 1])
    assert portrait(tmp_path / "p", found, "ring: loss=ns") == tmp_path / "p"
    for name in ("a", "b"):
        multiples(tmp_path / "deep" / name, [[view(found, 1, "none"), None]], ["x"])
    for suffix, least in (("png", 1_000), ("svg", 5_000)):
        first, second = ((tmp_path / "deep" / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
        assert first == second
        assert len((tmp_path / f"p.{suffix}").read_bytes()) > len(first) > least
