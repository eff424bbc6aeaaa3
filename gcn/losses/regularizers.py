"""Terms that are norms of the players' gradients: they change the field of the game itself.

Under several processes the gradients are those of the joint batch. The losses that are differentiated contain
everything that a player pays except the terms of this file.
"""

from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import PlayerName, Turn


class GradNorm(Term):
    """G pays ‖∇_ψ V‖², V the adversarial loss of D (Nagarajan and Kolter 2017)."""

    needs_discriminator = True
    differentiates_losses = True

    def forward(self, turn: Turn) -> Tensor:
        return turn.reduce.square_norm(turn.adversarial_d_gradient())


class Consensus(Term):
    """Both pay ½‖v‖², v = (∇_θ L_G, ∇_ψ L_D) the field of the game (Mescheder et al. 2017)."""

    players = ("g", "d")
    needs_discriminator = True
    differentiates_losses = True
    reaches_generator = True

    def forward(self, turn: Turn) -> Tensor:
        return 0.5 * turn.reduce.square_norm([*turn.gradient("g"), *turn.gradient("d")])


class JARE(Term):
    """Each player pays ½ the squared norm of the *other's* gradient (Nie and Patel 2020)."""

    players = ("g", "d")
    needs_discriminator = True
    differentiates_losses = True
    reaches_generator = True

    def forward(self, turn: Turn) -> Tensor:
        other: PlayerName = "d" if turn.payer == "g" else "g"
        return 0.5 * turn.reduce.square_norm(turn.gradient(other))
