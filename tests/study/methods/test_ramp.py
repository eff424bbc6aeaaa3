"""A training in which D's learning rate rises: its rates, when it counts as failed, and what an arm stores."""

import math
from dataclasses import replace

import pytest
import torch

from gcn.game.protocols import Players
from gcn.study.arms import Arm, Protocol, RampPlan
from gcn.study.design import Choice, load
from gcn.study.methods import ramp

PLAN = RampPlan(
    lr=1e-5, lowest=1e-5, octaves=4, look=2, decibels=3.0, settle=2, settle_lr=1e-5, exponent_lr=1e-5,
    exponent_before=1, exponent_align=5, exponent_updates=10,
)  # fmt: skip


class Told:
    """A training whose PSNR after each look is given."""

    def __init__(self, decibels):
        self.decibels, self.rates = list(decibels), []
        self.players = Players(g=None, d=self)  # whoever moves G's learning rate fails

    def set_learning_rate(self, factor):
        self.rate = factor

    def advance(self):
        self.rates.append(self.rate)


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(ramp, "psnr", lambda training: training.decibels.pop(0))


@pytest.mark.usefixtures("told")
def test_rates_double_over_the_updates_and_the_margin_is_the_last_look_that_held():
    training = Told([30, 30, 26, 30, 26, 26, 26, 26])
    found = ramp.ramp(training, 27.0, PLAN, updates=16)
    assert training.rates == pytest.approx([2 ** (step / 4) for step in range(1, 13)])
    assert (found.verdict, found.failed_at) == ("fails", 12)
    assert found.factor == pytest.approx(
        2 ** (8 / 4)
    )  # the look at update 8; one bad look before it is no failure


@pytest.mark.usefixtures("told")
def test_a_training_that_never_fails_holds_and_one_that_is_not_finite_has_diverged():
    assert ramp.ramp(Told([30] * 8), 27.0, PLAN, 16)[:4:3] == ("holds", 16.0)
    found = ramp.ramp(Told([30, math.nan]), 27.0, PLAN, 16)
    assert (found.verdict, found.failed_at, found.factor) == ("diverged", 4, pytest.approx(2**0.5))
    assert ramp.ramp(Told([math.nan]), 27.0, PLAN, 16).factor == 0


@pytest.fixture(scope="module")
def protocol():
    words = (
        "experiment=frozen", "init_from=low", "rate=null", "optim=gan", "data.batch=2", "data.crop=16",
        "data.dead_leaves=0", "discriminator.width=4", "mse=1",
    )  # fmt: skip
    return Protocol((), words, updates=4, pool=4, val_crops=1, command="methods", ramp=PLAN)


def test_an_arm_has_its_margin_and_the_same_twice(protocol):
    arm = Arm({"method": "plain", "mse": "1"}, 0, (*protocol.arm, "seed=0"), False, own={"method": "ramp"})
    first, again = ramp.play(arm, protocol), ramp.play(arm, protocol)
    assert first["verdict"] == "holds"
    assert first["responses"]["octaves"] == pytest.approx(math.log2(1e-5) + 4)
    assert [row["step"] for row in first["rows"]] == [2, 4]
    assert first["responses"] == again["responses"]
    assert first["rows"] == again["rows"]


def test_an_arm_of_exponents_has_one_number_of_a_doubled_training(protocol):
    arm = Arm(
        {"method": "plain", "mse": "1"}, 0, (*protocol.arm, "seed=0"), False, own={"method": "exponent"}
    )
    found = ramp.play(arm, protocol)
    assert list(found["responses"]) == ["exponent"]
    assert math.isfinite(found["responses"]["exponent"])


def test_d_s_learning_rate_rises_and_g_s_stays(protocol, monkeypatch):
    arm = Arm({}, 0, (*protocol.arm, "seed=0"), False)
    training = ramp._training(arm, ramp.start(protocol, 0).ground, protocol, 3e-5, 1e-5)
    ramp.ramp(training, 0.0, PLAN, updates=4)
    rates = [player.optimizer.param_groups[0]["lr"] for player in training.players]
    assert rates == pytest.approx([3e-5, 1e-5 * 2**4])


def test_another_plan_is_another_arm_and_only_where_the_plan_decides():
    """What an old plan has measured keeps other names in a table, and is not mixed with the new."""
    longer, slower = replace(PLAN, exponent_updates=20), replace(PLAN, octaves=5)
    assert PLAN.deciding(False) == longer.deciding(False) != slower.deciding(False)
    assert PLAN.deciding(True) == slower.deciding(True) != longer.deciding(True)
    margin, exponent = (
        next(a for a in load("methods", choice=Choice(only={"measured": [m]}, seeds=1)).arms)
        for m in ("margin", "exponent")
    )
    assert margin.own["plan"] != exponent.own["plan"]
    assert replace(margin, own={**margin.own, "plan": "another"}).name != margin.name


def test_psnr_of_weights_that_are_not_finite_is_not_a_number(protocol):
    arm = Arm({}, 0, (*protocol.arm, "seed=0"), False)
    shared = ramp.start(protocol, 0)
    training = ramp._training(arm, shared.ground, protocol, 1e-5, 1e-5)
    assert ramp.psnr(training) == pytest.approx(shared.psnr)
    with torch.no_grad():
        next(training.game.discriminator.parameters()).fill_(math.inf)
    assert math.isnan(ramp.psnr(training))
