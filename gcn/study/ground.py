"""What all arms of a seed share: the trained codec, its latents of the same crops, and what is looked at.

The encoder is frozen, so latents are a function of the crop. They are computed once; an arm runs the decoder and the
discriminator alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gcn.build import build
from gcn.config import Config, parse
from gcn.data.loader import order
from gcn.models import package
from gcn.models.codec import Codec, Reconstruction
from gcn.rng import Stream
from gcn.study.design import Protocol

SIDE = 128  # pixels of a validation crop
_POOL, _ORDER = 71, 72  # purposes of random numbers


@dataclass(frozen=True)
class Ground:
    """One seed's codec and data.

    Attributes:
        weights: of the codec, as loaded into each arm.
        x, y_hat: crops (P, 3, c, c) uint8 and their latents (P, M, h, w).
        spread: (M, 1, 1) deviation of each latent channel over the crops: what noise is scaled to.
        val_x, val_y_hat: crops (V, 3, 128, 128) in [0, 1] and their latents.
    """

    weights: Mapping[str, Tensor]
    x: Tensor
    y_hat: Tensor
    spread: Tensor
    val_x: Tensor
    val_y_hat: Tensor

    def batch(self, step: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """The crops and latents of an update, the same for every arm of a seed."""
        first = step * size
        places = [divmod(k, len(self.x)) for k in range(first, first + size)]
        index = torch.tensor([int(order(seed, _ORDER, epoch, len(self.x))[at]) for epoch, at in places])
        return self.x[index].float() / 255, self.y_hat[index]


def prepare(model: Path, protocol: Protocol, seed: int) -> Ground:
    """The ground of a seed from the model file of its codec."""
    cfg = parse([*protocol.arm, "init_from=codec", f"seed={seed}"])
    codec, data = package.load(model), build(cfg.data)
    batches = list(data.train_loader(seed=seed, steps=-(-protocol.pool // cfg.data.batch)))
    x = torch.cat(batches)[: protocol.pool]
    val_x = _val_crops([image.x[0] for image in data.val_images()], protocol.val_crops)
    y_hat, val_y_hat = _latents(codec, x), _latents(codec, val_x)
    return Ground(
        weights={name: value.clone() for name, value in codec.state_dict().items()},
        x=(x * 255).round().to(torch.uint8),
        y_hat=y_hat,
        spread=y_hat.std((0, 2, 3))[:, None, None],
        val_x=val_x,
        val_y_hat=val_y_hat,
    )


@torch.no_grad()
def _latents(codec: Codec, x: Tensor) -> Tensor:
    return torch.cat([codec.quantise(codec.analyse(part)).y_hat for part in x.split(32)])


def _val_crops(images: list[Tensor], number: int) -> Tensor:
    """Crops on a grid, taken from the images in turn."""
    grids = []
    for image in images:
        rows, columns = (n // SIDE for n in image.shape[-2:])
        places = [(i * SIDE, j * SIDE) for i in range(rows) for j in range(columns)]
        grids.append([image[:, top : top + SIDE, left : left + SIDE] for top, left in places])
    turns = [grid[k] for k in range(max(map(len, grids))) for grid in grids if k < len(grid)]
    return torch.stack(turns[:number])


class Decoder(nn.Module):
    """A codec's synthesis as a generator whose latents are at hand.

    ``latents`` holds the y_hat of the coming batch. With a ``spread`` they are noise of this deviation instead: the
    same decoder as the generator of a standard GAN.
    """

    def __init__(self, codec: Codec, spread: Tensor | None = None) -> None:
        super().__init__()
        self.g_s, self.spread = codec.g_s, spread
        self.latents: Tensor = torch.empty(0)

    def forward(self, x: Tensor, noise: Stream) -> Reconstruction:
        """The reconstruction of the batch; x is only compared with."""
        y_hat = self.latents
        if self.spread is not None:
            y_hat = (self.spread * noise.normal(y_hat)).round()
        return Reconstruction(self.g_s(y_hat) + 0.5, y_hat, {})

    def parts(self) -> dict[str, list[Any]]:
        """All parameters are the decoder's."""
        return {"decoder": list(self.g_s.parameters()), "aux": []}


def generator_of(cfg: Config, ground: Ground, standard: bool) -> Decoder:
    """The generator of an arm: the synthesis of the seed's codec, fed with latents, in a standard GAN with noise."""
    codec = build(cfg.generator)
    codec.load_state_dict(ground.weights)
    return Decoder(codec, ground.spread if standard else None)
