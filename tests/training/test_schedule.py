"""Numbers of every schedule at chosen updates, and that they reach what they steer in a run."""

import math
from collections import defaultdict

import pytest
import torch
from runs import planned, run, words
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gcn.errors import InputError
from gcn.game.objective import Objective
from gcn.losses.perturbation import InstanceNoise
from gcn.training.fit import train
from gcn.training.module import GameModule
from gcn.training.schedule import Schedule

SELDOM = "val_every=100 panel_every=100 checkpoint_every=100"

NUMBERS = {
    "constant": {0: 1, 50: 1, 99: 1, 100: 1},
    # rise over 10 updates, from the final factor or from 0, as the first of 11 equal parts; then half a cosine
    "one_cycle": {0: 0.1, 4: 0.46, 9: 0.91, 10: 1, 40: 0.7525, 55: 0.505, 70: 0.2575, 100: 0.01, 130: 0.01},
    "cosine": {0: 1 / 11, 4: 5 / 11, 9: 10 / 11, 10: 1, 40: 0.7525, 55: 0.505, 70: 0.2575, 100: 0.01},
    "step": {0: 1, 49: 1, 50: 0.1, 99: 0.1},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_factor_has_its_numbers(name):
    schedule = Schedule(name)
    assert {at: schedule.factor(at, 100) for at in NUMBERS[name]} == pytest.approx(NUMBERS[name], rel=1e-12)


def test_the_default_is_one_cycle_with_the_documented_options():
    assert Schedule() == Schedule("one_cycle", warmup=0.1, final=0.01, drop_at=0.5, drop=0.1)


def test_every_option_has_its_effect():
    assert Schedule("one_cycle", warmup=0).factor(0, 100) == 1
    assert Schedule("cosine", warmup=0.5).factor(24, 100) == pytest.approx(25 / 51)
    assert Schedule("one_cycle", warmup=0.5, final=0.2).factor(24, 100) == pytest.approx(0.2 + 0.8 * 25 / 51)
    assert Schedule("one_cycle", warmup=0.5, final=0.2).factor(75, 100) == pytest.approx(0.6)
    late = Schedule("step", drop_at=0.75, drop=0.25)
    assert [late.factor(at, 8) for at in range(8)] == [1, 1, 1, 1, 1, 1, 0.25, 0.25]
    # between two updates: the drop comes with the first update that is not before it
    assert [Schedule("step").factor(at, 7) for at in range(7)] == [1, 1, 1, 1, 0.1, 0.1, 0.1]


def test_a_run_shorter_than_its_rise_still_moves():
    """The rise of a single update takes a tenth of one, and the fall is spread over one update at least."""
    assert Schedule().factor(0, 1) == pytest.approx(0.01 + 0.99 / 1.1)
    assert Schedule().factor(1, 1) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(0.9 * math.pi)))
    assert Schedule(warmup=0.9).factor(2, 2) == pytest.approx(
        0.01 + 0.99 * 0.5 * (1 + math.cos(0.2 * math.pi))
    )


def test_an_unknown_schedule_is_refused_by_its_word():
    with pytest.raises(
        InputError, match=r"schedule.name=linear: choose one of constant, one_cycle, cosine, step$"
    ):
        Schedule("linear")


# In a run


@pytest.fixture
def rates():
    """Learning rates that the optimizers of a run used, by the number of their parameters' first element."""
    used = defaultdict(list)
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: used[id(optimizer.param_groups[0]["params"][0])].append(
            optimizer.param_groups[0]["lr"]
        )
    )
    yield used
    hook.remove()


def rates_of_run(used, folder, *said):
    """Learning rates of G and of D, one an optimizer's step."""
    plan = planned(folder, *said)
    train(plan)
    game = plan.module.game
    assert len(used) <= 2, "no optimizer beside the two players'"
    return tuple(used.get(id(game.parameters_of(player)[0]), []) if game.parameters_of(player) else []
                 for player in ("g", "d"))  # fmt: skip


BY_NAME = {
    # of 6 updates; the rise of one_cycle and cosine takes 3 of them
    "one_cycle": [0.2575, 0.505, 0.7525, 1, 0.7525, 0.2575],
    "cosine": [0.25, 0.5, 0.75, 1, 0.7525, 0.2575],
    "step": [1, 1, 1, 0.1, 0.1, 0.1],
    "constant": [1] * 6,
}


def scheduled(name):
    return f"steps=6 d_steps=2 optim.schedule.name={name} optim.schedule.warmup=0.5 optim.g.lr=2e-3 optim.d.lr=5e-4"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_run_plans_the_schedule_of_its_words(name, data, tmp_path):
    plan = planned(tmp_path, *words(data, scheduled(name), SELDOM)).module.training_plan
    assert [plan.schedule.factor(step, plan.steps) for step in range(6)] == pytest.approx(
        BY_NAME[name], rel=1e-12
    )


