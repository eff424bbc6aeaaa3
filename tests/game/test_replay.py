"""A recorded trajectory and its replay."""

import pytest
import torch

from gcn.game.replay import Recorded, Replayed, point_of
from gcn.training.player import OptimizerPlayer


def player(values):
    parameter = torch.nn.Parameter(torch.tensor(values))
    return OptimizerPlayer(torch.optim.Adam([parameter], lr=0.1))


def test_a_recorded_player_moves_as_it_would_unrecorded():
    plain, recorded = player([1.0, -2.0]), Recorded(player([1.0, -2.0]))
    for gradient in ([1.0, 1.0], [-3.0, 0.5]):
        plain.step([torch.tensor(gradient)])
        recorded.step([torch.tensor(gradient)])
    assert torch.equal(plain.parameters[0], recorded.parameters[0])


def test_a_replay_visits_the_recorded_points_whatever_its_gradients_say():
    recorded = Recorded(player([1.0, -2.0]))
    recorded.extrapolate([torch.tensor([1.0, 0.0])])
    recorded.step([torch.tensor([1.0, 1.0])])
    recorded.shift([torch.tensor([0.5, 0.5])])
    points = recorded.take()
    assert recorded.take() == []
    replayed = Replayed([torch.zeros(2)], points[:1])
    replayed.follow(points[1:])
    for move, point in zip((replayed.extrapolate, replayed.step, replayed.shift), points, strict=True):
        move([torch.tensor([9.0, 9.0])])
        assert torch.equal(replayed.parameters[0], point[0])
    assert torch.equal(replayed.parameters[0], point_of(recorded.parameters)[0])
    with pytest.raises(ValueError, match="ended"):
        replayed.step([torch.zeros(2)])
