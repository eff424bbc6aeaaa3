"""A library user's own Lightning trainer: it trains exactly what a run trains, or refuses in one line."""

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.tuner import Tuner
from runs import configured, differences, run, words

from gcn.config import assemble
from gcn.config.parse import Config
from gcn.errors import InputError
from gcn.training.ranks import ReplicatedStrategy
from gcn.training.record import Record

STEPS = 6
SAID = f"steps={STEPS} trainer.precision=32 trainer.channels_last=false r1=1 instance_noise=0.1 d_steps=2 ema=0.5"
ALONE = {"accelerator": "cpu", "devices": 1, "max_epochs": 1}
QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Lightning's strategies set the number of threads, and so the last bits of a sum, unless this is set."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def plan(data, tmp_path_factory):
    def fresh():
        cfg = Config(configured(tuple(words(data, SAID))))
        cfg["run_dir"] = str(tmp_path_factory.getbasetemp() / "never written")
        return assemble.plan(cfg)

    return fresh


def loader(plan, **changed):
    return plan.data.train_loader(**{"seed": 0, "steps": STEPS, "d_steps": 2} | changed)


def fit(plan, folder, batches=None, ckpt_path=None, **options):
    """Train with a trainer of the user's; returns the weights."""
    trainer = L.Trainer(**{**ALONE, **QUIET, "default_root_dir": folder, **options})
    trainer.fit(plan.module, batches or loader(plan), ckpt_path=ckpt_path)
    return {f"game.{name}": tensor.clone() for name, tensor in plan.module.game.state_dict().items()}


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory, native_convolutions):
    """Weights after the first updates of a run of scripts/train.py, by their number."""
    folder = tmp_path_factory.mktemp("reference")
    kept = {}
    with pytest.MonkeyPatch.context() as patch:

        def keep(self, trainer, module, *args):
            state = {f"game.{name}": tensor.clone() for name, tensor in module.game.state_dict().items()}
            kept[trainer.global_step] = state

        patch.setattr(Record, "on_train_batch_end", keep)
        patch.setattr("gcn.training.fit._finish", lambda *_: {})
        run(folder, *words(data, SAID))
    return kept


