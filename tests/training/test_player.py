"""Players move by the values of gradients, whatever the memory layout of those and of the parameters."""

import copy

import pytest
import torch

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
