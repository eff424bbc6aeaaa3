"""Sliced Wasserstein distance: realism without learned weights.

No network judges here, so the number needs no download and cannot be gamed by a loss that uses the same network. It
sees blur, noise and wrong texture statistics at each scale; it is nearly blind to blockiness. Between images and their
own reconstructions patches come from the same places, so it cannot exceed the paired error: a distortion loss lowers it
too, and it follows PSNR closely. Read it against the floor that two sets of real images have between them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COARSEST = 16  # pixels: Karras et al. stop at the level of 16x16
ROUNDING = 1 / 255 / 12**0.5  # deviation of the rounding to 8 bits: the least that patches are divided by

Patches = list[Tensor]  # of one image, a tensor (patches, C · p · p) for each level of its pyramid


@dataclass(frozen=True)
class Slicing:
    """Parameters of the distance; the defaults are those of Karras et al. 2018."""

    patch: int = 7  # pixels, on every level
    patches: int = 128  # per image and level
    directions: int = 512
    levels: int = 4  # at most; fewer where an image is too small


def _generator(seed: int, *key: int | str) -> torch.Generator:
    digest = hashlib.blake2b(repr((seed, *key)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def _blur(x: Tensor, gain: float, step: int = 1) -> Tensor:
    """Binomial filter [1 4 6 4 1] · gain/16 in both directions, reflected at the border, at every ``step``-th pixel."""
    rest = slice(None, None, step)
    for axis, padding, kept in (
        (-1, (2, 2, 0, 0), (..., rest)),
        (-2, (0, 0, 2, 2), (..., rest, slice(None))),
    ):
        padded, size = F.pad(x, padding, "reflect"), x.shape[axis]
        a, b, c, d, e = (padded.narrow(axis, shift, size)[kept] for shift in range(5))
        x = c.mul(6).add_(b, alpha=4).add_(d, alpha=4).add_(a).add_(e).mul_(gain / 16)
    return x


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Burt & Adelson's pyramid of (B, C, H, W): band-passes, finest first, and a last low-pass.

    Summing up (upsampling level by level) restores ``x`` exactly. Stops early, so that no level but a single
    one has a side below 16 pixels.
    """
    pyramid: list[Tensor] = []
    while len(pyramid) < levels - 1 and min(x.shape[-2:]) >= 2 * COARSEST:
        low = _blur(x, 1.0, step=2)
        pyramid.append(x - expand(low, x.shape[-2:]))
        x = low
    return [*pyramid, x]


def expand(low: Tensor, size: Sequence[int]) -> Tensor:
    """The image at twice the size: zeros between its pixels, then the binomial filter with gain 2 a direction."""
    up = low.new_zeros(*low.shape[:-2], *size)
    up[..., ::2, ::2] = low
    return _blur(up, 2.0)


def describe(image: Tensor, index: int, seed: int, options: Slicing) -> Patches:
    """Patches of every level of an image (C, H, W): all that the distance needs of it, whatever its size.

    Args:
        image: in [0, 1], clamped here.
        index: of the image; the places of the patches depend on it and on the seed, not on the pixels.
        seed: key of the places.
        options: how many patches, and how large.
    """
    size = options.patch
    x = image.detach().float().clamp(0, 1)[None]
    found = []
    for level, band in enumerate(laplacian_pyramid(x, options.levels)):
        rows, columns = band.shape[-2] - size + 1, band.shape[-1] - size + 1
        if min(rows, columns) < 1:
            break
        generator = _generator(seed, "places", index, level)
        top = torch.randint(rows, (options.patches,), generator=generator)
        left = torch.randint(columns, (options.patches,), generator=generator)
        windows = band[0].unfold(1, size, 1).unfold(2, size, 1)  # (C, rows, columns, p, p)
        found.append(windows[:, top, left].transpose(0, 1).flatten(1))
    return found


def _pooled(images: Sequence[Patches], levels: int) -> list[Tensor]:
    """The patches of all images for each level; small images have fewer levels."""
    return [
        torch.cat(level) for i in range(levels) if (level := [image[i] for image in images if len(image) > i])
    ]


def _distance(a: Tensor, b: Tensor, generator: torch.Generator, directions: int) -> float:
    """Mean over random directions of the 1-Wasserstein distance of the projections of (N, d) and (N, d)."""
    axes = torch.randn(a.shape[1], directions, generator=generator).to(a)
    axes = axes / axes.norm(dim=0, keepdim=True)
    return float((_sorted(axes.T @ a.T) - _sorted(axes.T @ b.T)).abs().mean())


def _sorted(rows: Tensor) -> Tensor:
    """Each row sorted; on the CPU by numpy, whose vectorised sort takes a tenth of torch's time."""
    if rows.is_cpu:
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(dim=1).values


def _normalised(a: Tensor, by: Tensor, channels: int) -> Tensor:
    """Each colour channel shifted and scaled by mean and standard deviation of the reference's patches.

    A deviation below that of rounding counts as this one: a flat channel would divide by zero.
    """
    by = by.view(len(by), channels, -1)
    mean, std = by.mean(dim=(0, 2)).view(1, -1, 1), by.std(dim=(0, 2)).view(1, -1, 1)
    return ((a.view(len(a), channels, -1) - mean) / (std + 1e-8).clamp(min=ROUNDING)).flatten(1)


