"""Several choices of one group: one spelling, and the way through a run folder and back."""

import pytest

from gcn.config.changed import changed_words
from gcn.config.parse import load, parse, save
from gcn.config.several import names, spelled, text
from gcn.config.stored import stored
from gcn.errors import InputError


@pytest.mark.parametrize(
    ("said", "normal"),
    [
        ("logger=[wandb, csv]", "logger=[csv,wandb]"),
        ("logger=[csv]", "logger=csv"),
        ("logger=[csv,csv]", "logger=csv"),
        ("logger=csv", "logger=csv"),
        ("callbacks=[early_stopping, checkpoint]", "callbacks=[checkpoint,early_stopping]"),
        ("callbacks=null", "callbacks=none"),
        ("callbacks=null,checkpoint", "callbacks=none,checkpoint"),
        ("optim.betas=[0.9, 0.5]", "optim.betas=[0.9, 0.5]"),
        ("data.root=[b, a]", "data.root=[b, a]"),
    ],
)
def test_a_list_has_one_spelling(said, normal):
    assert spelled(said) == normal


def test_names_and_text_are_inverse():
    for choice in ("csv", "[csv,wandb]"):
        assert text(choice) == choice
    assert names("[b,a]") == ["a", "b"]


def test_the_options_of_all_choices_are_there():
    cfg = parse(["mse=1", "logger=[wandb,tensorboard,csv]", "logger.project=x", "logger.tensorboard.name=y"])
    assert (cfg.logger.wandb, cfg.logger.project, cfg.logger.tensorboard.name) == (True, "x", "y")
    assert cfg.choices.logger == "[csv,tensorboard,wandb]"
    assert not parse(["mse=1", "logger=[tensorboard,csv]"]).logger.wandb


def test_a_run_folder_remembers_them(tmp_path):
    cfg = parse(["mse=1", "logger=[tensorboard,csv]", "logger.tensorboard.prefix=a"])
    save(cfg, tmp_path)
    assert load(tmp_path) == cfg
    assert changed_words(stored(tmp_path)) == [
        "logger=[csv,tensorboard]",
        "mse=1",
        "logger.tensorboard.prefix=a",
    ]
    resumed = parse([f"resume={tmp_path}", "logger=csv"])
    assert resumed.choices.logger == "csv"
    assert "tensorboard" not in resumed.logger


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("logger=[csv,wnadb]", r"no logger wnadb; choose from csv, mlflow, tensorboard, wandb"),
        ("logger=[]", "takes exactly one of csv"),
        ("loss=[ns,hinge]", "takes exactly one of"),
        ("logger.tensorboard.name=x", "unknown"),
    ],
)
def test_what_is_no_choice_is_refused(said, reason):
    with pytest.raises(InputError, match=reason):
        parse(["mse=1", "logger=csv", said] if "." in said else ["mse=1", said])


@pytest.mark.parametrize("choice", ["[csv,evil]", "[csv", "[wandb,csv]", ["csv"]])
def test_a_stored_list_is_held_to_conf(tmp_path, choice):
    cfg = parse(["mse=1", "logger=csv"])
    cfg["choices"]["logger"] = choice
    save(cfg, tmp_path)
    with pytest.raises(InputError, match="logger"):
        load(tmp_path)
