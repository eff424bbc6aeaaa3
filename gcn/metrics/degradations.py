"""Degradations of known strength, on which metrics of realism are validated.

A ladder is one kind of degradation at five strengths or more, in a stated unit. `scripts/instruments.py` measures what
each metric sees of each ladder.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gcn.errors import InputError

BLOCK = 8  # pixels a side of a DCT block, as in JPEG
BAND = (0.15, 0.25)  # cycles per pixel, edges of the band that rings
Apply = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Ladder:
    """One kind of degradation at increasing strengths.

    Attributes:
        name: of the kind.
        unit: of the strengths, in words.
        strengths: increasing.
        apply: the degraded image of an image (B, C, H, W) in [0, 1], a strength and a source of random numbers; not
            clamped.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Apply

    def at(self, x: Tensor, strength: float, seed: int = 0) -> Tensor:
        """Degraded images (B, C, H, W), not clamped; the seed decides the noise of ladders that have noise."""
        digest = hashlib.blake2b(repr((seed, self.name)).encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        return self.apply(x, strength, generator)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Images convolved with a Gaussian of deviation ``sigma`` pixels, reflected at the border."""
    radius = min(math.ceil(4 * sigma), min(x.shape[-2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).to(x) / sigma) ** 2)
    taps = taps / taps.sum()
    for shape, padding in (
        ((1, 1, 1, -1), (radius, radius, 0, 0)),
        ((1, 1, -1, 1), (0, 0, radius, radius)),
    ):
        kernel = taps.view(shape).expand(x.shape[1], *([-1] * 3))
        x = F.conv2d(F.pad(x, padding, "reflect"), kernel, groups=x.shape[1])
    return x


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II (size, size), a basis vector in each row."""
    k, i = torch.arange(size)[:, None], torch.arange(size)[None]
    matrix = torch.cos(math.pi * (2 * i + 1) * k / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def dct_blocks(x: Tensor, step: float) -> Tensor:
    """Images whose orthonormal 8x8 DCT coefficients are rounded to multiples of ``step``; borders are mirrored."""
    height, width = x.shape[-2:]
    x = F.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), "reflect")
    basis = dct_matrix(BLOCK).to(x)
    blocks = x.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)  # (B, C, rows, columns, 8, 8)
    rounded = ((basis @ blocks @ basis.T) / step).round() * step
    restored = (basis.T @ rounded @ basis).transpose(3, 4)  # (B, C, rows, 8, columns, 8)
    return restored.reshape(x.shape)[..., :height, :width]


def checkerboard(height: int, width: int, period: int) -> Tensor:
    """A pattern (H, W) of +1 and -1 in squares of half a period."""
    half = period // 2
    rows, columns = torch.arange(height)[:, None] // half, torch.arange(width)[None] // half
    return 1.0 - 2.0 * ((rows + columns) % 2)


def band_pass(x: Tensor) -> Tensor:
    """The part of images between two sharp frequencies (``BAND``): it oscillates beside every edge."""
    fy, fx = torch.fft.fftfreq(x.shape[-2])[:, None], torch.fft.rfftfreq(x.shape[-1])[None]
    radius = (fy.square() + fx.square()).sqrt().to(x.device)
    inside = (radius >= BAND[0]) & (radius <= BAND[1])
    return torch.fft.irfft2(torch.fft.rfft2(x) * inside, s=x.shape[-2:])


def _blur(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return gaussian_blur(x, sigma)


def _noise(x: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    return x + torch.randn(x.shape, generator=generator).to(x) * deviation / 255


def _blocks(x: Tensor, step: float, generator: torch.Generator) -> Tensor:
    return dct_blocks(x, step / 255)


def _lattice(period: int) -> Apply:
    def apply(x: Tensor, amplitude: float, generator: torch.Generator) -> Tensor:
        return x + checkerboard(x.shape[-2], x.shape[-1], period).to(x) * amplitude / 255

    return apply


def _ringing(x: Tensor, gain: float, generator: torch.Generator) -> Tensor:
    return x + gain * band_pass(x)


def _colour(x: Tensor, shift: float, generator: torch.Generator) -> Tensor:
    return x + torch.tensor([1.0, 0.0, -1.0]).to(x)[:, None, None] * shift / 255


def _mixture(*parts: tuple[Apply, Sequence[float]]) -> Apply:
    """Degradations one after the other, each at its own strength of the same step (1, 2, ...)."""

    def apply(x: Tensor, step: float, generator: torch.Generator) -> Tensor:
        for part, strengths in parts:
            x = part(x, strengths[int(step) - 1], generator)
        return x

    return apply


SIGMAS, LEVELS, STEPS = (0.3, 0.5, 0.8, 1.2, 2.0), (1.0, 2.0, 4.0, 6.0, 12.0), (5.0, 10.0, 20.0, 40.0, 80.0)
AMPLITUDES, GAINS, SHIFTS = (0.5, 1.0, 2.0, 4.0, 8.0), (0.1, 0.2, 0.4, 0.8, 1.6), (1.0, 2.0, 4.0, 8.0, 16.0)
OF_BOTH = (1.0, 2.0, 3.0, 4.0, 5.0)

LADDERS = (
    Ladder("blur", "deviation of the Gaussian, pixels", SIGMAS, _blur),
    Ladder("noise", "deviation of white noise, grey levels", LEVELS, _noise),
    Ladder("blocks", "step of 8x8 DCT coefficients, grey levels", STEPS, _blocks),
    Ladder("lattice_2", "amplitude of a checkerboard of period 2, grey levels", AMPLITUDES, _lattice(2)),
    Ladder("lattice_4", "amplitude of a checkerboard of period 4, grey levels", AMPLITUDES, _lattice(4)),
    Ladder("lattice_8", "amplitude of a checkerboard of period 8, grey levels", AMPLITUDES, _lattice(8)),
    Ladder("ringing", "added gain from .15 to .25 cycles per pixel, as a factor", GAINS, _ringing),
    Ladder("colour", "red raised and blue lowered, grey levels", SHIFTS, _colour),
    Ladder(
        "blur_noise", "step of the ladders blur, then noise", OF_BOTH,
        _mixture((_blur, SIGMAS), (_noise, LEVELS)),
    ),
    Ladder(
        "blur_lattice_4", "step of the ladders blur, then lattice_4", OF_BOTH,
        _mixture((_blur, SIGMAS), (_lattice(4), AMPLITUDES)),
    ),
    Ladder(
        "blocks_ringing", "step of the ladders blocks, then ringing", OF_BOTH,
        _mixture((_blocks, STEPS), (_ringing, GAINS)),
    ),
)  # fmt: skip


def ladder(name: str) -> Ladder:
    """The ladder of this name; raises InputError if there is none."""
    found = next((one for one in LADDERS if one.name == name), None)
    if found is None:
        raise InputError(
            f"ladders={name}: no such ladder of degradations; give some of {', '.join(one.name for one in LADDERS)}"
        )
    return found


def rungs(names: Sequence[str] | None = None) -> Iterator[tuple[Ladder, float]]:
    """All ladders (or the named ones), each with its strengths in turn."""
    for one in LADDERS if names is None else map(ladder, names):
        for strength in one.strengths:
            yield one, strength
