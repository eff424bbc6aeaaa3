"""Callbacks and arguments of Lightning's Trainer in a run of scripts/train.py."""

import inspect
import json

import lightning as L
import pytest
import torch
import yaml
from runs import checkpoint, differences, run, words

from gcn.config.compose import CONF
from gcn.config.lightning_words import INSTEAD
from gcn.config.parse import load, parse
from gcn.errors import InputError
from gcn.training.fit import PASSED_ON
from gcn.training.user_callbacks import notes

OFTEN = "steps=6 val_every=2 panel_every=6 checkpoint_every=6"
LIGHTNING = "lightning.pytorch.callbacks"
EARLY = f"callbacks.early={{_target_: {LIGHTNING}.EarlyStopping, monitor: val/psnr, stopping_threshold: 0, mode: max}}"


def test_early_stopping_ends_a_run_that_is_whole_and_goes_on(data, tmp_path, quick, reference, capsys):
    folder = tmp_path / "run"
    best = f"callbacks.best={{_target_: {LIGHTNING}.ModelCheckpoint, monitor: val/psnr, mode: max}}"
    said = words(data, OFTEN)
    from runs import planned

    from gcn.training.fit import train

    summary = train(planned(folder, *said, EARLY, best))
    assert summary["steps"] == 2
    assert "ended after 2 of 6 updates, as a callback asked" in capsys.readouterr().out
    kept = checkpoint(folder)
    assert kept["global_step"] == 2
    (own,) = [path for path in (folder / "checkpoints").glob("*.ckpt") if path.name.startswith("epoch")]
    saved = torch.load(own, weights_only=True)["state_dict"]
    assert list(differences(saved, kept["state_dict"])) == []
    assert load(folder).callbacks == {}  # what a run folder names is not built
    assert train(planned(folder, resume=str(folder)))["steps"] == 6
    assert list(differences(checkpoint(folder)["state_dict"], checkpoint(reference)["state_dict"])) == []


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


def test_a_run_ends_when_its_time_is_over(data, tmp_path, quick):
    run(tmp_path / "run", *words(data, OFTEN), "trainer.max_time=00:00:00:00")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 0
    with pytest.raises(InputError, match=r"^trainer: .*soon"):
        run(tmp_path / "other", *words(data, OFTEN), "trainer.max_time=soon")


REFUSED = {
    f"callbacks.a={{_target_: {LIGHTNING}.EarlyStopping, monitor: val/psnrr}}": r"EarlyStopping: .*val/psnrr",
    f"callbacks.a={{_target_: {LIGHTNING}.EarlyStopping, patients: 3}}": r"^callbacks\.a: cannot be built",
    f"callbacks.a={{_target_: {LIGHTNING}.StochasticWeightAveraging, swa_lrs: 0.1}}": "StochasticWeightAveraging",
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
