"""Unrolling: the generator learns against the discriminator that a few more steps would make."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.func import functional_call

from gcn.errors import InputError
from gcn.game.game import Game
from gcn.game.labelled import Batch
from gcn.game.objective import total_of
from gcn.game.protocols import Players
from gcn.game.rules import Rule
from gcn.game.turn import Turn


class Unrolled(Rule):
    """G follows the derivative of its loss at D after k differentiated steps (Metz et al. 2017, arXiv 1611.02163).

        ψ_0 = ψ, ψ_{i+1} = ψ_i - s·∇_ψ L_D(θ, ψ_i)
        G moves along d/dθ L_G(θ, ψ_k(θ)), D along ∇_ψ L_D(θ, ψ), both from the same point.

    All of ψ_0 … ψ_k see the same batch and noise; L_D has all of D's terms. The k steps leave no trace in D: its
    weights and buffers are those after its own step. What is observed of G's loss is observed at ψ_k. Constraints on
    D's weights hold for D, not for ψ_1 … ψ_k. A condition without gradient has none here either.

    Args:
        k: number of steps.
        step: their size s, of plain gradient descent, whatever D's optimizer.

    Raises:
        InputError: at the first update, a term of D's loss is a function of G's gradient.
    """

    def __init__(self, k: int = 5, step: float = 0.01) -> None:
        self.k, self.size = k, step

    def __call__(self, game: Game, batches: Sequence[Batch], step: int, players: Players) -> Turn:
        _check(game)
        turn = game.turn("both", batches[-1], step)
        present = game.gradient("d", turn, create_graph=True)
        with turn.discriminator_untouched():
            ahead = self._moved(game.parameters_of("d"), present)
            for _ in range(self.k - 1):
                ahead = self._moved(ahead, _at(game, ahead, lambda: _gradient_of_d(game, turn.next("both"))))
            g = _at(game, ahead, lambda: game.gradient("g", turn.next("both")))
        players.g.step(g)
        players.d.step([gradient.detach() for gradient in present])
        return turn

    def _moved(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        return [p - self.size * gradient for p, gradient in zip(parameters, gradients, strict=True)]


def _gradient_of_d(game: Game, turn: Turn) -> list[Tensor]:
    """Gradient of D's loss for the parameters that it has at the time of the call, with its graph."""
    loss = total_of(game.objective.losses(turn, "d"))
    return turn.differentiate(loss, game.parameters_of("d"), create_graph=True, retain_graph=True)


def _at(game: Game, parameters: Sequence[Tensor], function: Callable[[], list[Tensor]]) -> list[Tensor]:
    """The result of a function that is called while D has these parameters, which may have a graph."""
    calling = _Calling(game.discriminator, function)
    names = (name for name, p in calling.named_parameters() if p.requires_grad)
    gradients: list[Tensor] = functional_call(calling, dict(zip(names, parameters, strict=True)), ())
    return gradients


class _Calling(nn.Module):
    """A module whose forward pass is a function that uses the discriminator."""

    def __init__(self, discriminator: nn.Module | None, function: Callable[[], list[Tensor]]) -> None:
        super().__init__()
        self.discriminator, self.function = discriminator, function

    def forward(self) -> list[Tensor]:
        return self.function()


def _check(game: Game) -> None:
    """Refuse terms with G's gradient: at ψ_i, which depends on θ, it would be another derivative."""
    for name, term in game.objective.terms.items():
        if term.reaches_generator and "d" in term.players:
            raise InputError(
                f"dynamics=unrolled {name}: this term is a function of G's gradient, which G's look-ahead changes; "
                f"drop {name}, or choose dynamics=simultaneous"
            )
