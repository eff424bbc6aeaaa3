"""A history of reconstructions: D does not forget what the generator made some updates ago."""

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.game.reduction import world_size
from gcn.game.slots import FakeSource
from gcn.game.turn import Turn
from gcn.losses.lecam import along


class History(FakeSource):
    """Half of D's fakes are past reconstructions, from a buffer of N (Shrivastava et al. 2017, section 2.3).

    In each of D's turns the first half of the joint batch is replaced by reconstructions from the buffer, without
    gradient, drawn without repetition; G's loss keeps its own. After each update the reconstructions of that half enter
    the buffer: in free places, and where it is full in place of others, drawn at random. Until it holds half a batch,
    as many are replaced as there are. The buffer is exact, 4 bytes a number, the same in all processes, and part of
    checkpoints: 0.8 MB for each image of 256 pixels.

    Args:
        size: N, the number of reconstructions in the buffer.

    Raises:
        InputError: in a turn, the joint batch has one image, or more than 2N.
    """

    has_memory = True

    images: Tensor
    filled: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(0))  # (N, 3, H, W), or (E, N, d) from the first update on
        self.register_buffer("filled", torch.zeros(()))

    def check_images(self, side: int) -> None:
        self.images = torch.zeros(self.size, 3, side, side)

    def _half(self, count: int) -> int:
        """Number of images that are replaced, of a joint batch of ``count``."""
        if not 2 <= count <= 2 * self.size + 1:
            raise InputError(
                f"history={self.size}: half of a batch of {count} is replaced from the buffer; choose history="
                f"{max(count, 2)} or more, and a batch of 2 or more"
            )
        return count // 2

    def _order(self, turn: Turn, free_first: bool) -> Tensor:
        """Places of the buffer, (N,) or (E, N): those that hold an image in random order, before or after free ones."""
        places = torch.arange(self.size, device=turn.x_hat.device)
        shape = (*turn.x_hat.shape[: turn.reduce.sample_dim], self.size)
        chance = turn.stream("history").common_uniform(turn.x.new_empty(shape, dtype=torch.float32))
        free = places >= self.filled[..., None]
        key = torch.where(free, places - self.size if free_first else places + 1, chance)
        return key.argsort(dim=-1, stable=True)

    def forward(self, turn: Turn) -> Tensor:
        x_hat, dim = turn.x_hat, turn.reduce.sample_dim
        if not self.images.numel():  # a small game, before its first update
            return x_hat
        rows = torch.arange(x_hat.shape[dim] * world_size(), device=x_hat.device)
        half, rows = self._half(len(rows)), turn.reduce.local(rows)
        places = self._order(turn, free_first=False)[..., rows.clamp(max=half - 1)]
        past = self.images.take_along_dim(along(places, x_hat), dim).to(x_hat)
        replaced = (rows < half) & (rows < self.filled[..., None])
        return torch.where(along(replaced, x_hat), past, x_hat)

    def after_update(self, turn: Turn) -> None:
        joint, dim = turn.reduce.gather(turn.x_hat), turn.reduce.sample_dim
        half = self._half(joint.shape[dim])
        images, new = self._begun(joint, dim), joint.narrow(dim, 0, half)
        places = self._order(turn, free_first=True)[..., :half]
        self.images = images.scatter(dim, along(places, joint).expand_as(new), new.to(images))
        self._hold(turn, self.filled + half)

    def settle(self, turn: Turn) -> None:
        joint, dim = turn.reduce.gather(turn.x_hat), turn.reduce.sample_dim
        places = torch.arange(self.size, device=joint.device) % joint.shape[dim]
        self.images = joint.index_select(dim, places).to(self._begun(joint, dim))
        self._hold(turn, torch.full_like(self.filled, self.size))

    def _begun(self, joint: Tensor, dim: int) -> Tensor:
        """The buffer, made where there is none yet."""
        shape = (*joint.shape[:dim], self.size, *joint.shape[dim + 1 :])
        return self.images if self.images.numel() else joint.new_zeros(shape)

    def _hold(self, turn: Turn, count: Tensor) -> None:
        self.filled = count.clamp(max=self.size) * torch.ones_like(turn.mean(turn.x))  # one a game
