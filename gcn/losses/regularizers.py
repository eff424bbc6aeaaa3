"""Terms that are norms of the players' gradients, and so change the vector field of the game.

Under several processes the gradients are those of the joint batch. The losses that are differentiated contain
all parts of a player's loss except the terms of this file.
"""

from torch import Tensor

from gcn.game.slots import Term
from gcn.game.turn import PlayerName, Turn


class GradNorm(Term):
    """‖∇_ψ V‖² in G's loss, V the adversarial loss of D (Nagarajan and Kolter 2017)."""

    needs_discriminator = True
    differentiates_losses = True

    def forward(self, turn: Turn) -> Tensor:
        return turn.reduce.square_norm(turn.adversarial_d_gradient())


class Consensus(Term):
    """½‖v‖² in both losses, v = (∇_θ L_G, ∇_ψ L_D) the field of the game (Mescheder et al. 2017)."""

    players = ("g", "d")
    needs_discriminator = True
    differentiates_losses = True
    reaches_generator = True

    def forward(self, turn: Turn) -> Tensor:
        return 0.5 * turn.reduce.square_norm([*turn.gradient("g"), *turn.gradient("d")])


class JARE(Term):
    """½ of the squared norm of the *other* player's gradient, in both losses (Nie and Patel 2020)."""

    players = ("g", "d")
    needs_discriminator = True
    differentiates_losses = True
    reaches_generator = True

    def forward(self, turn: Turn) -> Tensor:
        other: PlayerName = "d" if turn.payer == "g" else "g"
        return 0.5 * turn.reduce.square_norm(turn.gradient(other))
