"""Classical codecs as yardsticks."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from gcn.errors import InputError
from gcn.metrics import classical
from gcn.metrics.classical import CODECS, Classical, at_rate, available, chosen, curve, pooled
from gcn.metrics.distortion import psnr, to_uint8

HERE = [codec.name for codec in available()]


@pytest.fixture(scope="module")
def cats():
    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1).float() / 255
    return [cat[:, :150, :200], cat[:, 100:260, 130:300]]


def stub(rates):
    """A codec whose files have a given number of bytes for an image of one pixel, and what it was asked for."""
    asked = []

    def code(self, x, setting):
        asked.append(setting)
        return classical.Coded(rates[setting], x)

    kind = type("Stub", (Classical,), {"code": code})
    steps = tuple(range(len(rates)))
    return kind("stub", "Stub", "STUB", steps, steps, lambda *_: {}), asked


PIXEL = [torch.zeros(3, 1, 1)]


def test_pillow_s_codecs_are_here():
    assert {"jpeg", "webp", "avif", "jpeg2000"} <= set(HERE)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (64, 3)])
def test_odd_sizes_survive(name, size):
    x = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    codec = CODECS[name]
    for setting in (codec.settings[0], codec.settings[-1]):
        coded = codec.code(x, setting)
        assert coded.x_hat.shape == x.shape
        assert coded.file_bytes > 0


@pytest.mark.parametrize("name", HERE)
def test_pixels_are_those_of_the_file(name, cats):
    codec = CODECS[name]
    setting = codec.settings[4]
    file = codec.encode(to_uint8(cats[0]).permute(1, 2, 0).numpy(), setting)
    coded = codec.code(cats[0], setting)
    assert coded.file_bytes == len(file)
    decoded = np.array(Image.open(io.BytesIO(file)).convert("RGB"))
    assert np.array_equal(to_uint8(coded.x_hat).permute(1, 2, 0).numpy(), decoded)
    assert Image.open(io.BytesIO(file)).format == codec.format


@pytest.mark.parametrize("name", HERE)
def test_rate_and_quality_grow_with_every_setting_of_a_curve(name, cats):
    """All of them where coding is cheap: JPEG XL falls back where it starts to halve the resolution."""
    codec = CODECS[name]
    settings = codec.settings[::4] if name == "avif" else codec.settings
    found = [pooled(codec, cats, setting) for setting in settings]
    rates = [bpp for bpp, _ in found]
    quality = [float(psnr(cats[0][None], coded[0].x_hat[None])) for _, coded in found]
    assert all(a < b for a, b in itertools.pairwise(rates))
    assert all(a < b for a, b in itertools.pairwise(quality))


@pytest.mark.parametrize("name", HERE)
def test_settings_are_among_the_steps_or_between_them(name):
    codec = CODECS[name]
    assert list(codec.steps) == sorted(set(codec.steps))
    assert list(codec.settings) == sorted(set(codec.settings))
    assert codec.steps[0] == codec.settings[0]
    assert codec.steps[-1] == pytest.approx(codec.settings[-1], rel=0.02)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("bpp", [0.4, 0.7])
def test_neither_neighbour_is_nearer_to_the_rate_by_more_than_a_percent(name, bpp, cats):
    """A percent, since rates of single steps are not strictly monotone (WebP 48 and 49, JPEG XL 44 and 45)."""
    codec = CODECS[name]
    found = at_rate(codec, cats, bpp)
    assert len(found.coded) == len(cats)
    i = codec.steps.index(found.setting)
    for other in codec.steps[max(0, i - 1) : i + 2]:
        assert abs(math.log(found.bpp / bpp)) <= abs(math.log(pooled(codec, cats, other)[0] / bpp)) + 0.01


@pytest.mark.parametrize("name", HERE)
def test_a_matched_rate_is_within_8_percent(name, cats):
    """The step of AVIF's quantiser; the grids of the curves would miss by up to 20 % here."""
    assert at_rate(CODECS[name], cats, 0.4).bpp == pytest.approx(0.4, rel=0.08)


@pytest.mark.parametrize("target", [1, 10, 11, 100, 444, 1000, 5000])
def test_the_bisection_finds_the_nearest_of_monotone_rates(target):
    rates = [10 + n * n for n in range(31)]
    codec, asked = stub(rates)
    found = at_rate(codec, PIXEL, 8 * target)
    assert found.bpp == 8 * min(rates, key=lambda rate: abs(math.log(rate / target)))
    assert len(asked) == len(set(asked)) <= 5


def test_the_rate_of_all_images_together_is_matched_not_that_of_each():
    codec, _ = stub([1, 2, 4, 8])
    small, large = torch.zeros(3, 1, 1), torch.zeros(3, 1, 7)  # 8 pixels, 2 files of 1, 2, 4 or 8 bytes
    found = at_rate(codec, [small, large], 8.0)
    assert (found.setting, found.bpp) == (2, 8 * (4 + 4) / 8)


def test_the_curve_spans_the_rates(cats):
    rates = [point.bpp for point in curve(CODECS["jpeg"], cats, 0.3, 0.8)]
    assert rates[0] < 0.3 < rates[1]
    assert rates[-2] <= 0.8 < rates[-1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3, 5, [2, 4, 8]), (0.1, 0.5, [1]), (100, 200, [8]), (2, 4, [1, 2, 4, 8]), (1, 100, [1, 2, 4, 8])],
)
def test_a_curve_is_never_empty(low, high, expected):
    codec, _ = stub([1, 2, 4, 8])
    assert [point.bpp / 8 for point in curve(codec, PIXEL, 8 * low, 8 * high)] == expected


def test_psnr_is_that_of_scikit_image_to_a_millionth_of_a_decibel(cats):
    coded = CODECS["jpeg"].code(cats[0], 40)
    pixels = (cats[0] * 255).round().byte().numpy(), (coded.x_hat * 255).round().byte().numpy()
    expected = peak_signal_noise_ratio(*pixels)
    assert float(psnr(cats[0][None], coded.x_hat[None])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bpp", [0.2, 0.5, 2.0])
def test_a_setting_of_jpeg_2000_is_its_rate_to_3_percent(bpp, cats):
    assert pooled(CODECS["jpeg2000"], cats, bpp)[0] == pytest.approx(bpp, rel=0.03)


def test_jpeg_has_fitted_huffman_tables(cats):
    (fitted,) = classical.jpeg_curve(cats, True, [40])
    assert pooled(CODECS["jpeg"], cats, 40)[0] == fitted.bpp


def test_unknown_codecs_are_refused():
    with pytest.raises(InputError, match=r"jpgg: unknown; choose jpeg, webp, avif, jpeg2000, jxl"):
        chosen(["jpgg"])


def test_each_codec_once_in_the_given_order():
    assert [codec.name for codec in chosen(["webp", "jpeg", "webp"])] == ["webp", "jpeg"]


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_that_is_not_installed_says_what_to_do(monkeypatch, name):
    monkeypatch.setattr("gcn.metrics.classical.is_available", lambda _: False)
    with pytest.raises(InputError, match=f"compare={name}: not available here; .*pip install"):
        chosen([name])
    assert available() == []


def test_an_image_too_large_for_the_format_is_one_line():
    with pytest.raises(InputError, match=r"compare=webp: WebP cannot hold .* 16384x1 pixels") as caught:
        CODECS["webp"].code(torch.zeros(3, 1, 16384), 50)
    assert "\n" not in str(caught.value)
