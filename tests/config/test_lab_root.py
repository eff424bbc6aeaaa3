"""The lab's configuration: the same words, its own groups, and one line for what makes no sense there."""

import pytest

from gcn.commands.help import help_text
from gcn.config.offered import LAB, TRAIN, groups
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF


@pytest.mark.parametrize(("group", "choice"), [(g, c) for g, choices in groups(LAB).items() for c in choices])
def test_every_choice_composes(group, choice):
    if choice in ("none", "oasis"):
        with pytest.raises(InputError, match=r"two players|no image"):
            parse([f"{group}={choice}"], root=LAB)
    else:
        assert parse([f"{group}={choice}"], root=LAB).choices[group] == choice


def test_losses_terms_and_rules_are_those_of_training():
    for word in ("loss=lsgan", "dynamics=extragradient", "r1=3"):
        lab, train = parse([word], root=LAB), parse([word])
        assert lab.loss == train.loss
        assert lab.dynamics == train.dynamics
        assert lab.terms.get("r1") == train.terms.get("r1")


def test_the_unit_of_error_is_one():
    assert parse(["mse=1"], root=LAB).terms.mse.unit == 255.0
    assert parse(["mse=1"]).terms.mse.unit == 8.0


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("lpips=1", "images"), ("ms_ssim=1", "images"), ("rate=1", "entropy model"), ("target_bpp=1", "entropy model"),
        ("spectral_norm=true", "layers"), ("feature_matching=1", "layers"),
        ("generator=tiny", "no group of scripts/lab.py"),
        ("game=dirc", "dirac"), ("game.bia=1", "game.bias"), ("optimizer.lr=0", "> 0"), ("start=[a]", "number"),
        ("animate=gif", "true or false"), ("game.singular=[1]", "unknown"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(word, says):
    with pytest.raises(InputError) as caught:
        parse([word], root=LAB)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["dynamics=flow", "game=dirac", "optimizer=sgd"])
def test_training_does_not_know_the_labs_words(word):
    with pytest.raises(InputError):
        parse([word])


@pytest.mark.parametrize(
    "words", ["dynamics=flow optimizer=adam", "dynamics=flow d_steps=2", "dynamics=flow weight_clip=1",
              "game=bilinear loss=ns", "game=bilinear relativistic=average"],
)  # fmt: skip
def test_impossible_combinations_say_why(words):
    with pytest.raises(InputError, match="="):
        parse(words.split(), root=LAB)


def test_what_choices_build_on_is_no_choice():
    assert "_plane" not in groups(LAB)["game"]
    with pytest.raises(InputError, match="no such choice"):
        parse(["game=_plane"], root=LAB)
    with pytest.raises(InputError, match="integer >= 1"):  # declared in the file that it builds on
        parse(["game=gaussians", "game.code=0"], root=LAB)


@pytest.mark.parametrize("game", ["ring", "grid", "line", "circle", "gaussians"])
def test_the_plane_always_draws(game):
    with pytest.raises(InputError, match="fresh data"):
        parse([f"game={game}", "sampling=random"], root=LAB)


def test_a_game_may_bring_its_loss():
    assert parse(["game=bilinear"], root=LAB).choices["loss"] == "wgan"


def test_help_shows_what_can_be_said_and_nothing_else():
    text = help_text(LAB)
    for name in (*groups(LAB), "mse", "r1", "start", "phase"):
        assert f"\n  {name}=" in text, name
    for name in ("rate", "lpips", "spectral_norm", "generator"):
        assert f"\n  {name}=" not in text, name
    assert max(map(len, text.splitlines())) <= 110


def test_no_group_of_the_lab_is_one_of_training():
    assert not set(groups(TRAIN)) & {folder.name for folder in (CONF / "lab").iterdir()} - {"dynamics"}
