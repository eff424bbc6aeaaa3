"""Whole runs in this process: what they leave behind, what counts, and how they end."""

import json
import math
import os

import pytest
import torch
from runs import SCRIPT, cheap, checkpoint, differences, killed_at, planned, quick_script, run, words

from gcn.codec.container import parse, write
from gcn.errors import InputError
from gcn.report.metrics_table import MetricsTable
from gcn.report.summary import REQUIRED
from gcn.training.fit import train
from gcn.training.module import GameModule
from gcn.training.record import Record
from gcn.training.schedule import Schedule
from gcn.training.validate import coding_copy

SELDOM = "log_every=1000000 val_every=1000000 panel_every=1000000 checkpoint_every=1000000"


def weights(folder, part=""):
    state = checkpoint(folder)["state_dict"]
    return {name: tensor for name, tensor in state.items() if name.startswith(f"game.{part}")}


def rows(folder):
    return MetricsTable(folder / "metrics.csv").rows()


@pytest.mark.usefixtures("drawn", "coarse_figures")
def test_a_run_leaves_everything_in_its_folder(data, tmp_path, monkeypatch):
    cheap(monkeypatch)
    summary = run(tmp_path, *words(data, "steps=4 val_every=2 panel_every=2"))
    written = json.loads((tmp_path / "summary.json").read_text())
    assert set(REQUIRED) <= set(written)
    assert written["steps"] == summary["steps"] == 4
    assert written["verdict"] == "too short to tell"
    assert all(math.isfinite(written[name]) for name in ("psnr", "ms_ssim", "swd", "bpp", "bpp_actual"))
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        "summary.json", "metrics.csv", "train.log", "config.yaml", "curves.png",
        "panels/0000002.png", "panels/0000004.png",
        "checkpoints/last.ckpt", "checkpoints/best.ckpt", "codec.safetensors",
        *(found & {"checkpoints/best.ckpt.previous"}),
    }  # fmt: skip
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4]
    assert {"train/psnr", "train/bpp", "train/g/grad_norm", "val/psnr", "val/bpp"} <= set(rows(tmp_path)[-1])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "said",
    ["d_steps=2", "dynamics=simultaneous", "dynamics=optimistic", "dynamics=sga", "loss=none",
     "dynamics=extragradient warmup.steps=2"],
)  # fmt: skip
def test_the_clock_counts_updates_of_the_generator(said, data, tmp_path, monkeypatch):
    scheduled, batches, factor = [], [], Schedule.factor

    def noted(self, step, steps):
        scheduled.append((step, steps))
        return factor(self, step, steps)

    monkeypatch.setattr(Schedule, "factor", noted)
    plan = planned(tmp_path, *words(data, "steps=4", said, SELDOM))
    step = GameModule.training_step

    def stepping(self, batch, batch_idx):
        batches.append((batch_idx, len(batch)))
        step(self, batch, batch_idx)

    monkeypatch.setattr(GameModule, "training_step", stepping)
    assert train(plan)["steps"] == 4
    assert scheduled == [(i, 4) for i in range(4)]
    assert batches == [(i, 2 * (2 if said == "d_steps=2" else 1)) for i in range(4)]
    content = checkpoint(tmp_path)
    assert content["global_step"] == 4
    moves = {
        "d_steps=2": [4, 8],
        "loss=none": [4],
        "dynamics=extragradient warmup.steps=2": [2 + 2 * 2, 2 * 2],
    }
    made = [int(next(iter(state["state"].values()))["step"]) for state in content["optimizer_states"]]
    assert made == moves.get(said, [4, 4])


@pytest.mark.usefixtures("quick")
def test_instruments_never_steer(data, tmp_path):
    # batch statistics and power iterations are what a look could change
    said = "steps=6 ema=0.9 spectral_norm=true discriminator.norm=batch dynamics=optimistic l1=0 feature_matching=0"
    run(tmp_path / "seldom", *words(data, said, SELDOM))
    run(tmp_path / "often", *words(data, said, "log_every=1 val_every=2 panel_every=2 checkpoint_every=1"))
    seldom, often = (checkpoint(tmp_path / name) for name in ("seldom", "often"))
    assert len(rows(tmp_path / "often")) == 6
    assert [row["step"] for row in rows(tmp_path / "seldom")] == [1, 6]
    for key in ("state_dict", "optimizer_states", "gcn"):
        assert list(differences(seldom[key], often[key])) == []


@pytest.mark.usefixtures("quick")
def test_the_discriminator_waits_until_the_warm_up_is_over(data, tmp_path):
    constant = "optim.schedule.name=constant"
    said = words(data, "feature_matching=1 r1=1 spectral_norm=true", SELDOM, constant)
    warm = [word.replace("checkpoint_every=1000000", "checkpoint_every=3") for word in said]
    plan = planned(tmp_path / "warm", *warm, "steps=4", "warmup.steps=3")
    before = {
        f"game.{k}": v.clone() for k, v in plan.module.game.state_dict().items() if k.startswith("disc")
    }
    killed_at(4, tmp_path / "warm")  # its checkpoint is that of update 3
    assert before
    assert not list(differences(before, weights(tmp_path / "warm", "discriminator.")))
    run(tmp_path / "game", *said, "steps=4", "warmup.steps=3")
    assert list(differences(before, weights(tmp_path / "game", "discriminator.")))
    alone = run(tmp_path / "alone", *words(data, "loss=none", SELDOM, constant, "steps=3"))
    assert alone["verdict"] == "too short to tell"
    assert not list(
        differences(weights(tmp_path / "alone", "generator."), weights(tmp_path / "warm", "generator."))
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "said",
    ["optim.g.lr=1e6", "optim.g.lr=1e30 optim.d.lr=1e30", "loss=ml adv=1e8 optim.g.lr=10 optim.d.lr=100",
     "loss=none optim.g.lr=1e30", "mse=1e30 optim=gan", "loss=wgan mse=null optim.d.lr=1e5 dynamics=simultaneous"],
)  # fmt: skip
def test_a_diverged_run_ends_with_its_verdict(said, data, tmp_path, request):
    drawn = "optim.d.lr=1e30" in said and request.getfixturevalue("drawn") is None  # one of them
    often = "steps=60 val_every=2 panel_every=7 checkpoint_every=2 optim.schedule.name=constant"
    run(tmp_path, *words(data, often, said))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["verdict"] in ("diverged", "collapsed"), summary
    assert summary["verdict_step"] == summary["steps"] < 60
    assert summary["verdict_reason"]
    assert set(REQUIRED) <= set(summary)
    assert ((tmp_path / "curves.png").stat().st_size > 1000) == drawn
    for file in (tmp_path / "checkpoints").glob("*.ckpt*"):
        assert all(tensor.isfinite().all() for tensor in weights(tmp_path, file.name).values())


