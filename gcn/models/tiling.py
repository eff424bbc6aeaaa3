"""Large images piece by piece: pieces overlap by what a network sees, so that seams do not exist.

All networks of a codec are convolutional, hence the middle of a large enough piece is what the whole image would
have given there. Encoder and decoder cut alike; an image of one tile is not cut at all.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

TILE = 48  # latents along each side: 768 pixels, so that most photographs of test sets are one tile


class Span(NamedTuple):
    """A stretch of latents: ``start`` to ``stop`` is wanted, ``first`` to ``last`` is looked at."""

    first: int
    start: int
    stop: int
    last: int

    def wanted(self, scale: int = 1, limit: int | None = None) -> slice:
        """Where the wanted part goes, ``scale`` pixels a latent, in an image of ``limit`` pixels."""
        stop = self.stop * scale
        return slice(self.start * scale, stop if limit is None else min(stop, limit))

    def seen(self, scale: int = 1) -> slice:
        """What is looked at."""
        return slice(self.first * scale, self.last * scale)

    def inner(self, scale: int = 1) -> slice:
        """The wanted part within what is looked at."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


def spans(length: int, margin: int, tile: int = TILE) -> Iterator[Span]:
    """``length`` latents in stretches of at most ``tile``, with ``margin`` more to be seen on either side."""
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield Span(max(0, start - margin), start, stop, min(length, stop + margin))


def tiles(height: int, width: int, margin: int, tile: int = TILE) -> Sequence[tuple[Span, Span]]:
    """Pairs of row and column spans that cover height × width latents."""
    return list(product(spans(height, margin, tile), spans(width, margin, tile)))
