import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_msssim import ms_ssim as five_scales
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gcn.metrics.fidelity import decibels, ms_ssim, ms_ssim_scales, psnr, squared_error, to_uint8


def images(batch=2, height=176, width=192, seed=0):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_psnr_of_a_constant_error_is_exact():
    x = torch.full((1, 3, 8, 8), 0.5)
    assert psnr(x, x + 0.1).item() == pytest.approx(20.0, abs=1e-5)
    assert psnr(x, x).item() == math.inf


def test_psnr_is_per_image_and_clamps():
    x = torch.ones(2, 3, 4, 4)
    x_hat = torch.stack([torch.full((3, 4, 4), 7.0), torch.full((3, 4, 4), 0.9)])
    assert psnr(x, x_hat)[0] == math.inf
    assert psnr(x, x_hat)[1].item() == pytest.approx(20.0, abs=1e-5)


def test_psnr_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match="psnr"):
        psnr(torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 4, 4))


def test_pixels_are_rounded_to_nearest():
    values = torch.tensor([-1.0, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 2.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


@given(st.integers(0, 255))
def test_8_bit_values_survive(value):
    assert to_uint8(torch.tensor(value / 255)).item() == value


def test_five_scales_agree_with_the_library():
    x, x_hat = images(), (images() + 0.2 * images(seed=1)).clamp(0, 1)
    expected = five_scales(x, x_hat, data_range=1.0, size_average=False)
    torch.testing.assert_close(ms_ssim(x, x_hat), expected)


@pytest.mark.parametrize(
    ("side", "scales"), [(10, 0), (11, 1), (20, 1), (21, 2), (80, 3), (81, 4), (160, 4), (161, 5)]
)
def test_as_many_scales_as_fit(side, scales):
    assert ms_ssim_scales(side, 500) == ms_ssim_scales(500, side) == scales


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 100), st.integers(1, 100))
def test_ms_ssim_of_equal_images_is_one_or_nan_where_nothing_fits(height, width):
    x = images(1, height, width)
    value = ms_ssim(x, x).item()
    assert math.isnan(value) if min(height, width) < 11 else value == pytest.approx(1.0, abs=1e-5)


def test_ms_ssim_of_an_inverted_image_is_finite():
    x = images(1, 64, 64)
    assert 0 <= ms_ssim(x, 1 - x).item() < 0.2


def photo(height, width):
    """Something smooth with an edge, (1, 3, H, W), and a noisy copy of it."""
    rows, columns = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 5, width), indexing="ij")
    x = torch.stack([(rows.sin() + 1) / 2, (columns.cos() + 1) / 2, (rows > columns).float()])[None]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x, (x + 0.05 * noise).clamp(0, 1)


@pytest.mark.parametrize("size", [(176, 192), (250, 321)])
def test_five_scales_of_a_photo_are_those_of_pytorch_msssim_to_a_fifty_thousandth(size):
    """Wang's five weights sum up to 1.0001; ours are divided by that."""
    x, x_hat = photo(*size)
    assert ms_ssim(x, x_hat).item() == pytest.approx(five_scales(x, x_hat, data_range=1.0).item(), abs=2e-5)


def as_numpy(x):
    return x[0].permute(1, 2, 0).double().numpy()


def test_psnr_is_that_of_scikit_image_to_a_billionth_of_a_decibel():
    x, x_hat = photo(37, 53)
    expected = peak_signal_noise_ratio(as_numpy(x), as_numpy(x_hat), data_range=1)
    assert psnr(x, x_hat).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [(11, 11), (20, 33), (15, 200)])
def test_one_scale_is_the_ssim_of_scikit_image_to_a_hundred_thousandth(size):
    """float32 against float64; Wang's window, and only where it lies inside the image, in both."""
    x, x_hat = photo(*size)
    assert ms_ssim_scales(*size) == 1
    expected = structural_similarity(
        as_numpy(x), as_numpy(x_hat), data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, win_size=11,
    )  # fmt: skip
    assert ms_ssim(x, x_hat).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [(176, 192), (250, 321)])
def test_five_scales_of_a_grey_image_are_those_of_torchmetrics_to_a_thousandth(size):
    """torchmetrics counts the mirrored border in the last scale's similarity, and cuts odd sides that ours pads."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    x, x_hat = (t[:, :1] for t in photo(*size))
    expected = multiscale_structural_similarity_index_measure(x, x_hat, data_range=1.0).item()
    assert ms_ssim(x, x_hat).item() == pytest.approx(expected, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(11, 200), st.integers(11, 200), st.integers(0, 255), st.integers(0, 2**32))
def test_ms_ssim_is_never_above_one(height, width, level, seed):
    """Flat images with a few pixels beside: in float32 their contrast came out above 1."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    x = torch.full((1, 3, height, width), level / 255)
    assert 0 <= ms_ssim(x, ((level + (noise < 0.02)) / 255).clamp(max=1)).item() <= 1


def test_the_error_of_8_bit_images_is_exact(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 33, 21, 3), dtype=np.uint8)
    expected = float(((a.astype(float) - b) ** 2).mean())
    for strip in (1, 200, 2**20):
        monkeypatch.setattr("gcn.metrics.fidelity._STRIP", strip)
        assert squared_error(a, b) == pytest.approx(expected, rel=1e-12)
        assert squared_error(a, a) == 0
    assert decibels(squared_error(a, b)) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-9)
    assert decibels(0.0) == math.inf
    with pytest.raises(ValueError, match="one shape"):
        squared_error(a, b[:1])
