import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from gcn.metrics.classical import Point, jpeg, jpeg_curve, psnr_at


@pytest.fixture(scope="module")
def cat():
    return torch.from_numpy(data.chelsea()).permute(2, 0, 1).float() / 255


def test_the_file_is_what_pillow_writes_with_its_default_tables(cat):
    file, decoded = jpeg(cat, 50, optimize=False)
    buffer = io.BytesIO()
    Image.fromarray(data.chelsea()).save(buffer, "JPEG", quality=50)  # Pillow's default subsampling is 4:2:0
    assert file == buffer.getvalue()
    assert np.array_equal(
        decoded.permute(1, 2, 0).mul(255).round().byte().numpy(), np.array(Image.open(buffer))
    )


def test_rate_is_pooled_and_psnr_is_a_mean(cat):
    small = cat[:, :64, :64]
    (a,), (b,), (both,) = (jpeg_curve(images, False, [30]) for images in ([cat], [small], [cat, small]))
    pixels = cat[0].numel(), small[0].numel()
    assert both.bpp == pytest.approx((a.bpp * pixels[0] + b.bpp * pixels[1]) / sum(pixels))
    assert both.psnr == pytest.approx((a.psnr + b.psnr) / 2)


def test_fitted_huffman_tables_cost_fewer_bits_for_the_same_pixels(cat):
    plain, fitted = (jpeg_curve([cat], optimize, [10, 40, 80]) for optimize in (False, True))
    assert all(b.bpp < a.bpp and b.psnr == a.psnr for a, b in zip(plain, fitted, strict=True))
    assert [point.bpp for point in plain] == sorted(point.bpp for point in plain)


def test_interpolation_is_linear_in_the_logarithm_of_the_rate():
    curve = [Point(10, 0.1, 20.0), Point(50, 0.4, 30.0), Point(90, 1.6, 32.0)]
    assert psnr_at(curve, 0.2) == pytest.approx(25.0)
    assert psnr_at(curve, 0.4) == 30.0
    assert psnr_at(list(reversed(curve)), 0.8) == pytest.approx(31.0)


def test_extrapolation_is_refused():
    curve = [Point(10, 0.1, 20.0), Point(50, 0.4, 30.0)]
    assert psnr_at(curve, 0.1) == 20.0
    assert math.isnan(psnr_at(curve, 0.0999))
    assert math.isnan(psnr_at(curve, 0.41))
    assert math.isnan(psnr_at([], 0.3))
