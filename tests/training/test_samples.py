"""Runs of a standard GAN, generator=dcgan: no original, no code, no rate."""

import json
import math

import pytest
import torch
from runs import assert_same_run, copied_at, images, run

from gcn.coding.run_codec import of_run
from gcn.data.folder import Folder
from gcn.errors import InputError
from gcn.metrics.realism import sliced_wasserstein
from gcn.models.dcgan import DCGAN
from gcn.report.metrics_table import MetricsTable
from gcn.training import samples

GAN = (
    "generator=dcgan generator.width=2 generator.noise=4 discriminator.width=4 discriminator.depth=2 loss=hinge r1=1 "
    "data=folder data.crop=16 data.batch=4 trainer=cpu trainer.threads=1 logger=csv log_every=2 steps=8 val_every=3 "
    "panel_every=4 checkpoint_every=3"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(samples, "NUMBER", 16)


def test_a_killed_run_goes_on_and_its_summary_has_realism_and_nothing_of_a_codec(data, tmp_path, quick):
    said = [*GAN.split(), f"data.root={data}"]
    reference, folder = tmp_path / "reference", tmp_path / "killed"
    with pytest.MonkeyPatch.context() as patch:
        copied_at(5, patch, reference, folder)
        summary = run(reference, *said)
    run(folder)
    assert_same_run(folder, reference)
    assert [summary[name] for name in ("psnr", "ms_ssim", "bpp", "bpp_actual")] == [None] * 4
    assert summary["swd_floor"] > 0
    assert math.isfinite(summary["swd"])
    assert summary["verdict"] == "too short to tell"
    assert json.loads((folder / "summary.json").read_text())["verdict"] == summary["verdict"]
    columns = {name for row in MetricsTable(reference / "metrics.csv").rows() for name in row}
    assert {"val/swd", "val/swd_floor", "val/jitter", "train/d/logit_gap"} <= columns
    assert not {"val/bpp", "val/psnr", "train/bpp", "train/psnr", "val/dead_channels"} & columns
    assert sorted(path.name for path in (reference / "panels").iterdir()) == ["0000004.png", "0000008.png"]
    assert (reference / "checkpoints" / "best.ckpt").is_file()
    assert not (reference / "codec.safetensors").exists()
    with pytest.raises(InputError, match=r"its generator makes images from noise and codes none"):
        of_run(reference)


def test_the_floor_is_the_distance_between_two_draws_of_real_crops(data):
    reals = samples.RealCrops(Folder(data, crop=16))
    assert len(reals.images) == 16
    assert reals.floor == samples.RealCrops(Folder(data, crop=16)).floor
    torch.manual_seed(0)
    generator = DCGAN(noise=4, width=2, norm="none", side=16).for_coding()
    result = samples.evaluate_samples(generator, reals)
    xs, x_hats = [image.x for image in result.images], [image.x_hat for image in result.images]
    assert all(torch.equal(x, real.x[0]) for x, real in zip(xs, reals.images, strict=True))
    expected = sliced_wasserstein(xs, x_hats, samples.SEED, samples.SLICING)["mean"]
    assert result.values == {"swd": expected, "swd_floor": reals.floor}
    assert expected > reals.floor  # grey images are far from these
