"""Callbacks and arguments of Lightning's Trainer in a run of scripts/train.py."""

import inspect
import json
import shlex
from dataclasses import replace

import lightning as L
import pytest
import torch
import yaml
from runs import checkpoint, differences, planned, run, words

from gcn.config import assemble
from gcn.config.lightning_words import INSTEAD
from gcn.config.parse import load, parse
from gcn.errors import InputError, Interrupted
from gcn.report.metrics_table import MetricsTable
from gcn.schema.conf_folder import CONF
from gcn.training.fit import PASSED_ON, train
from gcn.training.user_callbacks import notes

QUIT = """
import os, signal
import lightning as L

class Quit(L.Callback):
    def __init__(self, texts, after):
        self.after = after

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.after:
            os.kill(os.getpid(), signal.SIGTERM)
"""
OFTEN = "steps=4 val_every=2 panel_every=4 checkpoint_every=4"
LIGHTNING = "lightning.pytorch.callbacks"


class Seen(L.Callback):
    """Keeps what a callback finds in ``trainer.callback_metrics``."""

    def __init__(self):
        self.after_updates, self.after_validations = [], []

    def on_train_batch_end(self, trainer, *_):
        self.after_updates.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_validation_end(self, trainer, *_):
        self.after_validations.append(
            {name: float(value) for name, value in trainer.callback_metrics.items()}
        )


def test_early_stopping_ends_a_run_that_is_whole_and_goes_on(data, tmp_path, quick, reference, capsys):
    folder = tmp_path / "run"
    chosen = ["callbacks=[early_stopping,checkpoint]", "callbacks.early_stopping.stopping_threshold=0"]
    said = words(data, OFTEN)
    seen, plan = Seen(), planned(folder, *said, *chosen)
    summary = train(replace(plan, callbacks=[*plan.callbacks, seen]))
    assert summary["steps"] == 2
    assert "ended after 2 of 4 updates, as a callback asked" in capsys.readouterr().out
    rows = MetricsTable(folder / "metrics.csv").rows()
    for row, found in zip(rows, seen.after_updates, strict=True):
        assert found["train/psnr"] == pytest.approx(row["train/psnr"], rel=1e-6)
    (found,) = seen.after_validations
    assert {"train/d/total", "val/psnr", "val/swd"} <= {*found}
    for name, value in found.items():
        assert value == pytest.approx(rows[1][name], rel=1e-6), name
    kept = checkpoint(folder)
    assert kept["global_step"] == 2
    saved = torch.load(folder / "kept" / "step=2.ckpt", weights_only=True)["state_dict"]
    assert list(differences(saved, kept["state_dict"])) == []
    assert load(folder).callbacks == {}  # what a run folder names is not built
    assert train(planned(folder, resume=str(folder)))["steps"] == 4
    assert list(differences(checkpoint(folder)["state_dict"], checkpoint(reference)["state_dict"])) == []


def resumed(folder, *said):
    """The run in a folder, continued as its command line says."""
    cfg = parse([f"resume={folder}", *said])
    cfg["run_dir"] = str(folder)
    return train(assemble.plan(cfg))


def test_a_forged_checkpoint_cannot_name_what_a_callback_deletes(data, tmp_path, quick):
    """ModelCheckpoint deletes the paths of its state, and Lightning's guard lets `..` pass."""
    folder, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    best = f"callbacks.best={{_target_: {LIGHTNING}.ModelCheckpoint, monitor: step, mode: max}}"
    run(folder, *words(data, "steps=2 val_every=2 panel_every=2 checkpoint_every=2"), best)
    path = folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    (state,) = [state for name, state in content["callbacks"].items() if name.startswith("ModelCheckpoint")]
    named = str(path.parent / ".." / ".." / "other")
    state |= {"best_k_models": {named: torch.tensor(-1.0)}, "kth_best_model_path": named}
    state |= {"kth_value": torch.tensor(-1.0), "last_model_path": named, "best_model_path": named}
    torch.save(content, path)
    assert resumed(folder, "steps=4", best)["steps"] == 4
    assert other.is_dir()


