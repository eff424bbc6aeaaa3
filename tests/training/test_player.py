"""Players move by the values of gradients, whatever the memory layout of those and of the parameters."""

import copy

import pytest
import torch
from small import words

from gcn.config.assemble import module, optim
from gcn.config.parse import parse
from gcn.training.player import OptimizerPlayer

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def player(weight: torch.Tensor, layout: torch.memory_format, fused: bool) -> OptimizerPlayer:
    parameter = torch.nn.Parameter(weight.clone(memory_format=layout))
    return OptimizerPlayer(torch.optim.Adam([parameter], lr=0.1, fused=fused))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_parameter", LAYOUTS)
def test_a_move_does_not_depend_on_the_layout(of_parameter, of_gradient, fused):
    weight, gradient = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = player(weight, torch.contiguous_format, fused=False)
    moved = player(weight, of_parameter, fused)
    for _ in range(2):
        expected.step([gradient.contiguous()])
        moved.step([gradient.contiguous(memory_format=of_gradient)])
    torch.testing.assert_close(moved.parameters[0], expected.parameters[0])
    assert moved.parameters[0].is_contiguous(memory_format=of_parameter)


@pytest.mark.parametrize("after", LAYOUTS)
@pytest.mark.parametrize("before", LAYOUTS)
def test_a_restored_state_follows_the_layout(before, after):
    weight, gradient = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    first = player(weight, before, fused=True)
    first.step([gradient])
    second = torch.optim.Adam(
        [torch.nn.Parameter(first.parameters[0].detach().clone(memory_format=after))], fused=True
    )
    second.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    resumed = OptimizerPlayer(second)
    first.step([gradient])
    resumed.step([gradient])
    torch.testing.assert_close(resumed.parameters[0], first.parameters[0], rtol=0, atol=0)


@pytest.mark.parametrize("choice", ["adam", "gan", "hific"])
def test_each_player_has_its_own_epsilon(choice):
    """Adam's first move of a gradient g is lr · g / (|g| + ε), whatever β."""
    cfg = parse(words(f"optim={choice} mse=1 optim.g.eps=1e-3 optim.d.eps=1e-4 optim.g.clip=null"))
    assert [o.param_groups[0]["eps"] for o in module(cfg).configure_optimizers()] == [1e-3, 1e-4]
    for name, epsilon in (("g", 1e-3), ("d", 1e-4)):
        options = optim(cfg, name)
        one = options.player(options.build([torch.nn.Parameter(torch.zeros(1))]))
        one.step([torch.tensor([2e-3])])
        expected = -cfg.optim[name].lr * 2e-3 / (2e-3 + epsilon)
        assert one.parameters[0].item() == pytest.approx(expected, rel=1e-4)


def test_gradient_descent_with_momentum():
    """Heavy ball: v ← .5 v + g, w ← w - lr v; a gradient of 1 moves w by lr (1, 1.5, 1.75)."""
    cfg = parse(words("optim=sgd mse=1 optim.g.lr=0.1 optim.g.momentum=0.5"))
    for name, moves in (("g", (1.0, 1.5, 1.75)), ("d", (1.0, 1.0, 1.0))):
        options = optim(cfg, name)
        one, before = options.player(options.build([torch.nn.Parameter(torch.zeros(1))])), 0.0
        for move in moves:
            one.step([torch.ones(1)])
            assert before - one.parameters[0].item() == pytest.approx(cfg.optim[name].lr * move, rel=1e-5)
            before = one.parameters[0].item()
