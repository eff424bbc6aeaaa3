"""The lab's players and torch's optimizers, as the trainer drives them, draw the same trajectories under every rule."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from ensembles import ensemble, mse, points

from gcn.game.protocols import Players
from gcn.game.rules import SGA, Alternating, Extragradient, Lookahead, Optimistic, Simultaneous
from gcn.game.unrolled import Unrolled
from gcn.lab.ensemble import coordinates, play
from gcn.lab.players import SGD, Adam, RMSProp
from gcn.losses.adversarial import NonSaturating, Relativistic
from gcn.losses.penalties import R1
from gcn.losses.regularizers import Consensus
from gcn.training.player import OptimizerPlayer

RULES = {
    "simultaneous": Simultaneous,
    "alternating": Alternating,
    "optimistic": Optimistic,
    "lookahead": lambda: Lookahead(3),
    "sga": SGA,
    "sga, aligned": lambda: SGA(align=True),
    "extragradient": Extragradient,
    "extragradient, update": lambda: Extragradient("update"),
    "extragradient, lookahead": lambda: Extragradient("lookahead"),
}
OPTIMIZERS = {
    "sgd": (SGD, torch.optim.SGD, {"lr": 0.05}),
    "momentum": (SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.6}),
    "rmsprop": (RMSProp, torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9}),
    "adam": (Adam, torch.optim.Adam, {"lr": 0.05, "betas": (0.5, 0.9)}),
    "adam, averaging more": (Adam, torch.optim.Adam, {"lr": 0.02, "betas": (0.9, 0.999)}),
}
STEPS = 9
START = (0.7, -0.4)
PAIR = Relativistic("pair").wrap(NonSaturating())
TERMS = {**mse(0.2), "r1": (0.3, R1(every=4))}
GAME = ensemble(PAIR, TERMS)  # what the gradients are made of matters to no optimizer


def trained(game, optimizer):
    """The trajectory (steps + 1, 2) under torch's optimizer."""
    played, rule = game.game(points(START)), game.rule()
    players = Players(*(OptimizerPlayer(optimizer(played.parameters_of(p))) for p in ("g", "d")))
    path = [coordinates(played)]
    for step in range(STEPS):
        rule(played, [game.batch(1)] * game.d_steps, step, players)
        path.append(coordinates(played))
    return torch.cat(path)


def assert_same_trajectory(game, kind):
    lab, torchs, options = OPTIMIZERS[kind]
    by_lab = play(replace(game, optimizer=partial(lab, **options)), points(START), STEPS)[:, 0]
    by_torch = trained(game, partial(torchs, **options))
    assert torch.allclose(by_lab, by_torch, atol=1e-7, rtol=0)
    assert (by_lab[0] - by_lab[-1]).norm() > 0.1  # they went somewhere


def test_the_lab_is_the_trainer_where_a_term_is_a_norm_of_gradients():
    assert_same_trajectory(ensemble(PAIR, {**TERMS, "consensus": (0.1, Consensus())}), "adam")


# Every rule with Adam, whose state is the largest, and the other states where they are moved in each way.
CASES = [(name, "adam") for name in RULES] + [
    (name, kind)
    for name in ("alternating", "optimistic", "extragradient, update")
    for kind in ("momentum", "rmsprop")
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_lab_is_the_trainer(name, kind):
    assert_same_trajectory(replace(GAME, rule=RULES[name]), kind)


@pytest.mark.parametrize("kind", ["momentum", "rmsprop", "adam"])
def test_the_lab_is_the_trainer_where_the_generator_looks_ahead(kind):
    assert_same_trajectory(replace(GAME, rule=lambda: Unrolled(2, 0.5)), kind)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_lab_is_the_trainer_where_the_discriminator_makes_several_steps(kind):
    assert_same_trajectory(replace(GAME, d_steps=3), kind)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_size_for_each_game_is_that_game_played_alone(kind):
    """Thousands of games at once are thousands of games: each row is the trajectory of its own."""
    lab, _, options = OPTIMIZERS[kind]
    rates = torch.tensor([0.01, 0.03, 0.1], dtype=torch.float64)
    together = play(
        replace(GAME, optimizer=partial(lab, **options | {"lr": rates})), points(*[START] * 3), STEPS
    )
    for i, lr in enumerate(rates.tolist()):
        alone = play(replace(GAME, optimizer=partial(lab, **options | {"lr": lr})), points(START), STEPS)[
            :, 0
        ]
        assert torch.allclose(together[:, i], alone, atol=1e-12)
    assert (together[-1, 0] - together[-1, 2]).norm() > 0.1