@pytest.mark.usefixtures("quick")
def test_both_optimizers_move_at_the_scheduled_rate(rates, data, tmp_path):
    factors = BY_NAME["one_cycle"]
    g, d = rates_of_run(rates, tmp_path, *words(data, scheduled("one_cycle"), SELDOM))
    assert g == pytest.approx([2e-3 * factor for factor in factors], rel=1e-12)
    assert d == pytest.approx([5e-4 * factor for factor in factors for _ in range(2)], rel=1e-12)


@pytest.mark.usefixtures("quick")
def test_rate_distortion_training_follows_the_generators_rate(rates, data, tmp_path):
    said = "loss=none steps=6 optim.schedule.name=step optim.g.lr=2e-3 optim.d.lr=5e-4"
    g, d = rates_of_run(rates, tmp_path, *words(data, said, SELDOM))
    assert g == pytest.approx([2e-3] * 3 + [2e-4] * 3)
    assert d == []


@pytest.mark.usefixtures("quick")
def test_the_discriminator_joins_after_the_warm_up_at_the_rate_of_that_update(
    rates, data, tmp_path, monkeypatch
):
    paid, losses = defaultdict(set), Objective.losses

    def noted(self, turn, player):
        found = losses(self, turn, player)
        paid[turn.step] |= {f"{player}/{loss.name}" for loss in found}
        return found

    monkeypatch.setattr(Objective, "losses", noted)
    schedule = "optim.schedule.name=step optim.g.lr=2e-3 optim.d.lr=5e-4"
    g, d = rates_of_run(rates, tmp_path, *words(data, "loss=ns warmup.steps=2 steps=6", schedule, SELDOM))
    assert g == pytest.approx([2e-3] * 3 + [2e-4] * 3)
    assert d == pytest.approx([5e-4] + [5e-5] * 3)
    assert [sorted(paid[step]) for step in (0, 1)] == [["g/mse", "g/rate"]] * 2
    assert [sorted(paid[step]) for step in (2, 5)] == [["d/adv", "g/adv", "g/mse", "g/rate"]] * 2


@pytest.mark.usefixtures("quick")
def test_a_lazy_penalty_is_paid_at_every_third_generator_update(data, tmp_path, monkeypatch):
    paid, losses = [], Objective.losses

    def noted(self, turn, player):
        found = losses(self, turn, player)
        paid.extend((turn.step, loss.weight) for loss in found if loss.name == "r1")
        return found

    monkeypatch.setattr(Objective, "losses", noted)
    run(tmp_path, *words(data, "r1=10 terms.r1.every=3 d_steps=2 steps=7", SELDOM))
    assert paid == [(step, 30.0) for step in (0, 3, 6) for _ in range(2)]


def test_instance_noise_falls_on_a_straight_line():
    noise = InstanceNoise(0.2, anneal=80)
    levels = {0: 0.2, 1: 0.1975, 20: 0.15, 40: 0.1, 79: 0.0025, 80: 0, 81: 0, 1000: 0}
    assert {step: noise.level(step) for step in levels} == pytest.approx(levels, abs=1e-15)
    assert InstanceNoise(0.2, anneal=1).level(0) == 0.2


@pytest.mark.usefixtures("quick")
def test_the_discriminator_of_a_run_sees_the_annealed_noise(data, tmp_path, monkeypatch):
    seen, forward = [], InstanceNoise.forward

    def noted(self, images, stream, step):
        out = forward(self, images, stream, step)
        seen.append((step, (out - images).std().item()))
        return out

    monkeypatch.setattr(InstanceNoise, "forward", noted)
    run(tmp_path, *words(data, "instance_noise=0.4 terms.instance_noise.anneal=4 d_steps=2 steps=6", SELDOM))
    for step, sigma in enumerate((0.4, 0.3, 0.2, 0.1, 0, 0)):
        of_step = [std for at, std in seen if at == step]
        assert len(of_step) == 5  # x and x_hat in each of two turns of D, x_hat in that of G
        assert of_step == pytest.approx([sigma] * len(of_step), rel=0.05)


@pytest.mark.usefixtures("quick")
def test_the_average_of_weights_decays_by_its_word(data, tmp_path, monkeypatch):
    """average ← ema · average + (1 - ema) · weights, once an update."""
    weights, step = [], GameModule.training_step

    def first(module):
        return next(p for p in module.game.generator.parameters() if p.requires_grad).detach().clone()

    def noted(self, batch, batch_index):
        weights.append(first(self))
        step(self, batch, batch_index)

    monkeypatch.setattr(GameModule, "training_step", noted)
    plan = planned(tmp_path, *words(data, "loss=none ema=0.75 steps=3", SELDOM))
    averaged = []
    end = GameModule.on_save_checkpoint

    def saving(self, content):
        end(self, content)
        averaged.append((first(self), content["gcn"]["average"]))

    monkeypatch.setattr(GameModule, "on_save_checkpoint", saving)
    train(plan)
    last, average = averaged[-1]
    name = next(n for n, p in plan.module.game.generator.named_parameters() if p.requires_grad)
    expected = weights[0]
    for after in (*weights[1:], last):
        expected = 0.75 * expected + 0.25 * after
    assert not torch.equal(last, weights[0])
    torch.testing.assert_close(average[name], expected)
