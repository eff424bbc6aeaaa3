"""Classical codecs as yardsticks."""

import functools
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
from gcn.metrics.classical import CODECS, at_rate, available, chosen, curve, decode
from gcn.metrics.fidelity import psnr, to_uint8

HERE = [codec.name for codec in available()]


@pytest.fixture(scope="module")
def cats():
    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1).float() / 255
    return [cat[:, :150, :200]]


def pixels_of(x):
    return to_uint8(x).permute(1, 2, 0).numpy()


def decoded(file):
    """Pixels (3, H, W) of a file."""
    return torch.from_numpy(decode(file, grey=False)).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="module")
def files_of(cats):
    """The files of all cats by a codec's name and a setting; each is coded once for all tests."""
    return functools.cache(lambda name, setting: [CODECS[name].encode(pixels_of(x), setting) for x in cats])


@pytest.fixture(scope="module")
def rate_of(cats, files_of):
    """Bits per pixel of all cats together as a function of the setting."""
    pixels = sum(x.shape[-2] * x.shape[-1] for x in cats)
    return lambda codec: lambda setting: 8 * sum(map(len, files_of(codec.name, setting))) / pixels


def test_pillow_s_codecs_are_here():
    assert {"jpeg", "webp", "avif", "jpeg2000"} <= set(HERE)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (64, 3)])
def test_odd_sizes_survive(name, size):
    x = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    codec = CODECS[name]
    for setting in (codec.settings[0], codec.settings[-1]):
        file = codec.encode(pixels_of(x), setting)
        assert decoded(file).shape == x.shape
        assert len(file) > 0


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (60, 80)])
def test_a_grey_image_comes_back_as_one_channel(name, size):
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size).astype(np.uint8)
    codec = CODECS[name]
    found = decode(codec.encode(ramp, codec.settings[-1]), grey=True)
    assert found.shape == size
    assert abs(found.astype(int) - ramp).mean() < 6


def test_a_grey_image_costs_jpeg_2000_the_rate_that_was_asked_for():
    grey = data.camera()[:256, :256]
    assert 8 * len(CODECS["jpeg2000"].encode(grey, 0.5)) / grey.size == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("name", HERE)
def test_pixels_are_those_of_the_file(name, cats):
    codec = CODECS[name]
    file = codec.encode(pixels_of(cats[0]), codec.settings[4])
    assert np.array_equal(decode(file, grey=False), np.array(Image.open(io.BytesIO(file)).convert("RGB")))
    assert Image.open(io.BytesIO(file)).format == codec.format


@pytest.mark.parametrize("name", HERE)
def test_rate_and_quality_grow_with_every_setting_of_a_curve(name, cats, files_of, rate_of):
    """All of them where coding is cheap: JPEG XL falls back where it starts to halve the resolution."""
    codec = CODECS[name]
    settings = codec.settings[::4] if name == "avif" else codec.settings
    rates = list(map(rate_of(codec), settings))
    quality = [float(psnr(cats[0][None], decoded(files_of(name, s)[0])[None])) for s in settings]
    assert all(a < b for a, b in itertools.pairwise(rates))
    assert all(a < b for a, b in itertools.pairwise(quality))


@pytest.mark.parametrize("name", HERE)
def test_settings_are_among_the_steps_or_between_them(name):
    codec = CODECS[name]
    assert list(codec.steps) == sorted(set(codec.steps))
    assert list(codec.settings) == sorted(set(codec.settings))
    assert codec.steps[0] == codec.settings[0]
    assert codec.steps[-1] == pytest.approx(codec.settings[-1], rel=0.02)


@pytest.mark.parametrize(
    ("name", "bpp"), [*((name, 0.4) for name in HERE), ("jpeg", 0.7), ("webp", 0.7), ("jpeg2000", 0.7)]
)
def test_neither_neighbour_is_nearer_to_the_rate_by_more_than_a_percent(name, bpp, rate_of):
    """A percent, since rates of single steps are not strictly monotone (WebP 48 and 49, JPEG XL 44 and 45)."""
    codec = CODECS[name]
    rate = rate_of(codec)
    setting, found = at_rate(codec.steps, rate, bpp)
    i = codec.steps.index(setting)
    for other in codec.steps[max(0, i - 1) : i + 2]:
        assert abs(math.log(found / bpp)) <= abs(math.log(rate(other) / bpp)) + 0.01


@pytest.mark.parametrize("name", HERE)
def test_a_matched_rate_is_within_8_percent(name, rate_of):
    """The step of AVIF's quantiser; the grids of the curves would miss by up to 20 % here."""
    codec = CODECS[name]
    assert at_rate(codec.steps, rate_of(codec), 0.4)[1] == pytest.approx(0.4, rel=0.08)


@pytest.mark.parametrize("target", [1, 10, 11, 100, 444, 1000, 5000])
def test_the_bisection_finds_the_nearest_of_monotone_rates(target):
    rates, asked = [10 + n * n for n in range(31)], []

    def rate(step):
        asked.append(step)
        return rates[step]

    step, found = at_rate(range(len(rates)), rate, target)
    assert found == rates[step] == min(rates, key=lambda rate: abs(math.log(rate / target)))
    assert len(asked) == len(set(asked)) <= 5


def test_the_curve_spans_the_rates(rate_of):
    rate = rate_of(CODECS["jpeg"])
    rates = [rate(setting) for setting in curve(CODECS["jpeg"].settings, rate, 0.3, 0.8)]
    assert rates[0] < 0.3 < rates[1]
    assert rates[-2] <= 0.8 < rates[-1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3, 5, [2, 4, 8]), (0.1, 0.5, [1]), (100, 200, [8]), (2, 4, [1, 2, 4, 8]), (1, 100, [1, 2, 4, 8])],
)
def test_a_curve_is_never_empty(low, high, expected):
    assert list(curve([1, 2, 4, 8], float, low, high)) == expected


def test_psnr_is_that_of_scikit_image_to_a_millionth_of_a_decibel(cats, files_of):
    x_hat = decoded(files_of("jpeg", 40)[0])
    pixels = (cats[0] * 255).round().byte().numpy(), (x_hat * 255).round().byte().numpy()
    expected = peak_signal_noise_ratio(*pixels)
    assert float(psnr(cats[0][None], x_hat[None])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bpp", [0.2, 0.5, 2.0])
def test_a_setting_of_jpeg_2000_is_its_rate_to_3_percent(bpp, rate_of):
    assert rate_of(CODECS["jpeg2000"])(bpp) == pytest.approx(bpp, rel=0.03)


def test_jpeg_has_fitted_huffman_tables(cats, rate_of):
    bits = 8 * sum(len(classical.jpeg(cat, 40, optimize=True)) for cat in cats)
    assert rate_of(CODECS["jpeg"])(40) == bits / sum(cat[0].numel() for cat in cats)


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
        CODECS["webp"].encode(np.zeros((1, 16384, 3), np.uint8), 50)
    assert "\n" not in str(caught.value)
