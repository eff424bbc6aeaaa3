import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from gcn.metrics.classical import QUALITIES, Point, jpeg, jpeg_psnr, psnr_at


@pytest.fixture(scope="module")
def cat():
    return torch.from_numpy(data.chelsea()).permute(2, 0, 1).float() / 255


def test_the_file_is_what_pillow_writes_with_its_default_tables(cat):
    buffer = io.BytesIO()
    Image.fromarray(data.chelsea()).save(buffer, "JPEG", quality=50)  # Pillow's default subsampling is 4:2:0
    assert jpeg(cat, 50, optimize=False) == buffer.getvalue()


def points(images, optimize):
    """All qualities with bits over pixels of all files together, and the mean of the images' PSNR in dB."""
    found = []
    for quality in QUALITIES:
        files = [jpeg(x, quality, optimize) for x in images]
        seen = [np.array(Image.open(io.BytesIO(file))).astype(float) for file in files]
        errors = [
            ((x.permute(1, 2, 0).numpy() * 255).round() - y) / 255 for x, y in zip(images, seen, strict=True)
        ]
        psnr = np.mean([-10 * np.log10((error**2).mean()) for error in errors])
        bits, pixels = 8 * sum(map(len, files)), sum(x[0].numel() for x in images)
        found.append(Point(quality, bits / pixels, float(psnr)))
    return found


@pytest.mark.parametrize("optimize", [False, True])
def test_the_psnr_at_a_rate_is_that_of_the_whole_curve(cat, optimize):
    images = [cat[:, :64, :80], cat[:, 100:140, :64]]
    curve = points(images, optimize)
    assert [point.bpp for point in curve] == sorted(point.bpp for point in curve)
    lowest, highest = curve[0].bpp, curve[-1].bpp
    for bpp in (lowest, curve[7].bpp, 1.01 * lowest, 1.9, 2.3, 0.99 * highest, highest):
        assert jpeg_psnr(images, optimize, bpp) == pytest.approx(psnr_at(curve, bpp), abs=1e-5)
    assert math.isnan(jpeg_psnr(images, optimize, 0.99 * lowest))
    assert math.isnan(jpeg_psnr(images, optimize, 1.01 * highest))


def test_fitted_huffman_tables_give_a_better_image_at_the_same_rate(cat):
    plain, fitted = (jpeg_psnr([cat], optimize, 0.5) for optimize in (False, True))
    assert fitted > plain + 0.1


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
