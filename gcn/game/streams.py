"""Random numbers that depend on *where* they are used, not on what was drawn before.

A stream is named by a key such as ``(step, "g", "instance_noise")``. Nothing in training draws from a global generator,
hence a resumed run needs no random state to be exact, switching an instrument or a zero-weight term on cannot shift
anybody else's draws, and several processes see exactly the noise that one process with the joint batch would see.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


class Stream:
    """A sequence of random tensors; the same key always gives the same sequence.

    Tensors are drawn for the *joint* batch of all processes and each process keeps its own rows: the price is
    ``world`` times the draws, the gain is that the number of processes does not change the experiment.
    """

    def __init__(self, key: Sequence[int | str], rank: int = 0, world: int = 1) -> None:
        self.key, self.rank, self.world = tuple(key), rank, world
        self._generators: dict[torch.device, torch.Generator] = {}

    def child(self, *key: int | str) -> "Stream":
        """An independent stream, keyed by this stream's key and the given names."""
        return Stream((*self.key, *key), self.rank, self.world)

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            digest = hashlib.blake2b(repr(self.key).encode(), digest_size=8).digest()
            generator = torch.Generator(device)
            generator.manual_seed(int.from_bytes(digest, "little") >> 1)  # manual_seed takes 63 bits
            self._generators[device] = generator
        return self._generators[device]

    def _local(self, joint: Tensor) -> Tensor:
        return joint.chunk(self.world)[self.rank] if self.world > 1 else joint

    def _joint_shape(self, like: Tensor) -> tuple[int, ...]:
        return (like.shape[0] * self.world, *like.shape[1:])

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal values of the shape, type and device of ``like`` (B, ...)."""
        generator = self._generator(like.device)
        shape = self._joint_shape(like)
        return self._local(torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype))

    def uniform(self, like: Tensor) -> Tensor:
        """Values uniform on [0, 1) of the shape, type and device of ``like`` (B, ...)."""
        generator = self._generator(like.device)
        shape = self._joint_shape(like)
        return self._local(torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype))

    def common_uniform(self, like: Tensor) -> Tensor:
        """Values uniform on [0, 1) of the shape, type and device of ``like``, the same on every process."""
        generator = self._generator(torch.device("cpu"))
        return torch.rand(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    def permutation(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """A random permutation of ``range(n)``, the same on every process."""
        return torch.randperm(n, generator=self._generator(torch.device("cpu"))).to(device)


class Streams:
    """All streams of a run: ``streams.at(step, "g", "instance_noise")``."""

    def __init__(self, seed: int, rank: int = 0, world: int = 1) -> None:
        self.seed, self.rank, self.world = seed, rank, world

    def at(self, *key: int | str) -> Stream:
        return Stream((self.seed, *key), self.rank, self.world)
