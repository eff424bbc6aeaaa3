"""Classical codecs as yardsticks."""

import itertools

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from gcn.errors import InputError
from gcn.metrics.classical import CODECS, at_rate, chosen, curve, is_available, pooled
from gcn.metrics.distortion import psnr

HERE = [name for name, codec in CODECS.items() if is_available(codec)]


@pytest.fixture(scope="module")
def cats():
    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1).float() / 255
    return [cat[:, :150, :200], cat[:, 100:260, 130:300]]


def test_pillow_s_codecs_are_here():
    assert {"jpeg", "webp", "avif", "jpeg2000"} <= set(HERE)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (64, 3)])
def test_odd_sizes_survive(name, size):
    x = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    codec = CODECS[name]
    coded = codec.code(x, codec.settings[-1])
    assert coded.x_hat.shape == x.shape
    assert coded.file_bytes > 0


@pytest.mark.parametrize("name", HERE)
def test_rate_and_quality_grow_with_the_setting(name, cats):
    codec = CODECS[name]
    settings = codec.settings[2:-2:4]
    found = [pooled(codec, cats, setting) for setting in settings]
    rates = [bpp for bpp, _ in found]
    quality = [float(psnr(cats[0][None], coded[0].x_hat[None])) for _, coded in found]
    assert all(a < b for a, b in itertools.pairwise(rates))
    assert all(a < b for a, b in itertools.pairwise(quality))


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("bpp", [0.25, 0.7])
def test_no_other_setting_is_nearer_to_the_rate(name, bpp, cats):
    codec = CODECS[name]
    found = at_rate(codec, cats, bpp)
    i = codec.settings.index(found.setting)
    for other in codec.settings[max(0, i - 1) : i + 2]:
        assert abs(np.log(found.bpp / bpp)) <= abs(np.log(pooled(codec, cats, other)[0] / bpp)) + 1e-12


def test_the_curve_spans_the_rates(cats):
    rates = [point.bpp for point in curve(CODECS["jpeg"], cats, 0.3, 0.8)]
    assert rates[0] < 0.3 < rates[1]
    assert rates[-2] <= 0.8 < rates[-1]


def test_psnr_is_that_of_scikit_image(cats):
    coded = CODECS["jpeg"].code(cats[0], 40)
    pixels = (cats[0] * 255).round().byte().numpy(), (coded.x_hat * 255).round().byte().numpy()
    assert float(psnr(cats[0][None], coded.x_hat[None])) == pytest.approx(
        peak_signal_noise_ratio(*pixels), abs=1e-3
    )


def test_unknown_codecs_are_refused():
    with pytest.raises(InputError, match=r"jpgg: unknown; choose jpeg, webp"):
        chosen(["jpgg"])


def test_a_codec_that_is_not_installed_says_what_to_do(monkeypatch):
    monkeypatch.setattr("gcn.metrics.classical.is_available", lambda _: False)
    with pytest.raises(InputError, match="pip install"):
        chosen(["jxl"])
