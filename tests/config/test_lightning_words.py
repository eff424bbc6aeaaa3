"""Callbacks on the command line: Lightning's classes or a plugin's, and nothing of a run folder."""

import pytest

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
