"""Validation images of any size: a run measures what can be measured, says what cannot, and never stops at a panel."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from runs import images, run, words

from gcn.config.assemble import game as assemble
from gcn.config.parse import parse
from gcn.data.loader import Data, WholeImages
from gcn.errors import InputError
from gcn.report.plots import panel
from gcn.training.panels import panel_row
from gcn.training.sizes import check_sizes
from gcn.training.validate import against_jpeg, coding_copy, evaluate, logit_map

SMALL = ["generator.N=8", "generator.M=8", "discriminator.width=4", "data.crop=32", "data.batch=2", "mse=1"]
GAMES = (
    "discriminator.depth=4 discriminator.norm=instance",
    "generator=factorized discriminator.depth=1",
    "generator=hyperprior discriminator.depth=2 discriminator.condition=false",
    "generator=tiny discriminator.depth=3",
    "loss=none",
)


@cache
def game(said):
    made, _ = assemble(parse([*SMALL, *said.split()]))
    return made, coding_copy(made.generator, None)


class Given(Data):
    """Validation images of given sizes."""

    def __init__(self, sizes):
        super().__init__(32, 2, 0)
        random = np.random.default_rng(0)
        self.val = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
        self.val_names = [f"{i}.png" for i in range(len(sizes))]


SIDES = st.integers(1, 40) | st.integers(1, 180)


@settings(max_examples=8, deadline=None)
@given(said=st.sampled_from(GAMES), sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3))
@example(said=GAMES[0], sizes=[(1, 1)])
@example(said=GAMES[0], sizes=[(15, 16), (8, 8)])
@example(said=GAMES[3], sizes=[(7, 40), (180, 1), (16, 16)])
def test_every_size_is_validated_and_drawn(said, sizes, tmp_path_factory):
    made, codec = game(said)
    data = Given(sizes)
    lines = check_sizes(data, made)
    assert all("\n" not in line for line in lines)
    result = evaluate(codec, WholeImages(data.val, data.val_names), torch.device("cpu"), files=True)
    values = result.values | against_jpeg(result)
    measured = {"MS-SSIM": "ms_ssim", "the sliced Wasserstein distance": "swd"}
    for what, name in measured.items():
        small = next((line for line in lines if f"too small for {what}" in line), "")
        every = all(f"{image} (" in small for image in data.val_names)
        assert math.isnan(values[name]) == every
    assert math.isfinite(values["psnr"])
    rows = []
    for image in result.images:
        logits = logit_map(made, codec, image, torch.device("cpu"))
        line = next((line for line in lines if "discriminator's map" in line), "")
        assert (logits is None) == (f"{image.name} (" in line)
        rows.append(panel_row(image, logits))
    assert panel(tmp_path_factory.getbasetemp() / "panel.png", rows).stat().st_size


@pytest.mark.parametrize("size", [(65_501, 1), (1, 70_000)])
def test_an_image_that_no_file_holds_is_refused_before_the_first_update(size):
    with pytest.raises(
        InputError, match=r"validation image 1\.png has \d+x\d+ pixels.* scale it down"
    ) as refusal:
        check_sizes(Given([(9, 9), size]), game(GAMES[0])[0])
    assert "\n" not in str(refusal.value)


def test_the_longest_image_that_is_accepted_passes_all_metrics():
    data = Given([(1, 65_500)])
    check_sizes(data, game(GAMES[3])[0])
    result = evaluate(
        game(GAMES[3])[1], WholeImages(data.val, data.val_names), torch.device("cpu"), files=True
    )
    against_jpeg(result)


@pytest.mark.parametrize("val_root", [True, False], ids=["val_root", "held out"])
def test_a_run_with_the_smallest_images_ends_with_a_summary(val_root, tmp_path, capsys):
    data = images(tmp_path / "data")
    for i, size in enumerate([(1, 1), (7, 5), (3, 300)]):
        Image.new("RGB", size, "red").save(data / "val" / f"{i}.png")
    said = "data.val_share=0.6" if not val_root else f"data.val_root={data / 'val'}"
    root = data / "train" if val_root else data / "val"
    summary = run(tmp_path / "run", *words(root, "steps=1", said))
    assert summary["steps"] == 1
    assert math.isfinite(summary["psnr"])
    assert summary["bpp_actual"] > 0
    assert (tmp_path / "run" / "panels" / "0000001.png").exists()
    assert "validation: too small for MS-SSIM, and left out there: " in capsys.readouterr().err
