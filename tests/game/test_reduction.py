"""Means and norms over a batch: of one process, of an ensemble of games, and of two processes.

The other process is played by the test: what it contributes to each message is given.
"""

import pytest
import torch

from gcn.game import reduction
from gcn.game.reduction import Reduction, mean_over_ranks, of_first_rank


class OtherProcess:
    """Stands for torch.distributed with two processes.

    Args:
        rank: of this process.
        messages: tensors that the other one adds, in the order of the all-reduces.
    """

    def __init__(self, rank, *messages):
        self.rank, self.messages, self.objects = rank, list(messages), []

    def is_available(self):
        return True

    is_initialized = is_available

    def get_world_size(self):
        return 2

    def get_rank(self):
        return self.rank

    def all_reduce(self, tensor):
        tensor.add_(self.messages.pop(0))

    def broadcast_object_list(self, objects):
        self.objects.append(list(objects))
        if self.rank:
            objects[0] = "of the first"


@pytest.fixture
def world(monkeypatch):
    def join(rank, *messages):
        other = OtherProcess(rank, *messages)
        monkeypatch.setattr(reduction, "dist", other)
        return other

    return join


def test_a_mean_is_that_of_the_joint_batch_and_so_is_its_gradient(world):
    values = torch.tensor([1.0, 3.0], requires_grad=True)
    world(0, torch.tensor(8.0), torch.tensor(0.5))  # its mean; its half of the gradient on the way back
    mean = Reduction().mean(values)
    assert mean.item() == 5
    (gradient,) = torch.autograd.grad(mean, values)
    assert gradient.tolist() == [0.5, 0.5]  # (½ + ½)/2 an element


def test_a_mean_over_ranks_is_a_half_of_the_sum(world):
    world(1, torch.tensor([3.0, 5.0]))
    assert mean_over_ranks(torch.tensor([1.0, 1.0])).tolist() == [2.0, 3.0]


def test_gradients_are_averaged_in_one_message(world):
    other = world(0, torch.tensor([3.0, 1.0, 1.0, 5.0]))
    one, two = Reduction().average([torch.tensor([[1.0, 1.0]]), torch.tensor([3.0, 1.0])])
    assert (one.tolist(), two.tolist()) == ([[2.0, 1.0]], [2.0, 3.0])
    assert other.messages == []


@pytest.mark.parametrize("rank", [0, 1])
def test_the_joint_batch_is_in_the_order_of_ranks(world, rank):
    mine, its = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    nothing = torch.zeros(2, 1)
    world(rank, torch.cat([nothing, its] if rank == 0 else [its, nothing]))
    joint = Reduction().gather(mine)
    assert joint.flatten().tolist() == ([1, 2, 3, 4] if rank == 0 else [3, 4, 1, 2])
    assert torch.equal(Reduction().local(joint), mine)


def test_the_first_process_decides_for_both(world):
    first = world(0)
    assert of_first_rank(lambda: "mine") == "mine"
    assert first.objects == [["mine"]]
    second = world(1)
    assert of_first_rank(lambda: pytest.fail("only the first one makes it")) == "of the first"
    assert second.objects == [[None]]


def test_one_process_sends_nothing():
    values = torch.tensor([1.0, 3.0])
    assert mean_over_ranks(values) is values
    assert of_first_rank(lambda: "mine") == "mine"
    assert Reduction().gather(values) is values is Reduction().local(values)
    assert Reduction().average([values])[0] is values


VALUES = torch.arange(24.0).reshape(2, 3, 2, 2)


def test_one_game_is_reduced_over_everything_or_over_each_sample():
    reduce = Reduction()
    assert reduce.sample_dim == 0
    assert reduce.mean(VALUES).item() == 11.5 == reduce.keep_mean(VALUES).item()
    assert torch.equal(reduce.batch_mean(VALUES), VALUES.mean(0, keepdim=True))
    assert reduce.per_sample_sum(VALUES).tolist() == [66, 210]
    assert reduce.per_sample_mean(VALUES).tolist() == [5.5, 17.5]
    assert reduce.per_sample(torch.ones(2), VALUES).shape == (2, 1, 1, 1)
    flat = torch.tensor([1.0, 2.0])
    assert reduce.per_sample_sum(flat) is flat is reduce.per_sample_mean(flat)
    assert reduce.square_norm([flat, torch.tensor(3.0)]).item() == 14


def test_an_ensemble_keeps_its_games_apart():
    """The same numbers as two games of three samples."""
    reduce = Reduction(ensemble=True)
    assert reduce.sample_dim == 1
    assert reduce.mean(VALUES).tolist() == [5.5, 17.5]
    assert reduce.keep_mean(VALUES).tolist() == [[[[5.5]]], [[[17.5]]]]
    assert torch.equal(reduce.batch_mean(VALUES), VALUES.mean(1, keepdim=True))
    assert reduce.per_sample_sum(VALUES).tolist() == [[6, 22, 38], [54, 70, 86]]
    assert reduce.per_sample_mean(VALUES).tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
    assert reduce.per_sample(torch.ones(2, 3), VALUES).shape == (2, 3, 1, 1)
    samples = torch.ones(2, 3)
    assert reduce.per_sample_sum(samples) is samples is reduce.per_sample_mean(samples)
    parameters = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 2.0])]
    assert reduce.square_norm(parameters).tolist() == [6, 29]
