"""Thirty features of Lightning with the parts that ``gcn.build`` returns: each works, or is refused with its reason."""

import inspect
import re
import warnings
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.strategies import FSDPStrategy
from runs import TINY, differences, once, run

import gcn
from gcn.callbacks import MetricsCSV, Panels, StopOnSignal, Verdict
from gcn.errors import InputError
from gcn.schema.conf_folder import CONF
from gcn.training.checkpoint import AtomicCheckpointIO
from gcn.training.module import GameModule

STEPS = 4
GAME = [word for word in TINY if not word.startswith(("trainer", "logger"))]
GAME += f"steps={STEPS} r1=1 instance_noise=0.1 d_steps=2 ema=0.5".split()
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "devices": 1}
BARE = {"logger": False, "enable_checkpointing": False}


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Lightning's strategies set the number of threads, and so the last bits of a sum, unless this is set."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def parts(data):
    """A function that makes a fresh module and its data."""
    return lambda *more: gcn.build(once([*GAME, f"data.root={data}", *more]))


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
def reference(data, tmp_path_factory, native_convolutions):
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


# Options of a Trainer under which the training is that of scripts/train.py, bit for bit; with several features in one
# training, each that changed it would show.
SAME = {
    "fit with a LightningDataModule, logger=CSVLogger, LearningRateMonitor, a callback of your own, Timer, "
    "DeviceStatsMonitor, ThroughputMonitor, strategy=ddp, detect_anomaly, deterministic": lambda: {
        "logger": loggers.CSVLogger("csv_log"), "log_every_n_steps": 1, "strategy": "ddp", "detect_anomaly": True,
        "deterministic": True,
        "callbacks": [
            callbacks.LearningRateMonitor("step"), Seen(), callbacks.Timer(), callbacks.DeviceStatsMonitor(),
            callbacks.ThroughputMonitor(lambda batch: len(getattr(batch, "x", batch))),
        ],
    },
    "validation while training, no sanity check, callbacks of gcn, two loggers, TQDMProgressBar, ModelSummary, "
    "profiler=simple": lambda: {
        "val_check_interval": 2, "num_sanity_val_steps": 0, "profiler": "simple",
        "logger": [loggers.CSVLogger("a"), loggers.CSVLogger("b")], "log_every_n_steps": 3,
        "enable_progress_bar": True, "enable_model_summary": True, "callbacks": [
            Verdict(), MetricsCSV(), Panels(), StopOnSignal(), callbacks.TQDMProgressBar(), callbacks.ModelSummary(2),
        ],
    },
    "no validation, max_steps, profiler=pytorch": lambda: {
        "limit_val_batches": 0, "max_epochs": -1, "max_steps": STEPS, "profiler": "pytorch"
    },
    "RichProgressBar, profiler=advanced, LambdaCallback, RichModelSummary, OnExceptionCheckpoint, "
    "plugins=[AtomicCheckpointIO()], check_val_every_n_epoch=None": lambda: {
        "enable_progress_bar": True, "enable_model_summary": True, "enable_checkpointing": True,
        "profiler": "advanced", "callbacks": [
            callbacks.RichProgressBar(), callbacks.LambdaCallback(on_train_start=lambda *_: None),
            callbacks.RichModelSummary(), callbacks.OnExceptionCheckpoint("broken"),
        ],
        "plugins": [AtomicCheckpointIO()],
        "check_val_every_n_epoch": None, "val_check_interval": "00:00:00:01",
    },
    "benchmark, enable_autolog_hparams, model_registry, inference_mode=False, use_distributed_sampler, "
    "reload_dataloaders_every_n_epochs, min_epochs, min_steps, max_time": lambda: {
        "benchmark": True, "enable_autolog_hparams": False, "model_registry": "mine", "inference_mode": False,
        "use_distributed_sampler": False, "reload_dataloaders_every_n_epochs": 1, "min_epochs": 1, "min_steps": 2,
        "max_time": "00:01:00:00",
    },
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
    "endless overfit_batches": (lambda: {"overfit_batches": 2, "max_epochs": -1}, "inf updates"),
    "accumulate_grad_batches": (lambda: {"accumulate_grad_batches": 2}, "accumulate_grad_batches=2"),
    "gradient_clip_val": (lambda: {"gradient_clip_val": 1.0}, "gradient_clip_val=1.0"),
    "gradient_clip_algorithm": (
        lambda: {"gradient_clip_algorithm": "norm"},
        "gradient_clip_algorithm='norm'",
    ),
    "sync_batchnorm": (lambda: {"sync_batchnorm": True}, "discriminator.norm=none"),
    "profiler=pytorch with validation": (lambda: {"profiler": "pytorch"}, "limit_val_batches=0"),
    "SpikeDetection": (lambda: {"callbacks": [callbacks.SpikeDetection()]}, "gcn.callbacks.Verdict()"),
    "BatchSizeFinder": (lambda: {"callbacks": [callbacks.BatchSizeFinder()]}, "BatchSizeFinder"),
    "ModelPruning": (lambda: {"callbacks": [callbacks.ModelPruning("l1_unstructured")]}, "ModelPruning"),
    "BackboneFinetuning": (lambda: {"callbacks": [callbacks.BackboneFinetuning()]}, "BackboneFinetuning"),
    "GradientAccumulationScheduler": (
        lambda: {"callbacks": [callbacks.GradientAccumulationScheduler({0: 2})]},
        "GradientAccumulationScheduler",
    ),
    "EMAWeightAveraging": (lambda: {"callbacks": [callbacks.EMAWeightAveraging()]}, "EMAWeightAveraging"),
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


def test_overfit_batches_repeats_the_first_batches_exactly(fit, parts):
    """As a loader that has them again and again; each update has its own noise."""
    _, module = fit(overfit_batches=2, max_epochs=2)
    expected, images = parts()
    first = list(zip(range(2), images.images.train_loader(seed=0, steps=STEPS, d_steps=2), strict=False))

    class Repeated(torch.utils.data.Dataset):
        def __len__(self):
            return STEPS

        def __getitem__(self, update):
            return first[update % 2][1]

    loader = torch.utils.data.DataLoader(Repeated(), batch_size=None)
    trainer = L.Trainer(max_epochs=1, **QUIET, **BARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(expected, loader)
    assert list(differences(weights(module), weights(expected))) == []


def test_a_resumed_overfitting_is_refused(fit, tmp_path):
    fit(overfit_batches=2)[0].save_checkpoint(tmp_path / "at.ckpt")
    with pytest.raises(InputError, match=r"overfit_batches=2\): cannot be resumed"):
        fit(ckpt_path=tmp_path / "at.ckpt", overfit_batches=2, max_epochs=2)


def test_predictions_are_written_and_limited(parts, tmp_path):
    class Written(callbacks.BasePredictionWriter):
        names: list = []

        def write_on_batch_end(self, trainer, module, prediction, *_):
            self.names.append(prediction.name)

    module, images = parts()
    options = {"limit_predict_batches": 1, "limit_test_batches": 1, "callbacks": [Written("batch")]}
    trainer = L.Trainer(**QUIET, **BARE, **options)
    trainer.predict(module, datamodule=images)
    assert Written.names == images.images.val_names[:1]


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


def test_a_training_that_is_resumed_by_ckpt_path_is_the_same_bit_for_bit(fit, reference, parts, tmp_path):
    """Also when it is resumed twice; and a checkpoint of another game is refused."""
    fit(max_epochs=-1, max_steps=1)[0].save_checkpoint(tmp_path / "at.ckpt")
    fit(max_epochs=-1, max_steps=3, ckpt_path=tmp_path / "at.ckpt")[0].save_checkpoint(tmp_path / "at.ckpt")
    trainer, module = fit(ckpt_path=tmp_path / "at.ckpt")
    assert trainer.global_step == STEPS
    assert list(differences(weights(module), reference)) == []
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
     ("+val_every=3", "val_check_interval"), ("hydra.run.dir=x", "drop it"), ("msee=1", "mse"),
     ("+loss=hinge", r"^loss=ns and \+loss=hinge: loss is given twice")],
)  # fmt: skip
def test_a_word_that_is_not_the_games_is_refused(word, remedy):
    with pytest.raises(InputError, match=remedy):
        gcn.build(["loss=ns", word])


def test_one_string_is_refused():
    with pytest.raises(InputError, match=r"gcn\.build\(\['loss=ns', 'mse=1'\]\)"):
        gcn.build("loss=ns mse=1")


def test_the_documentation_has_each_feature_argument_and_callback():
    page = (CONF.parent / "docs" / "lightning.md").read_text()
    table = page.partition("## Features")[2].partition("\n## ")[0]
    arguments = set(inspect.signature(L.Trainer.__init__).parameters) - {"self"}
    bases = {"Callback", "Checkpoint", "ProgressBar"}
    named = {part for name in [*SAME, *REFUSED] for part in name.split(", ")} | arguments
    missing = sorted(name for name in named | {*callbacks.__all__} - bases if name not in table)
    assert missing == []
    assert table.count("\n|") >= 32  # thirty features, and the head of the table
