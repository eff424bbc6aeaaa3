"""adv=adaptive: the ratio of two gradients at the decoder's last layer, against two calls of autograd."""

import pytest
import torch
from small import Small
from torch import nn

from gcn.config.offered import LAB
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.protocols import GeneratorOutput
from gcn.game.rules import Descend
from gcn.game.streams import Streams
from gcn.losses.adaptive import AdaptiveWeight

pytestmark = pytest.mark.usefixtures("native_convolutions")


def at_the_last_layer(small, turn, names):
    """Norm of the gradient of G's weighted terms for the weights of the layer that makes the image."""
    objective = small.game.objective
    layer = small.game.generator.g_s[-1].weight
    total = sum(objective.weights[n] * objective.terms[n](turn) for n in names) if names else None
    loss = objective.loss.g_loss(turn) if total is None else total
    (gradient,) = torch.autograd.grad(loss, layer, retain_graph=True)
    return gradient.square().sum().sqrt().item()


def test_the_weight_is_the_papers_ratio():
    small = Small("loss=ns adv=adaptive mse=0.02 l1=0.05 rate=3 feature_matching=1").play(2)
    turn = small.game.turn("g", small.batches(5)[0], 5)
    losses = {loss.name: loss for loss in small.game.objective.losses(turn, "g")}
    expected = 0.8 * at_the_last_layer(small, turn, ["mse", "l1"])
    expected /= at_the_last_layer(small, turn, []) + 1e-4
    assert losses["adv"].weight.item() == pytest.approx(expected, rel=1e-4)
    assert not losses["adv"].weight.requires_grad
    assert losses["mse"].weight == 0.02  # the others keep theirs


def test_the_generator_follows_the_weighted_sum_with_the_weight_as_a_constant():
    small = Small("loss=hinge adv=adaptive mse=1 rate=null").play(1)
    game, parameters = small.game, small.game.parameters_of("g")
    turn = game.turn("g", small.batches(3)[0], 3)
    followed = game.gradient("g", turn, retain_graph=True)
    weight = next(loss for loss in game.objective.losses(turn, "g") if loss.name == "adv").weight.item()
    objective = game.objective
    total = weight * objective.loss.g_loss(turn) + objective.terms["mse"](turn)
    alone = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    for one, other in zip(followed, alone, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6 * float(other.abs().max() + 1))


class OneWeight(nn.Module):
    """A generator whose last layer has one weight, 3."""

    def __init__(self):
        super().__init__()
        self.g_s = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.g_s.weight, 3.0)

    def forward(self, x, noise):
        return GeneratorOutput(self.g_s(x))


@pytest.mark.parametrize(
    ("slope", "weight"),
    [(4.0, 0.8 * 12 / 4.0001), (0.0, 0.8 * 1e4)],  # 2w² has the slope 12; 12 / 1e-4 is above the bound
)
def test_the_ratio_has_a_bound(slope, weight):
    generator = OneWeight()
    turn = Game(generator, None, Objective(None), Streams(0)).turn("g", torch.zeros(1, 1, 2, 2), 0)
    w = generator.g_s.weight.sum()
    assert AdaptiveWeight()(turn, 2 * w**2, slope * w).item() == pytest.approx(weight, rel=1e-6)


def test_the_weight_is_logged_in_the_game_and_not_in_the_warm_up():
    small = Small("adv=adaptive mse=1").play(1)
    assert small.game.values["g/adv_weight"] > 0
    total = small.game.values["g/adv_weight"] * small.game.values["g/adv"] + small.game.values["g/mse"]
    assert small.game.values["g/total"].item() == pytest.approx(
        (total + 5.5 * small.game.values["g/rate"]).item(), rel=1e-5
    )
    small.rule = Descend()
    assert "g/adv_weight" not in small.play(1, start=1).game.values
    assert "g/adv_weight" not in Small("mse=1").play(1).game.values


def test_the_lab_has_no_last_layer():
    with pytest.raises(InputError, match=r"^adv=adaptive: .* a small game has none; give a number$"):
        parse(["adv=adaptive", "mse=1"], root=LAB)
