"""Thirty features of Lightning with the parts that ``gcn.build`` returns: each works, or is refused with its reason."""

import re
import warnings
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.strategies import FSDPStrategy
from runs import TINY, differences, run

import gcn
from gcn.config.compose import CONF
from gcn.errors import InputError
from gcn.training.module import GameModule

STEPS = 4
GAME = [word for word in TINY if not word.startswith(("trainer", "logger"))]
GAME += f"steps={STEPS} r1=1 instance_noise=0.1 d_steps=2 ema=0.5".split()
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "devices": 1}
BARE = {"logger": False, "enable_checkpointing": False}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Lightning's strategies set the number of threads, and so the last bits of a sum, unless this is set."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def parts(data):
    """A function that makes a fresh module and its data."""
    return lambda *more: gcn.build([*GAME, f"data.root={data}", *more])


@pytest.fixture
def fit(parts, tmp_path):
    """A function that trains with options of a trainer; returns the trainer and the module."""

    def trained(ckpt_path=None, **options):
        module, images = parts()
        trainer = L.Trainer(**{"max_epochs": 1, "default_root_dir": tmp_path, **QUIET, **BARE, **options})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, datamodule=images, ckpt_path=ckpt_path)
        return trainer, module

    return trained


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory):
    """Weights of scripts/train.py with the same words."""
    folder = tmp_path_factory.mktemp("runs") / "reference"
    said = [
        *GAME,
        f"data.root={data}",
        "trainer=cpu",
        "trainer.precision=32",
        "trainer.threads=1",
        "logger=csv",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gcn.training.fit._finish", lambda *_: {})
        run(folder, *said, "val_every=100", "panel_every=100")
    return dict(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])


class Seen(L.Callback):
    """A callback of the user's own."""

    def __init__(self):
        self.psnr = []

    def on_validation_end(self, trainer, module):
        self.psnr.append(float(trainer.callback_metrics["val/psnr"]))


