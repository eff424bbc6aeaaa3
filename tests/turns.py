"""Turns to order: the production Game and Turn on given images, reconstructions and discriminators."""

import torch
from torch import Tensor, nn

from gcn.game.game import Game
from gcn.game.objective import Objective
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput
from gcn.game.streams import Streams
from gcn.game.turn import Turn


class Given(nn.Module):
    """A generator whose only parameter is its output."""

    def __init__(self, x_hat: Tensor, likelihoods: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        self.x_hat, self.likelihoods = nn.Parameter(x_hat.clone()), likelihoods or {}

    def forward(self, x, noise):
        return GeneratorOutput(self.x_hat * 1.0, None, self.likelihoods)


class Linear(nn.Module):
    """D(x) = <w, x> on every patch of a grid."""

    def __init__(self, w: Tensor, grid: int = 1) -> None:
        super().__init__()
        self.w, self.grid = nn.Parameter(w.clone()), grid

    def forward(self, images, cond):
        score = (images * self.w).flatten(1).sum(1)
        logits = score.reshape(-1, 1, 1, 1).expand(-1, 1, self.grid, self.grid)
        return DiscriminatorOutput((logits,), (images * self.w,))


class Quadratic(nn.Module):
    """D(x) = ½ x·A·x on flattened images: ∇D = A x."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix.clone())

    def forward(self, images, cond):
        flat = images.flatten(1)
        return DiscriminatorOutput(((0.5 * (flat @ self.matrix * flat).sum(1)).reshape(-1, 1, 1, 1),))


def open_turn(x, x_hat, discriminator=None, loss=None, terms=None, perturbations=(), step=0, player="both",
              likelihoods=None, adv=1.0) -> Turn:  # fmt: skip
    """A turn; ``terms`` maps names to (weight, term)."""
    objective = Objective(loss, adv, terms, perturbations)
    game = Game(Given(x_hat, likelihoods), discriminator, objective, Streams(0))
    return game.to(x.dtype).turn(player, x, step)


def logits_turn(real, fake) -> Turn:
    """A turn in which D has said these things, one row an image."""
    real, fake = (torch.as_tensor(t, dtype=torch.float64) for t in (real, fake))
    real, fake = (t if t.dim() == 4 else t.reshape(-1, 1, 1, 1) for t in (real, fake))
    turn = open_turn(torch.zeros(len(real), 1, 1, 1, dtype=torch.float64), torch.zeros(len(real), 1, 1, 1))
    turn.__dict__["real"], turn.fakes_of_g.output = (
        DiscriminatorOutput((t.requires_grad_(),)) for t in (real, fake)
    )
    return turn