def test_a_resumed_run_has_the_patience_of_its_command_line(data, tmp_path, quick):
    """EarlyStopping would take it from the checkpoint, with the validations that it has counted."""
    early = f"callbacks.early={{_target_: {LIGHTNING}.EarlyStopping, monitor: val/psnr, mode: max, min_delta: 99}}"
    folder = tmp_path / "run"
    said = words(data, "val_every=1 panel_every=9 checkpoint_every=9 steps=9")
    assert run(folder, *said, early, "callbacks.early.patience=1")["steps"] == 2
    assert resumed(folder, early, "callbacks.early.patience=2")["steps"] == 5


def test_a_stopped_run_says_how_to_go_on_with_its_callbacks(data, tmp_path, quick):
    folder = tmp_path / "run"
    quit_ = "callbacks.quit={_target_: interrupting.Quit, texts: ['a, b', \"it's\"], after: 1}"
    (tmp_path / "interrupting.py").write_text(QUIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(Interrupted) as stopped:
            run(folder, *words(data, OFTEN), "plugins=[interrupting]", quit_)
        said = shlex.split(str(stopped.value).partition("go on with: ")[2])[2:]
        again = parse(said)
    assert again.callbacks == {
        "quit": {"_target_": "interrupting.Quit", "texts": ["a, b", "it's"], "after": 1}
    }


def test_arguments_of_the_trainer_reach_it_and_change_no_weight(data, tmp_path, quick, reference, capsys):
    options = ["trainer.profiler=simple", "trainer.detect_anomaly=true", "trainer.enable_model_summary=true"]
    monitor = f"callbacks.lr={{_target_: {LIGHTNING}.Timer}}"
    run(tmp_path / "run", *words(data, OFTEN), *options, monitor)
    assert "Total params" in capsys.readouterr().out
    assert "run_training_batch" in (tmp_path / "run" / "train.log").read_text()
    assert (
        list(differences(checkpoint(tmp_path / "run")["state_dict"], checkpoint(reference)["state_dict"]))
        == []
    )


def test_a_run_ends_when_its_time_is_over(data, tmp_path, quick, capsys):
    run(tmp_path / "run", *words(data, OFTEN), "trainer.max_time=00:00:00:00")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 0
    assert "ended after 0 of 4 updates, as trainer.max_time asked" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"^trainer: .*soon"):
        run(tmp_path / "other", *words(data, OFTEN), "trainer.max_time=soon")


REFUSED = {
    f"callbacks.a={{_target_: {LIGHTNING}.EarlyStopping, monitor: val/psnrr}}": r"EarlyStopping: .*val/psnrr",
    f"callbacks.a={{_target_: {LIGHTNING}.EarlyStopping, patients: 3}}": r"^callbacks\.a: cannot be built",
    f"callbacks.a={{_target_: {LIGHTNING}.StochasticWeightAveraging, swa_lrs: 0.1}}": "StochasticWeightAveraging",
    f"callbacks.a={{_target_: {LIGHTNING}.LearningRateMonitor}}": r"^callbacks: .*no logger\.; mend",
    "callbacks=device_stats": "^callbacks: .*logger",
    f"callbacks.a={{_target_: {LIGHTNING}.TQDMProgressBar}}": r"^callbacks\.a: a run has a progress bar of its own",
    "trainer.profiler=pytorch": "must be one of simple, advanced or null",
}


@pytest.mark.parametrize(("word", "reason"), REFUSED.items())
def test_what_cannot_work_is_refused_in_one_line(word, reason, data, tmp_path, quick):
    with pytest.raises(InputError, match=reason) as refusal:
        run(tmp_path / "run", *words(data, OFTEN), word)
    assert "\n" not in str(refusal.value)


def test_every_argument_of_lightnings_trainer_is_a_word_or_has_another():
    declared = set(yaml.safe_load((CONF / "trainer" / "auto.yaml").read_text())) | {"strategy"}
    arguments = set(inspect.signature(L.Trainer.__init__).parameters) - {"self"}
    assert arguments == {*INSTEAD} | (declared & arguments)
    assert not declared & {*INSTEAD}
    assert set(PASSED_ON) <= declared
    for name in INSTEAD:
        with pytest.raises(InputError, match=rf"^trainer\.{name}: a run sets this argument"):
            parse(["mse=1", f"trainer.{name}=1"])


def test_hooks_that_a_run_does_not_call_are_named():
    class Mine(L.Callback):
        def on_validation_batch_end(self, *_):
            raise AssertionError("never called")

    assert notes([L.Callback(), Mine()]) == [
        "note: Mine.on_validation_batch_end is not called: a run validates all images at once"
    ]
