"""Verdict, panels, table and signals as callbacks of a Lightning Trainer: each alone, and as in a run of the script."""

import csv
import os
import signal
import threading
import warnings

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch import callbacks as lightnings
from PIL import Image
from runs import TINY, cheap, differences, run

import gcn
from gcn.errors import InputError
from gcn.metrics.stability import verdict
from gcn.report.metrics_table import MetricsTable

STEPS = 6
GAME = [word for word in TINY if not word.startswith(("trainer", "logger"))] + [f"steps={STEPS}"]
OPTIONS = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False, "max_epochs": 1,
           "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Lightning's strategies set the number of threads, and so the last bits of a sum, unless this is set.

    Networks and measurements are those of the script's run, which are cheap.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cheap(monkeypatch)


@pytest.fixture
def fit(data, tmp_path):
    """A function that trains with these callbacks; returns the trainer and the module."""

    def trained(*added, ckpt_path=None, said=(), **options):
        module, images = gcn.build([*GAME, f"data.root={data}", *said])
        trainer = L.Trainer(
            callbacks=list(added),
            default_root_dir=tmp_path,
            **{**OPTIONS, "val_check_interval": 2, **options},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, datamodule=images, ckpt_path=ckpt_path)
        return trainer, module

    return trained


@pytest.fixture(scope="module")
def script(data, tmp_path_factory):
    """The folder of a run of scripts/train.py with the same words."""
    from runs import quickly

    folder = tmp_path_factory.mktemp("runs") / "script"
    often = [
        "val_every=2",
        "panel_every=2",
        "checkpoint_every=99",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.precision=32",
        "logger=csv",
    ]
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        run(folder, *GAME, f"data.root={data}", *often)
    return folder


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_table_is_that_of_the_script_also_after_a_resume(fit, script, tmp_path):
    table = gcn.callbacks.MetricsCSV()
    saved = lightnings.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    fit(table, saved, enable_checkpointing=True, max_epochs=-1, max_steps=5)
    assert [row["step"] for row in rows(tmp_path / "metrics.csv")] == ["1", "2", "3", "4", "5"]
    fit(gcn.callbacks.MetricsCSV(), ckpt_path=tmp_path / "step=3.ckpt")
    assert rows(tmp_path / "metrics.csv") == rows(script / "metrics.csv")


def test_a_table_of_another_training_is_not_overwritten(fit, tmp_path):
    MetricsTable(tmp_path / "other.csv").append(1, {"x": 2.0})
    with pytest.raises(InputError, match=r"other\.csv: has the rows of another training; move it away"):
        fit(gcn.callbacks.MetricsCSV(tmp_path / "other.csv"))
    assert MetricsTable(tmp_path / "other.csv").rows() == [{"step": 1, "x": 2.0}]


def test_the_verdict_is_that_of_the_script_also_after_a_resume(fit, script, tmp_path, capsys):
    judged = gcn.callbacks.Verdict()
    fit(judged)
    expected = verdict(MetricsTable(script / "metrics.csv").rows())
    assert judged.result == expected
    assert capsys.readouterr().out == f"verdict {expected.name} at step {expected.step}: {expected.reason}\n"
    fit(gcn.callbacks.Verdict(verbose=False), max_epochs=-1, max_steps=3)[0].save_checkpoint(
        tmp_path / "3.ckpt"
    )
    resumed = gcn.callbacks.Verdict(verbose=False)
    fit(resumed, ckpt_path=tmp_path / "3.ckpt")
    assert resumed.result == expected


class Spoil(L.Callback):
    """Makes a weight infinite after an update."""

    def on_train_batch_start(self, trainer, module, *_):
        if trainer.global_step == 3:
            with torch.no_grad():
                next(module.game.generator.parameters()).fill_(torch.inf)


def test_a_training_that_diverges_is_ended_with_its_verdict(fit):
    judged = gcn.callbacks.Verdict(verbose=False)
    trainer, _ = fit(Spoil(), judged, gcn.callbacks.Panels())
    assert trainer.global_step == 4
    assert judged.result.name == "diverged"
    assert judged.result.step == judged.event.step == 4
    assert np.isnan(trainer.callback_metrics["val/psnr"])  # the validation at the end has no codec


def test_a_callback_of_lightning_sees_the_jitter(fit, script):
    class Seen(L.Callback):
        values: list = []

        def on_validation_end(self, trainer, module):
            self.values.append(float(trainer.callback_metrics.get("val/jitter", 0)))

    fit(Seen())
    expected = [float(row["val/jitter"] or 0) for row in rows(script / "metrics.csv") if row["val/psnr"]]
    assert Seen.values == pytest.approx(expected)
    assert expected[0] == 0 < expected[1]


def test_a_panel_is_drawn_after_each_validation(fit, tmp_path):
    fit(gcn.callbacks.Panels(tmp_path / "drawn"), val_check_interval=3, num_sanity_val_steps=1)
    files = sorted((tmp_path / "drawn").iterdir())
    assert [file.name for file in files] == ["0000003.png", "0000006.png"]
    assert Image.open(files[0]).width > 300


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_training_with_a_checkpoint_that_goes_on(number, fit, script, tmp_path, capsys):
    class Interrupt(L.Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 2:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    stop = gcn.callbacks.StopOnSignal(tmp_path / "here" / "last.ckpt")
    trainer, _ = fit(Interrupt(), stop, limit_val_batches=0)
    assert (trainer.global_step, stop.signal) == (3, number)
    assert signal.getsignal(number) is before
    name = signal.Signals(number).name
    assert (
        f"stopped by {name} after 3 updates; go on with Trainer.fit(…, ckpt_path=" in capsys.readouterr().out
    )
    _, module = fit(ckpt_path=tmp_path / "here" / "last.ckpt", limit_val_batches=0)
    expected = torch.load(script / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert list(differences(dict(module.state_dict()), dict(expected))) == []


def test_signals_are_refused_outside_of_the_main_thread():
    said = []

    def listen():
        with pytest.raises(InputError, match="main thread") as refusal:
            gcn.callbacks.StopOnSignal().listen()
        said.append(refusal)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert said
