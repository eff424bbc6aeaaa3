"""Compositions that are made without Hydra are those that Hydra makes."""

import os
import time
from unittest import mock

import pytest
from omegaconf import OmegaConf

from gcn.config import compose as composing
from gcn.config import exchange
from gcn.config.compose import compose
from gcn.config.offered import LAB, TRAIN, groups
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.schema.fields import declarations, paths
from gcn.schema.plugins import NONE, Extension

ROOTS = (TRAIN, LAB)
SHARED = ("experiment", "game")  # whose files set the nodes of others
SAID = [
    (TRAIN, []),
    (TRAIN, ["loss=hinge", "mse=1", "optim.g.lr=3e-4", "optim.g.betas=[0.5,0.9]"]),
    (TRAIN, ["generator.M=8", "target_bpp=0.5", "devices=2"]),  # others refer to them
    (TRAIN, ["data.crop=32", "data.batch=2", "discriminator.width=4", "trainer.devices=3", "mse=null"]),
    (TRAIN, ["devices=4", "discriminator.latent_channels=7", "generator.M=8", "generator.N=4"]),
    (TRAIN, ["optim.g={lr:1e-3}", "optim.g.lr=2", "optim.d.lr=2", "optim.d={lr:1e-3}"]),
    (TRAIN, ["adv=${seed}", "seed=4", "logger.name='\\${seed}'", "logger.group='???'", "warmup=3"]),
    (TRAIN, ["seed=4", "target_bpp=0.25", "optim.g.betas=[0.5,0.9]", "plugins=[]", "init_from='C:\\new'"]),
    (TRAIN, ["experiment=rd", "mse=2", "mse=3"]),
    (
        TRAIN,
        [
            "logger=[csv,mlflow,tensorboard]",
            "callbacks=[checkpoint,early_stopping]",
            "logger.mlflow.tags={a:1}",
        ],
    ),
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


def by_hydra(words, number=0, root=TRAIN, own=NONE):
    """The composition of a process in which nothing is kept."""
    with mock.patch.object(composing, "_composed_from_base", return_value=None):
        return compose(words, own, number, root)


def outcome(made, words):
    try:
        return made(words)
    except InputError as refused:
        return str(refused)


@pytest.mark.parametrize(
    ("root", "words", "number"),
    [(root, words, 3 if any("hydra." in word for word in words) else 0) for root, words in SAID],
)
def test_a_composition_is_hydras(root, words, number):
    expected = by_hydra(words, number, root)
    for _ in range(2):  # the second time of what the first has kept
        made = compose(words, number=number, root=root)
        assert made == expected
        assert list(paths(made.values)) == list(paths(expected.values))


@pytest.mark.parametrize("words", REFUSED)
def test_what_hydra_refuses_is_refused_in_its_words(words):
    assert outcome(compose, words) == outcome(by_hydra, words)


def own_choices(root, number):
    """One choice of every group at once, where the group has as many."""
    offered = {group: choices for group, choices in groups(root).items() if group not in SHARED}
    return {group: choices[number] for group, choices in offered.items() if number < len(choices)}


@pytest.mark.parametrize(
    ("root", "number"), [(root, n) for root in ROOTS for n in range(20) if own_choices(root, n)]
)
def test_every_choice_is_composed_as_by_hydra_down_to_the_order_of_its_settings(root, number):
    chosen = own_choices(root, number)
    words = [f"{group}={choice}" for group, choice in chosen.items()]
    compose([], root=root)
    needed = None if exchange.apart(chosen, root.folders) else composing.hydra_compose
    with mock.patch.object(composing, "hydra_compose", needed):
        made = compose(words, root=root)
    expected = by_hydra(words, root=root)
    assert made == expected
    assert list(paths(made.values)) == list(paths(expected.values))


@pytest.mark.parametrize(
    "file",
    [
        "# @package _global_\nsteps: 3\n",
        "defaults: [override /loss: hinge]\nlr: 1\n",
        "defaults: [_self_, adam]\nlr: 1\n",
        "defaults: [/loss/hinge]\nlr: 1\n",
        "defaults: [nothing]\nlr: 1\n",
        "[1, 2]\n",
    ],
)
def test_a_file_that_may_set_more_than_its_own_node_is_left_to_hydra(file, tmp_path):
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "own.yaml").write_text(file)
    assert exchange.node("optim", "own", [tmp_path, CONF]) is None
    assert exchange.node("optim", "gan", [tmp_path, CONF]) is not None


def test_a_node_of_which_the_root_sets_a_part_is_left_to_hydra():
    compose([])
    with (
        mock.patch.object(composing, "load", return_value=(OmegaConf.create({"callbacks": {"a": 1}}), {})),
        mock.patch.object(composing, "hydra_compose", side_effect=AssertionError("asked")),
        pytest.raises(InputError, match="asked"),
    ):
        compose(["callbacks=early_stopping", "loss=ebgan", "dynamics=sga"])


def test_nothing_is_exchanged_where_a_default_may_set_more_than_its_own_node():
    assert exchange.apart({"generator": "tiny", "loss": None}, [CONF])
    assert not exchange.apart({"generator": "dcgan", "loss": "ns"}, [CONF])


def test_hydra_follows_a_default_that_refers_to_another_choice(tmp_path):
    for name, text in (
        ("a/adam", "M: 1\n"),
        ("a/gan", "M: 2\n"),
        ("both", "defaults: [a@_here_: '${optim}']\n"),
    ):
        file = tmp_path / "generator" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for optim, value in (("adam", 1), ("gan", 2)):
        made = compose(["generator=both", f"optim={optim}"], Extension(config_dir=str(tmp_path)))
        assert made.values["generator"] == {"M": value}


@pytest.mark.parametrize(
    "words", [["loss=hinge", "loss=wgan"], ["loss='hinge'"], ["loss=_hinge"], ["optim=gan.yaml"]]
)
def test_unusual_spellings_of_a_choice_have_hydras_outcome(words):
    assert outcome(compose, words) == outcome(by_hydra, words)


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


def test_a_folder_of_the_users_is_composed_as_by_hydra_and_read_again(tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "own.yaml").write_text("defaults: [_base]\nslope: ${seed}\n")
    words, own = (
        ["loss=own", "seed=3", "logger=[csv,wandb]", "loss.extra=2"],
        Extension(config_dir=str(tmp_path)),
    )
    for weight in (1, 2):
        file = tmp_path / "loss" / "_base.yaml"
        file.write_text(f"_target_: gcn.losses.adversarial.NonSaturating\nweight: {weight}\n")
        os.utime(file, ns=(0, time.time_ns() + weight * 10**9))  # a clock may be too coarse for two writes
        made = compose(words, own)
        assert (made.values["loss"]["weight"], made.values["loss"]["slope"]) == (weight, 3)
        assert made == by_hydra(words, own=own)
        with mock.patch.object(composing, "hydra_compose", side_effect=AssertionError):
            assert compose([*words, "steps=7"], own).values["steps"] == 7


def test_declarations_of_a_changed_file_are_read_again(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("lr: 1 #: > 0\n")
    assert str(declarations(file)["lr"]) == "a plain value > 0"
    file.write_text("lr: 1 #: > 3\n")
    os.utime(file, ns=(0, time.time_ns() + 10**9))  # a clock may be too coarse for two writes
    assert str(declarations(file)["lr"]) == "a plain value > 3"
