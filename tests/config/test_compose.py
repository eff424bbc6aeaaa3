"""Compositions that are made without Hydra are those that Hydra makes."""

import os
import time
from unittest import mock

import pytest

from gcn.config import compose as composing
from gcn.config.compose import LAB, TRAIN, compose
from gcn.errors import InputError
from gcn.schema.fields import declarations
from gcn.schema.plugins import Extension

SAID = [
    (TRAIN, []),
    (TRAIN, ["loss=hinge", "mse=1", "optim.g.lr=3e-4", "optim.g.betas=[0.5,0.9]"]),
    (TRAIN, ["generator.M=8", "target_bpp=0.5", "devices=2"]),  # others refer to them
    (TRAIN, ["experiment=rd", "mse=2", "mse=3"]),
    (TRAIN, ["unknown=1", "loss.unknown={a:1,b:[2]}", "experiment.x=1", "mse=null", "logger.name='a b'"]),
    (
        TRAIN,
        ["adv=${seed}", "optim.g={lr:1e-3}", "hydra.run.dir=here", "hydra.sweep.subdir=job${hydra.job.num}"],
    ),
    (TRAIN, ["seed=4", "hydra.run.dir=runs/${seed}"]),
    (TRAIN, ["mse=1", "hydra.sweep.subdir=${hydra.job.override_dirname}", "hydra/launcher=basic"]),
    (LAB, []),
    (LAB, ["game=ring", "steps=7"]),
    (LAB, ["game=ring", "loss=ns", "optimizer=adam"]),
]
REFUSED = [
    ["adv=${nowhere}"],
    ["mse=${mse}"],
    ["steps.x=1"],
    ["hydra=x"],
    ["hydra.run.dir=[a]"],
    ["hydra.run.dir=???"],
    ["hydra.run.dir=${nowhere}"],
    ["hydra.nothing=1"],
    ["loss=nss", "mse=1"],
    ["loss=ns", "seed=${oc.env:NO_SUCH_VARIABLE}"],
]


def by_hydra(words, number=0, root=TRAIN):
    """The composition of a process in which nothing is kept."""
    with mock.patch.object(composing, "_composed_from_base", return_value=None):
        return compose(words, number=number, root=root)


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize(("root", "words"), SAID)
def test_a_composition_is_hydras(root, words, number):
    assert compose(words, number=number, root=root) == by_hydra(words, number, root)


@pytest.mark.parametrize("words", REFUSED)
def test_what_hydra_refuses_is_refused_in_its_words(words):
    def outcome(made):
        try:
            return made(words)
        except InputError as refused:
            return str(refused)

    assert outcome(compose) == outcome(by_hydra)


def test_a_composition_is_the_callers_own():
    first = compose(["loss=ns", "mse=1"])
    first.values["optim"]["g"]["betas"].append(7)
    first.values["terms"].clear()
    first.choices.clear()
    assert compose(["loss=ns", "mse=1"]) == by_hydra(["loss=ns", "mse=1"])


def test_hydra_is_asked_once_for_the_same_choices():
    compose(["loss=wgan"])
    with mock.patch.object(composing, "hydra_compose", side_effect=AssertionError):
        assert compose(["loss=wgan", "seed=5"]).values["seed"] == 5
        named = [f"{group}={choice}" for group, choice in compose(["loss=wgan"]).choices.items() if choice]
        assert compose(sorted(named)) == compose(["loss=wgan"])  # as a reference names them


def test_a_folder_of_the_users_is_read_again(tmp_path):
    (tmp_path / "loss").mkdir()
    own = tmp_path / "loss" / "own.yaml"
    for weight in (1, 2):
        own.write_text(f"_target_: gcn.losses.adversarial.NonSaturating\nweight: {weight}\n")
        assert compose(["loss=own"], Extension(config_dir=str(tmp_path))).values["loss"]["weight"] == weight


def test_declarations_of_a_changed_file_are_read_again(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("lr: 1 #: > 0\n")
    assert str(declarations(file)["lr"]) == "a plain value > 0"
    file.write_text("lr: 1 #: > 3\n")
    os.utime(file, ns=(0, time.time_ns() + 10**9))  # a clock may be too coarse for two writes
    assert str(declarations(file)["lr"]) == "a plain value > 3"
