"""Callbacks on the command line: Lightning's classes or a plugin's, and nothing of a run folder."""

import pytest

from gcn.commands.hydra_command import main
from gcn.config.destinations import callback_words
from gcn.config.parse import load, parse, save
from gcn.errors import InputError

EARLY = "callbacks.early={_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/psnr}"


def test_a_callback_and_its_arguments_are_words():
    cfg = parse(["mse=1", f"+{EARLY}", "callbacks.early.patience=7"])
    assert cfg.callbacks.early == {
        "_target_": "lightning.pytorch.callbacks.EarlyStopping",
        "monitor": "val/psnr",
        "patience": 7,
    }
    assert parse(["mse=1", EARLY, "callbacks.early=null"]).callbacks == {}


def test_choices_of_the_group_have_declared_arguments_and_take_others_of_their_class():
    said = ["callbacks=[early_stopping, checkpoint]", "callbacks.early_stopping.strict=false", EARLY]
    cfg = parse(
        ["mse=1", *said, "callbacks.early_stopping.patience=2.0", "callbacks.checkpoint.save_top_k=-1"]
    )
    assert set(cfg.callbacks) == {"early_stopping", "checkpoint", "early"}
    assert (cfg.callbacks.early_stopping.patience, cfg.callbacks.early_stopping.strict) == (2, False)
    assert cfg.choices.callbacks == "[checkpoint,early_stopping]"
    assert callback_words(cfg) == [
        "callbacks=[checkpoint,early_stopping]",
        "callbacks.checkpoint.save_top_k=-1",
        "callbacks.early_stopping.patience=2",
        "callbacks.early_stopping.strict=false",
        EARLY,
    ]
    assert parse(["mse=1", *callback_words(cfg)]) == cfg
    fewer = parse(["mse=1", said[0], "callbacks.checkpoint=null"])
    assert callback_words(fewer)[1:] == ["callbacks.checkpoint=null"]
    assert parse(["mse=1", "callbacks=none"]).callbacks == {}


def test_a_choice_is_taken_from_the_users_folder_and_never_from_a_run_folder(tmp_path):
    own, run = tmp_path / "own", tmp_path / "run"
    run.mkdir()
    (own / "callbacks").mkdir(parents=True)
    (own / "callbacks" / "clock.yaml").write_text(
        "clock:\n  _target_: lightning.pytorch.callbacks.Timer\n  interval: step  #: one of step, epoch\n"
    )
    with pytest.raises(InputError, match="one of step, epoch"):
        parse(["mse=1", "callbacks=clock", "callbacks.clock.interval=x"], str(own))
    cfg = parse(["mse=1", "callbacks=[clock,early_stopping]"], str(own))
    save(cfg, run)
    loaded = load(run)
    assert (loaded.callbacks, loaded.choices.callbacks) == ({}, "none")
    with pytest.raises(InputError, match=r"'callbacks=\[clock,early_stopping\]', or go on .* callbacks=none"):
        parse([f"resume={run}"], str(own))
    assert parse([f"resume={run}", "callbacks=none"]).callbacks == {}
    assert parse([f"resume={run}", "callbacks=[clock,early_stopping]"], str(own)).callbacks == cfg.callbacks
    changed = parse([f"resume={run}", "callbacks=early_stopping", "callbacks.early_stopping.patience=9"])
    assert changed.callbacks.early_stopping.patience == 9
    assert changed.choices.callbacks == "early_stopping"


def test_hydra_takes_them_in_a_run_a_sweep_and_a_resumed_run(tmp_path):
    """Choices, and others with one plus, two, or none before them."""
    seen = []
    said, own = ["loss=ns", "mse=1", "logger=[csv,wandb]"], {"a": 7, "b": 7, "c": 7}
    for sign, name in (("", "a"), ("+", "b"), ("++", "c")):
        said += [f"{sign}{EARLY.replace('early', name)}", f"{sign}callbacks.{name}.patience=7"]
    chosen = ["+callbacks=early_stopping", "callbacks.early_stopping.patience=9"]
    assert main([*said, *chosen, f"out={tmp_path / 'run'}"], seen.append) == 0
    words = ["-m", *said, "callbacks=null,checkpoint", f"out={tmp_path / 'sweep'}"]
    main(words, seen.append)  # 2, as nothing is trained
    assert [{name: node.get("patience") for name, node in cfg.callbacks.items()} for cfg in seen] == [
        {"early_stopping": 9, **own},
        own,
        {"checkpoint": None, **own},
    ]
    assert {cfg.choices.logger for cfg in seen} == {"[csv,wandb]"}
    assert main([f"resume={tmp_path / 'run'}"], seen.append) == 2
    assert main([f"resume={tmp_path / 'run'}", "callbacks=null"], seen.append) == 0
    assert seen[-1].callbacks == {}
    for sign in ("+", "++"):
        assert parse([f"resume={tmp_path / 'run'}", f"{sign}callbacks=null"]).callbacks == {}


def test_a_run_that_the_cluster_restarts_keeps_the_callbacks_of_its_command(tmp_path, monkeypatch):
    seen = []
    said = ["loss=ns", "mse=1", EARLY, f"out={tmp_path / 'run'}"]
    assert main(said, seen.append) == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert main(said, seen.append) == 0
    assert seen[1].resume is not None
    assert seen[1].callbacks == seen[0].callbacks != {}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("callbacks.a={_target_: os.system}", r"must be a subclass .* plugins=\[os\]"),
        ("callbacks.a={_target_: lightning.pytorch.Trainer}", "must be a subclass"),
        (
            "callbacks.a={_target_: lightning.pytorch.callbacks.Timer, x: {_target_: os.system}}",
            "plain values",
        ),
        ("callbacks.a={_target_: lightning.pytorch.callbacks.Timer, x: [{_target_: a.B}]}", "plain values"),
        ("callbacks.a={monitor: x}", "names no class"),
        ("callbacks.a=1", "names no class"),
        ("callbacks=1", r"write callbacks\.NAME="),
        ("callback.a=1", "nearest: callbacks"),
        ("callbacks=[checkpoint,timer]", "no callbacks timer; choose from checkpoint"),
        ("callbacks=_hidden", "no such choice"),
    ],
)
def test_what_is_no_callback_is_refused(word, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        parse(["mse=1", word])
    assert "\n" not in str(refusal.value)


def test_nothing_of_a_run_folder_is_built_and_resume_asks_again(tmp_path):
    save(parse(["mse=1", EARLY]), tmp_path)
    assert load(tmp_path).callbacks == {}
    with pytest.raises(
        InputError, match=r"callbacks\.early=.*give them again|give them again, 'callbacks\.early="
    ):
        parse([f"resume={tmp_path}"])
    assert parse([f"resume={tmp_path}", "callbacks=null"]).callbacks == {}
    assert parse([f"resume={tmp_path}", EARLY]).callbacks.early.monitor == "val/psnr"


def test_a_forged_folder_names_nothing_that_is_built(tmp_path):
    cfg = parse(["mse=1"])
    cfg["callbacks"] = {"x": {"_target_": "os.system", "command": "true\x1b[2J"}}
    save(cfg, tmp_path)
    assert load(tmp_path).callbacks == {}
    with pytest.raises(InputError) as refusal:
        parse([f"resume={tmp_path}"])
    assert str(refusal.value).isprintable()