@pytest.mark.usefixtures("quick")
def test_a_run_that_diverges_at_once_has_no_numbers(data, tmp_path):
    run(tmp_path, *words(data, "steps=9 optim.g.lr=1e30 optim.schedule.name=constant", SELDOM))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["verdict"] == "diverged"
    assert [summary[name] for name in ("psnr", "bpp", "bpp_actual")] == [None] * 3
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("generator", ["tiny", "hyperprior"])
def test_a_frozen_encoder_keeps_every_bitstream(generator, data, tmp_path):
    said = f"generator={generator} {SELDOM}"
    run(tmp_path / "first", *words(data, said, "loss=none steps=8 optim.g.lr=1e-2 ema=0.5"))
    frozen = f"freeze=encoder init_from={tmp_path / 'first'} steps=6 r1=1"
    plan = planned(tmp_path / "second", *words(data, said, frozen))
    before = coding_copy(plan.module.codec, None)
    train(plan)
    after = coding_copy(plan.module.codec, None)
    for _, x in plan.data.val_images():
        ours, theirs = parse(write(before, x)), parse(write(after, x))
        assert ours._replace(picture_id=b"") == theirs._replace(picture_id=b"")
        assert ours.picture_id != theirs.picture_id
        assert not torch.equal(before.reconstruct(x).x_hat, after.reconstruct(x).x_hat)
    averaged = checkpoint(tmp_path / "first")["gcn"]["average"]
    moved = {name for name, p in plan.module.codec.named_parameters() if name in averaged and p.requires_grad}
    assert moved
    assert all(name.startswith("g_s") for name in moved)
    assert all(torch.equal(averaged[n], p) for n, p in before.named_parameters() if n in averaged)


@pytest.mark.usefixtures("quick")
def test_another_generator_is_refused_in_one_line(data, tmp_path):
    run(tmp_path / "first", *words(data, "loss=none steps=1", SELDOM))
    for said in ("generator.N=12", "generator=hyperprior", "generator.activation=leaky"):
        with pytest.raises(
            InputError, match=r"last\.ckpt: .*this run's|last\.ckpt: .*lacks|last\.ckpt: "
        ) as refusal:
            planned(tmp_path / "second", *words(data, f"init_from={tmp_path / 'first'}", said))
        assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", ["r1=1 consensus=0.1 relativistic=average", "dynamics=sga"])
def test_bf16(said, data, tmp_path):
    summary = run(tmp_path, *words(data, "steps=4 val_every=4 trainer.precision=bf16", said))
    assert summary["verdict"] == "too short to tell"
    losses = [row[name] for row in rows(tmp_path) for name in ("train/g/total", "train/d/total", "train/bpp")]
    assert all(map(math.isfinite, losses))
    assert {tensor.dtype for tensor in weights(tmp_path).values() if tensor.is_floating_point()} == {
        torch.float32
    }


@pytest.mark.usefixtures("quick")
def test_the_best_checkpoint_is_of_the_best_validation(data, tmp_path, monkeypatch):
    values, validate = iter([3.0, 5.0, 4.0, math.nan]), Record._validate

    def graded(self, *args):
        return validate(self, *args) | {"val/psnr": next(values)}

    monkeypatch.setattr(Record, "_validate", graded)
    run(tmp_path, *words(data, "steps=4 val_every=1 checkpoint_every=4"))
    assert checkpoint(tmp_path, "best.ckpt")["global_step"] == 2
    assert checkpoint(tmp_path)["global_step"] == 4


@pytest.mark.slow
def test_what_the_terminal_shows(data, tmp_path, monkeypatch):
    """A run without a W&B key, in a folder of its own; tests/commands/test_wheel.py hears what imports might say."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = [word for word in words(data, "steps=4") if not word.startswith("logger=")]
    process = quick_script(SCRIPT, said, cwd=tmp_path)
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err
    first, second, *table = out.splitlines()
    assert first.startswith("training ")
    assert second.startswith("validation ")
    assert [line.split()[0] for line in table[:2]] == ["steps", "verdict"]
    assert {line.split()[0] for line in table} >= set(REQUIRED)
    lines = [
        line for line in err.replace("\r", "\n").splitlines() if line and not line.startswith("training:")
    ]
    assert len(lines) == 1, lines
    assert lines[0].startswith(
        "W&B: offline (no key; `wandb login` stores one); to upload the run later: wandb sync"
    )
    (folder,) = (tmp_path / "outputs").glob("*/*")
    assert {path.name for path in folder.iterdir()} == {
        "summary.json", "metrics.csv", "config.yaml", "curves.png", "panels", "checkpoints", "wandb",
        "wandb_id.txt", ".hydra", "codec.safetensors", "train.log",
    }  # fmt: skip
