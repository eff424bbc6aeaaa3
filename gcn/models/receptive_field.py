"""Receptive fields of convolutional networks, in whole inputs, so that tiles overlap by what is needed and no more."""

from typing import NamedTuple


class Reach(NamedTuple):
    """Inputs beside an interval that outputs in the interval depend on, ``before`` it and ``after`` it.

    The same along both sides of an image. Methods go back through one layer, from its outputs to its inputs, so a
    network is written from its last layer to its first: ``Reach().convolution(7).doubling(3)`` is that of a
    doubling followed by a 7×7 convolution. Kernels are odd, and borders keep or halve or double the size.
    """

    before: int = 0
    after: int = 0

    def convolution(self, kernel: int, times: int = 1) -> "Reach":
        """Go back through so many convolutions of stride 1."""
        seen = times * (kernel // 2)
        return Reach(self.before + seen, self.after + seen)

    def halving(self, kernel: int) -> "Reach":
        """Go back through a convolution of stride 2: output i depends on 2i ± kernel // 2."""
        return Reach(2 * self.before + kernel // 2, 2 * self.after + kernel // 2 - 1)

    def doubling(self, kernel: int) -> "Reach":
        """Go back through a transposed convolution of stride 2: output o depends on (o ± kernel // 2) / 2."""
        return Reach((self.before + kernel // 2) // 2, (self.after + kernel // 2 + 1) // 2)

    def shuffle(self, kernel: int) -> "Reach":
        """Go back through a pixel shuffle by 2 and the convolution of stride 1 before it."""
        return Reach((self.before + 1) // 2, (self.after + 1) // 2).convolution(kernel)

    def margin(self, step: int = 1) -> int:
        """Number of latents, of ``step`` inputs each, that a tile needs on either side."""
        return -(-max(self) // step)