@pytest.mark.parametrize(
    ("options", "updates"),
    [
        ({}, 6),
        ({"limit_train_batches": 3}, 3),
        ({"overfit_batches": 3}, 3),
        ({"limit_train_batches": 0.5}, 3),
        ({"fast_dev_run": True}, 1),
        ({"fast_dev_run": 2}, 2),
        ({"barebones": True, "max_steps": 2} | dict.fromkeys(QUIET), 2),
        (
            {
                "callbacks": [callbacks.Timer(), callbacks.ModelSummary()], "enable_model_summary": True,
                "strategy": ReplicatedStrategy(), "use_distributed_sampler": True, "enable_checkpointing": True,
                "gradient_clip_val": 0, "max_steps": 4, "max_epochs": None,
            }, 4,
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),  # objects would show addresses
)  # fmt: skip
def test_a_plain_fit_is_the_run(options, updates, plan, reference, tmp_path):
    try:
        assert list(differences(fit(plan(), tmp_path, **options), reference[updates])) == []
    finally:
        leave()


@pytest.mark.parametrize("workers", [0, 2])
def test_with_workers_too(workers, plan, reference, tmp_path):
    mine = plan()
    mine.data.workers = workers
    assert list(differences(fit(mine, tmp_path), reference[STEPS])) == []


def leave():
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


REFUSED = {
    "half precision": ({"precision": "16-true"}, "precision"),
    "double precision": ({"precision": "64-true"}, "precision"),
    "bf16 weights": ({"precision": "bf16-true"}, "precision"),
    "accumulated gradients": ({"accumulate_grad_batches": 2}, "accumulate_grad_batches"),
    "clipped gradients": ({"gradient_clip_val": 1.0}, "gradient_clip_val"),
    "more overfitting than planned": ({"overfit_batches": 4, "max_epochs": 2}, "max_epochs of at most 1"),
    "two epochs": ({"max_epochs": 2}, "max_epochs"),
    "the default number of epochs": ({"max_epochs": None}, "max_epochs"),
    "endless": ({"max_epochs": -1}, "max_epochs"),
    "more steps than batches": ({"max_epochs": -1, "max_steps": STEPS + 1}, "max_steps"),
    "few batches again and again": (
        {"limit_train_batches": 2, "max_steps": 6, "max_epochs": -1},
        "max_epochs",
    ),
    "averaged weights": (
        {"callbacks": [callbacks.StochasticWeightAveraging(swa_lrs=1e-2)]},
        "WeightAveraging",
    ),
    "weight averaging": ({"callbacks": [callbacks.EMAWeightAveraging()]}, "EMAWeightAveraging"),
    "scheduled accumulation": (
        {"callbacks": [callbacks.GradientAccumulationScheduler({0: 2})]},
        "GradientAcc",
    ),
    "a learning rate that is searched": ({"callbacks": [callbacks.LearningRateFinder()]}, "LearningRateFin"),
}


@pytest.mark.parametrize(("options", "named"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_another_training_is_refused(options, named, plan, tmp_path):
    mine = plan()
    before = {name: tensor.clone() for name, tensor in mine.module.game.state_dict().items()}
    try:
        with pytest.raises(InputError, match=named) as refusal:
            fit(mine, tmp_path, **options)
    finally:
        leave()
    assert "\n" not in str(refusal.value)
    assert list(differences(dict(mine.module.game.state_dict()), before)) == []
    assert not torch.distributed.is_initialized()


BATCHES = {
    "of another process": ({"rank": 1, "world": 2}, "process 0 of 1"),
    "begun in the middle": ({"start_step": 2}, "the loader begins after update 2"),
    "of another number of turns": ({"d_steps": 1}, "d_steps=1"),
    "more than planned": ({"steps": STEPS + 1}, f"planned for steps={STEPS}"),
}


@pytest.mark.parametrize(("changed", "named"), BATCHES.values(), ids=BATCHES)
def test_other_batches_are_refused(changed, named, plan, tmp_path):
    mine = plan()
    with pytest.raises(InputError, match=named):
        fit(mine, tmp_path, loader(mine, **changed))


def test_several_loaders_are_refused(plan, tmp_path):
    mine = plan()
    with pytest.raises(InputError, match="2 loaders"):
        fit(mine, tmp_path, [loader(mine), loader(mine)])


def test_a_resume_by_lightning_is_refused(plan, tmp_path):
    """Of a checkpoint of the user's own; one of a run is not even of the same loaders."""
    mine, file = plan(), tmp_path / "mine.ckpt"
    trainer = L.Trainer(**ALONE, **QUIET, max_steps=3, default_root_dir=tmp_path)
    trainer.fit(mine.module, loader(mine))
    trainer.save_checkpoint(file)
    for start in (0, 3):
        mine = plan()
        with pytest.raises(InputError, match=r"ckpt_path=.* update 3; give datamodule="):
            fit(mine, tmp_path, loader(mine, start_step=start), ckpt_path=file)


def test_a_second_fit_of_the_same_trainer_is_refused(plan, tmp_path):
    mine = plan()
    trainer = L.Trainer(**ALONE, **QUIET, default_root_dir=tmp_path)
    trainer.fit(mine.module, loader(mine, steps=2))
    trainer.fit_loop.max_epochs = trainer.fit_loop.epoch_progress.current.processed + 1
    with pytest.raises(InputError):
        trainer.fit(mine.module, loader(mine, steps=2))


def test_a_search_of_the_learning_rate_is_refused(plan, tmp_path):
    mine = plan()
    with pytest.raises(InputError, match="LearningRateFinder"):
        Tuner(L.Trainer(**ALONE, **QUIET, default_root_dir=tmp_path)).lr_find(mine.module, loader(mine))
