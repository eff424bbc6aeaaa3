"""Codecs with their discriminators so small that a Jacobian can be written down, and the Dirac-GAN."""

import itertools

import torch
from torch import Tensor

from gcn.config import assemble
from gcn.config.parse import parse
from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.lab.ensemble import GameEnsemble
from gcn.lab.games import Dirac, SmallGame

SMALL = [
    "generator.N=4", "generator.M=4", "generator.kernel=3", "discriminator.width=2", "discriminator.depth=2",
    "data.crop=32", "data.batch=2",
]  # fmt: skip
TINIEST = [
    "generator.N=1", "generator.M=2", "generator.kernel=3", "discriminator.width=1", "discriminator.depth=1",
    "discriminator.condition=false", "data.crop=16", "data.batch=2",
]  # fmt: skip


def game(*said: str, size: list[str] = SMALL) -> Game:
    """A game in float64, from the words of a command line."""
    made, _ = assemble.game(parse([*size, *itertools.chain(*(text.split() for text in said))]))
    return made.double()


def batch(of: Game, images: int = 2, side: int = 32, seed: int = 0) -> Tensor:
    """Images of smooth noise, float64."""
    coarse = torch.rand(images, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse.double(), size=(side, side), mode="bilinear")


def weights(of: Game) -> list[Tensor]:
    """Copies of all parameters and buffers."""
    return [t.detach().clone() for t in (*of.parameters(), *of.buffers())]


def vector(n: int, seed: int = 0) -> Tensor:
    """A random vector, float64."""
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(loss, at=(0.0, 0.0), terms=None, of: SmallGame | None = None) -> tuple[Game, Tensor]:
    """A game of the lab (the Dirac-GAN) as an ensemble of one, at (θ, ψ); and its data."""
    ensemble = GameEnsemble(of or Dirac(), Objective(loss, terms=terms))
    return ensemble.game(torch.tensor([at], dtype=torch.float64)), ensemble.batch(1)
