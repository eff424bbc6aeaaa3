"""Lattice index: regular patterns of period 2, 4, 8 and 16 pixels, as upsampling by strides leaves them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PERIODS = (2, 4, 8, 16)
TILE = 64  # pixels a side of the tiles whose spectra are averaged
ROUNDING = 1 / 255**2 / 12  # variance of the rounding to 8 bits


class LatticeIndex(NamedTuple):
    """Excess power of each of ``PERIODS`` (4,), 1 = as in the photographs, and their standard errors as factors."""

    ratio: Tensor
    factor: Tensor


def lattice_power(image: Tensor) -> Tensor:
    """Power (2, 4) of an image (C, H, W) at the frequencies of each period, and of their neighbourhoods.

    Welch's spectrum over tiles of 64 pixels with a Hann window, mean over tiles and channels. Frequencies of period p
    are the multiples of 1/p cycles per pixel in both directions that no shorter period has: 3, 12, 48 and 192 of
    them. Row 0 is their total power, in squares of the image's unit: a checkerboard of ±a has a² at its period. Row 1
    is what they would have if their power were the mean of the bins two away on all sides, which the window keeps
    clear of them. The power that rounding to 8 bits adds is added to both, so that a flat image is defined.

    NaN for images smaller than a tile.
    """
    if min(image.shape[-2:]) < TILE:
        return torch.full((2, len(PERIODS)), math.nan)
    tiles = image.detach().double().unfold(1, TILE, TILE).unfold(2, TILE, TILE)  # (C, rows, columns, 64, 64)
    tiles = tiles - tiles.mean((-1, -2), keepdim=True)
    one = torch.hann_window(TILE, dtype=torch.double).to(image.device)
    window = one[:, None] * one
    spectrum = torch.zeros(TILE, TILE, dtype=torch.double)
    for row in tiles.unbind(1):  # a row of tiles at once
        spectrum += torch.fft.fft2(row * window).abs().square().sum((0, 1)).cpu() / tiles[..., 0, 0].numel()
    spectrum = spectrum / window.sum().cpu() ** 2
    ring = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if max(abs(i), abs(j)) == 2]
    around = torch.stack([spectrum.roll(shift, (0, 1)) for shift in ring]).mean(0)
    least = ROUNDING * (window.square().sum() / window.sum().square()).cpu()
    masks = _frequencies()
    return torch.stack([(masks * (power + least)).sum((1, 2)) for power in (spectrum, around)])


def _frequencies() -> Tensor:
    """Masks (4, 64, 64) of the bins that belong to each period."""
    largest = PERIODS[-1]
    k = range(largest)
    period = torch.tensor([[largest // math.gcd(math.gcd(i, j), largest) for j in k] for i in k])
    masks = torch.zeros(len(PERIODS), TILE, TILE, dtype=torch.double)
    step = TILE // largest
    for mask, own in zip(masks, PERIODS, strict=True):
        mask[::step, ::step] = (period == own).double()
    return masks


def lattice_index(real: Sequence[Tensor], fake: Sequence[Tensor]) -> LatticeIndex:
    """Lattice index of reconstructions: power over that of the neighbourhood, over the same ratio of the photographs.

    The geometric mean over images of (P'/N') / (P/N). The neighbourhood is in it because blur lowers and noise raises
    the power at these frequencies as at all others; a lattice raises theirs alone.

    Args:
        real: of each image, as from `lattice_power`.
        fake: of its reconstruction, in the same order.

    NaN where no image is as large as a tile.
    """
    logs = [b[0].log() - b[1].log() - a[0].log() + a[1].log() for a, b in zip(real, fake, strict=True)]
    known = [one for one in logs if bool(torch.isfinite(one).all())]
    if not known:
        nothing = torch.full((len(PERIODS),), math.nan, dtype=torch.double)
        return LatticeIndex(nothing, nothing)
    values = torch.stack(known)
    error = values.std(0) / math.sqrt(len(known)) if len(known) > 1 else torch.full_like(values[0], math.nan)
    return LatticeIndex(values.mean(0).exp(), error.exp())