# Options of a Trainer under which the training is that of scripts/train.py, bit for bit.
SAME = {
    "fit with a LightningDataModule": lambda: {},
    "validation while training": lambda: {"val_check_interval": 2},
    "no validation": lambda: {"limit_val_batches": 0},
    "no sanity check": lambda: {"num_sanity_val_steps": 0},
    "strategy=ddp": lambda: {"strategy": "ddp"},
    "max_steps": lambda: {"max_epochs": -1, "max_steps": STEPS},
    "logger=CSVLogger": lambda: {"logger": loggers.CSVLogger("csv_log"), "log_every_n_steps": 1},
    "two loggers": lambda: {"logger": [loggers.CSVLogger("a"), loggers.CSVLogger("b")], "log_every_n_steps": 3},
    "a callback of your own": lambda: {"callbacks": [Seen()]},
    "Timer": lambda: {"callbacks": [callbacks.Timer()]},
    "LearningRateMonitor": lambda: {
        "logger": loggers.CSVLogger("lr"), "callbacks": [callbacks.LearningRateMonitor("step")]
    },
    "TQDMProgressBar": lambda: {"enable_progress_bar": True, "callbacks": [callbacks.TQDMProgressBar()]},
    "RichProgressBar": lambda: {"enable_progress_bar": True, "callbacks": [callbacks.RichProgressBar()]},
    "ModelSummary": lambda: {"enable_model_summary": True, "callbacks": [callbacks.ModelSummary(2)]},
    "profiler=simple": lambda: {"profiler": "simple"},
    "profiler=advanced": lambda: {"profiler": "advanced"},
    "detect_anomaly": lambda: {"detect_anomaly": True},
    "deterministic": lambda: {"deterministic": True},
    "barebones": lambda: {"barebones": True, **dict.fromkeys([*BARE, "enable_progress_bar", "enable_model_summary"])},
}  # fmt: skip


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
def test_the_training_is_that_of_the_script(options, fit, reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        _, module = fit(**options())
        assert list(differences(weights(module), reference)) == []
    finally:
        leave()


def leave():
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


REFUSED = {
    "overfit_batches": (lambda: {"overfit_batches": 2}, "overfit_batches=2"),
    "accumulate_grad_batches": (lambda: {"accumulate_grad_batches": 2}, "accumulate_grad_batches=2"),
    "gradient_clip_val": (lambda: {"gradient_clip_val": 1.0}, "optim.g.clip"),
    "precision=16-true": (lambda: {"precision": "16-true"}, "32-true or bf16-mixed"),
    "StochasticWeightAveraging": (
        lambda: {"callbacks": [callbacks.StochasticWeightAveraging(1e-2)]},
        "Averaging",
    ),
    "LearningRateFinder": (lambda: {"callbacks": [callbacks.LearningRateFinder()]}, "LearningRateFinder"),
    "several epochs": (lambda: {"max_epochs": 2}, "give max_epochs=1"),
}


@pytest.mark.parametrize(("options", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_train_another_game_is_refused_in_one_line(options, reason, fit):
    with pytest.raises(InputError, match=re.escape(reason)) as refusal:
        fit(**options())
    assert "\n" not in str(refusal.value)


def test_a_sharded_strategy_is_refused(parts, monkeypatch):
    from gcn.training.trainer_options import check_options

    module, _ = parts()
    trainer = L.Trainer(**QUIET, **BARE)
    monkeypatch.setattr(trainer._accelerator_connector, "strategy", FSDPStrategy())
    trainer.strategy._lightning_module = module
    with pytest.raises(InputError, match=r"FSDPStrategy.*strategy='ddp'"):
        check_options(trainer)


def test_fast_dev_run(fit):
    trainer, _ = fit(fast_dev_run=1)
    assert trainer.global_step == 1
    assert "val/psnr" in trainer.callback_metrics


def test_checkpoints_of_the_best_psnr_and_early_stopping(fit, tmp_path):
    best = callbacks.ModelCheckpoint(tmp_path / "best", monitor="val/psnr", mode="max")
    stop = callbacks.EarlyStopping("val/psnr", mode="max", stopping_threshold=0)
    trainer, _ = fit(val_check_interval=2, callbacks=[best, stop], enable_checkpointing=True)
    assert trainer.global_step == 2
    assert Path(best.best_model_path).is_file()
    assert best.best_model_score > 0


def test_loggers_get_terms_and_validations_at_their_own_interval(fit, tmp_path):
    fit(logger=loggers.CSVLogger(tmp_path, name="log"), log_every_n_steps=2, val_check_interval=4)
    (table,) = tmp_path.glob("log/*/metrics.csv")
    header, *rows = table.read_text().splitlines()
    assert {"train/g/mse", "train/d/r1", "val/psnr", "val/swd", "step"} <= set(header.split(","))
    steps = [int(row.split(",")[header.split(",").index("step")]) for row in rows]
    assert sorted(set(steps)) == [1, 3]


@pytest.mark.parametrize("at", [1, 3])
def test_a_training_that_is_resumed_by_ckpt_path_is_the_same_bit_for_bit(at, fit, reference, tmp_path):
    fit(max_epochs=-1, max_steps=at)[0].save_checkpoint(tmp_path / "at.ckpt")
    trainer, module = fit(ckpt_path=tmp_path / "at.ckpt")
    assert trainer.global_step == STEPS
    assert list(differences(weights(module), reference)) == []


def test_a_checkpoint_of_another_game_is_refused(fit, parts, tmp_path):
    fit(fast_dev_run=False, max_epochs=-1, max_steps=1)[0].save_checkpoint(tmp_path / "at.ckpt")
    module, images = parts("generator.N=16")
    with pytest.raises(InputError, match=r"the checkpoint cannot be used: .*float32"):
        L.Trainer(max_epochs=1, **QUIET, **BARE).fit(
            module, datamodule=images, ckpt_path=tmp_path / "at.ckpt"
        )


def test_weights_by_load_from_checkpoint(fit, parts, tmp_path):
    trainer, trained = fit()
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    fresh, _ = parts()
    given = {"game": fresh.game, "rule": fresh.rule, "training": fresh.training_plan}
    for loaded in (
        gcn.GameModule.load_from_checkpoint(tmp_path / "end.ckpt"),
        GameModule.load_from_checkpoint(tmp_path / "end.ckpt", **given),
        gcn.GameModule.load_from_checkpoint(tmp_path / "end.ckpt", **given),
    ):
        assert list(differences(weights(loaded), weights(trained))) == []
        assert list(differences(loaded.average, trained.average)) == []


def test_validate_test_and_predict(parts):
    module, images = parts()
    trainer = L.Trainer(**QUIET, **BARE)
    (validated,) = trainer.validate(module, datamodule=images, verbose=False)
    (tested,) = trainer.test(module, datamodule=images, verbose=False)
    assert tested["test/psnr"] == validated["val/psnr"]
    assert tested["test/bpp_actual"] > 0
    predicted = trainer.predict(module, datamodule=images)
    assert [one.name for one in predicted] == images.images.val_names
    assert predicted[0].x_hat.shape == predicted[0].x.shape


@pytest.mark.parametrize(
    ("word", "remedy"),
    [("out=folder", "default_root_dir"), ("trainer=ddp", "strategy"), ("resume=folder", "ckpt_path"),
     ("+val_every=3", "val_check_interval"), ("hydra.run.dir=x", "drop it"), ("msee=1", "mse")],
)  # fmt: skip
def test_a_word_that_is_not_the_games_is_refused(word, remedy):
    with pytest.raises(InputError, match=remedy):
        gcn.build(["loss=ns", word])


def test_one_string_is_refused():
    with pytest.raises(InputError, match=r"gcn\.build\(\['loss=ns', 'mse=1'\]\)"):
        gcn.build("loss=ns mse=1")


def test_the_documentation_has_each_feature():
    page = (CONF.parent / "docs" / "lightning.md").read_text()
    missing = [name for name in [*SAME, *REFUSED] if f"`{name}`" not in page and name not in page]
    assert missing == []
