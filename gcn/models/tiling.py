"""Large images in tiles, which overlap by the receptive field of the network, so that there are no seams.

All networks of a codec are convolutional, hence the middle of a large enough piece is what the whole image would
have given there. Encoder and decoder cut alike; an image of one tile is not cut at all.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

TILE = 48  # latents along each side: 768 pixels, so that most photographs of test sets are one tile


class Span(NamedTuple):
    """An interval of latents: ``start`` to ``stop`` is the output, ``first`` to ``last`` the input of a tile."""

    first: int
    start: int
    stop: int
    last: int

    @property
    def length(self) -> int:
        """Number of latents of the input."""
        return self.last - self.first

    def wanted(self, scale: int = 1, limit: int | None = None) -> slice:
        """Slice of the output in an image of ``limit`` pixels, ``scale`` pixels a latent."""
        stop = self.stop * scale
        return slice(self.start * scale, stop if limit is None else min(stop, limit))

    def seen(self, scale: int = 1) -> slice:
        """Slice of the input."""
        return slice(self.first * scale, self.last * scale)

    def inner(self, scale: int = 1) -> slice:
        """Slice of the output within the input."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)

    def parts(self, margin: int, tile: int) -> Sequence["Span"]:
        """Intervals of at most ``tile`` latents that cover the output, in places counted from ``first``."""
        return list(spans(self.length, margin, tile, self.start - self.first, self.stop - self.first))


def spans(
    length: int, margin: int, tile: int = TILE, begin: int = 0, end: int | None = None
) -> Iterator[Span]:
    """Intervals of at most ``tile`` latents that cover ``begin`` to ``end`` of ``length`` latents (default: all).

    Their inputs have ``margin`` latents more on either side, as far as there are so many.
    """
    end = length if end is None else end
    for start in range(begin, end, tile):
        stop = min(start + tile, end)
        yield Span(max(0, start - margin), start, stop, min(length, stop + margin))


def tiles(height: int, width: int, margin: int, tile: int = TILE) -> Sequence[tuple[Span, Span]]:
    """Pairs of row and column spans that cover height × width latents."""
    return list(product(spans(height, margin, tile), spans(width, margin, tile)))
