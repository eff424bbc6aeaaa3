"""Distortion between an image and its reconstruction, per image.

The functions of tensors clamp ``x_hat`` to [0, 1] themselves, because a file can hold nothing else. They do not round
to 8 bits: a caller who reports what a viewer would see passes tensors that were rounded already
(``to_uint8(x) / 255``).
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim  # its ms_ssim refuses fewer than five scales
from torch import Tensor

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
MS_SSIM_WINDOW = 11
_STRIP = 2**20  # values of which differences are held at once


def to_uint8(x: Tensor) -> Tensor:
    """The 8-bit pixels of an image in [0, 1]: clamped, rounded to nearest, uint8, same shape."""
    return x.detach().clamp(0, 1).mul(255).round().to(torch.uint8)


def squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean squared error of 8-bit images of one shape, (H, W) or (H, W, C), in grey levels²; 0 for equal ones only.

    The sum is one of whole numbers, and taken in strips: it needs no memory that grows with the image.
    """
    if a.shape != b.shape:
        raise ValueError(f"squared_error takes two images of one shape, got {a.shape} and {b.shape}")
    total, rows = 0, max(1, _STRIP // math.prod(a.shape[1:]))
    for top in range(0, len(a), rows):
        strip = a[top : top + rows].astype(np.int64) - b[top : top + rows]
        total += int((strip * strip).sum())
    return total / a.size


def decibels(error: float) -> float:
    """PSNR of a mean squared error in grey levels²; infinite for 0, NaN for NaN."""
    return 10 * math.log10(255**2 / error) if error else math.inf


def psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, −10·log10(MSE) with peak 1, over channels and pixels together.

    Args:
        x: images in [0, 1], (B, C, H, W).
        x_hat: reconstructions, (B, C, H, W), clamped here.

    Returns:
        (B,) in dB, float64; infinite where the images are equal. A mean over images is a mean of decibels.
    """
    if x.shape != x_hat.shape or x.dim() != 4:
        raise ValueError(
            f"psnr takes two (B, C, H, W) tensors, got {tuple(x.shape)} and {tuple(x_hat.shape)}"
        )
    error = x.detach().double() - x_hat.detach().double().clamp(0, 1)
    return -10 * error.square().mean(dim=(1, 2, 3)).log10()


def ms_ssim_scales(height: int, width: int) -> int:
    """Number of scales of MS-SSIM that fit an image, 0 to 5.

    After the halvings before it, each scale needs 11 pixels for the window: five take 161 pixels, one takes
    11.
    """
    side, scales = min(height, width), 0
    while scales < len(MS_SSIM_WEIGHTS) and side >= MS_SSIM_WINDOW:
        scales += 1
        side = (side + 1) // 2  # odd sides are padded by one before the 2x2 average
    return scales


def ms_ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    """Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003) by pytorch-msssim.

    Uses ``ms_ssim_scales(H, W)`` scales, the finest ones, with Wang's weights renormalised to a sum of 1:
    numbers from images below 161 pixels are therefore not comparable with the usual five-scale numbers.
    Contrast and similarity lie between 0 and 1 before the powers. Negative ones would become NaN. None is above
    1 (Cauchy-Schwarz), but in float32 E[x²] - E[x]² loses the digits of flat areas: 1.00007 came out.

    Args:
        x: images in [0, 1], (B, C, H, W).
        x_hat: reconstructions, (B, C, H, W), clamped here.

    Returns:
        (B,) without unit, at most 1 (equal images); NaN where not even one scale fits (a side below 11
        pixels).
    """
    x, x_hat = x.detach().float(), x_hat.detach().float().clamp(0, 1)
    scales = ms_ssim_scales(*x.shape[-2:])
    if scales == 0:
        return torch.full((x.shape[0],), float("nan"), device=x.device)
    window = _fspecial_gauss_1d(MS_SSIM_WINDOW, 1.5).repeat(x.shape[1], 1, 1, 1).to(x)
    total = sum(MS_SSIM_WEIGHTS[:scales]) if scales < len(MS_SSIM_WEIGHTS) else 1.0  # they sum to 1.0001
    value = x.new_ones(x.shape[:2])  # (B, C)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS[:scales]):
        similarity, contrast = _ssim(x, x_hat, data_range=1.0, win=window)
        last = scale == scales - 1
        value = value * (similarity if last else contrast).clamp(0, 1) ** (weight / total)
        if not last:
            padding = [side % 2 for side in x.shape[-2:]]
            x, x_hat = F.avg_pool2d(x, 2, padding=padding), F.avg_pool2d(x_hat, 2, padding=padding)
    return value.mean(dim=1)
