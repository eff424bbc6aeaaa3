"""Data of a study in miniature, made in memory: a tiny codec without training, random images."""

import torch

from gcn.config.assemble import codec as first_codec
from gcn.config.parse import parse
from gcn.study.ground import Ground, freeze

TINY = (
    "generator.N=8", "generator.M=8", "discriminator.width=4", "discriminator.depth=2", "discriminator.condition=false",
    "data.crop=32", "data.batch=2", "optim=gan",
)  # fmt: skip
GROUND_WORDS = ("experiment=frozen", "rate=null", "mse=0", *TINY)


def ground_of(seed: int) -> Ground:
    """Crops and an untrained codec of a seed."""
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(6, 3, 32, 32, generator=random)
    val_x = torch.rand(2, 3, 128, 128, generator=random)
    codec = first_codec(parse([*TINY, "mse=1", f"seed={seed}"])).for_coding()
    return Ground((x * 255).round().to(torch.uint8), val_x, freeze(codec, x, val_x))