def compare(
    real: Sequence[Patches], fake: Sequence[Patches], channels: int, seed: int, options: Slicing
) -> dict[str, float]:
    """The distance between images that :func:`describe` has seen one by one; returns as `sliced_wasserstein`."""
    pools = (_pooled(images, options.levels) for images in (real, fake))
    return _of_levels(list(zip(*pools, strict=True)), channels, seed, options)


def _of_levels(
    pairs: Sequence[tuple[Tensor, Tensor]], channels: int, seed: int, options: Slicing
) -> dict[str, float]:
    """The distance between two pools of equally many patches, for each level and on average."""
    result = {}
    for level, (a, b) in enumerate(pairs):
        generator = _generator(seed, "axes", level)
        reference, other = _normalised(a, a, channels), _normalised(b, a, channels)
        result[f"level_{level}"] = _distance(reference, other, generator, options.directions)
    result["mean"] = sum(result.values()) / len(result) if result else float("nan")
    return result


def sliced_wasserstein(
    xs: Sequence[Tensor], x_hats: Sequence[Tensor], seed: int, options: Slicing = Slicing()
) -> dict[str, float]:
    """Sliced Wasserstein distance between the patches of real images and those of their reconstructions.

    SWD = mean over directions w and levels of W1({<w, patch of x>}, {<w, patch of x_hat>}) on a Laplacian
    pyramid, 7x7 patches, 128 per image and level, 512 directions (Karras et al. 2018, *Progressive growing of
    GANs*, section 5).

    Two things differ from Karras et al., both because the real images are available. Both sets are normalised
    by the channel means and deviations of the *real* patches (they normalise each set by its own), else blur
    would hardly show in a band-pass. And both sets are cut at the same random places, so that equal images
    have distance 0 and two evaluations of a run differ by what the codec did, not by where the patches fell.

    Args:
        xs: real images in [0, 1], each (C, H, W), of any sizes.
        x_hats: reconstructions, same sizes in the same order; clamped here.
        seed: key of places and directions; the same seed gives the same number, whatever ran before.
        options: parameters of the distance.

    Returns:
        ``level_0`` (finest), ``level_1`` ... and their ``mean``, in standard deviations of the real patches'
        channels (Karras et al. print a thousandfold); lower is better. A channel of less deviation than the
        rounding to 8 bits has (``ROUNDING``, a flat one) is measured in deviations of rounding. NaN mean if no
        image is as large as a patch.
    """
    shapes = [tuple(x.shape) for x in xs]
    if not shapes or shapes != [tuple(x.shape) for x in x_hats] or any(len(shape) != 3 for shape in shapes):
        raise ValueError("sliced_wasserstein takes two lists of (C, H, W) images of pairwise equal shapes")
    real, fake = ([describe(x, i, seed, options) for i, x in enumerate(images)] for images in (xs, x_hats))
    return compare(real, fake, shapes[0][0], seed, options)


def compare_disjoint(
    real: Sequence[Patches], fake: Sequence[Patches], channels: int, seed: int, options: Slicing
) -> float:
    """The distance between patches of *different* images: real ones of one half of the images, fake ones of the other.

    Between an image and its own reconstruction the distance cannot exceed the paired error, so that it follows PSNR.
    Here no reconstruction meets its original. With ``fake = real`` it is the floor: how far apart two halves of the
    photographs are. Halves are images of even and of odd index, and the mean of both ways is returned. Where one half
    has more patches, or more levels, than the other, as many as the other has are compared.

    Args:
        real: patches of each image, see `describe`.
        fake: of its reconstruction, in the same order.
        channels: of the images.
        seed: of the directions.
        options: of the distance.

    Raises:
        ValueError: fewer than two images.
    """
    if len(real) < 2 or len(real) != len(fake):
        raise ValueError(f"compare_disjoint takes two images or more, twice; got {len(real)} and {len(fake)}")
    means = []
    for one, other in ((real[0::2], fake[1::2]), (real[1::2], fake[0::2])):
        pools = zip(_pooled(one, options.levels), _pooled(other, options.levels), strict=False)
        pairs = [(a[: min(len(a), len(b))], b[: min(len(a), len(b))]) for a, b in pools]
        means.append(_of_levels(pairs, channels, seed, options)["mean"])
    return sum(means) / 2


def real_floor(xs: Sequence[Tensor], seed: int, options: Slicing = Slicing()) -> dict[str, float]:
    """The same distance between two draws of patches from the *same* real images, cut at different places.

    Below this floor, reconstructions cannot be told from another look at the real images. It shrinks with the
    number of patches, so report it next to the distance, with the same images.
    """
    a, b = ([describe(x, i, key, options) for i, x in enumerate(xs)] for key in (seed, seed + 1))
    return compare(a, b, xs[0].shape[0], seed, options)
