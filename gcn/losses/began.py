"""BEGAN: energies of which the reconstructions' share in D's loss is controlled, so that D does not win."""

import torch
from torch import Tensor

from gcn.game.turn import PlayerName, Turn
from gcn.losses.adversarial import Adversarial
from gcn.losses.lecam import along, means


class BEGAN(Adversarial):
    """Energies in equilibrium, L = -t (Berthelot et al. 2017, arXiv 1703.10717). Not relativistic.

        L_D = E L(x) - k·E L(x_hat),  L_G = E L(x_hat),  k ← clip(k + λ(γ·E L(x) - E L(x_hat)), 0, 1)

    k moves once a generator update, with the energies that D has after it. It holds the energy of reconstructions at γ
    times that of images: with a smaller γ D learns more from images, and reconstructions are less varied. Logged are
    ``d/adv/k`` and ``d/adv/convergence``, the paper's M = E L(x) + |γ·E L(x) - E L(x_hat)|. Energies must not be
    negative, as those of an auto-encoder (:class:`gcn.models.autoencoder.AutoEncoder`).

    Args:
        gamma: γ, the ratio of energies that k maintains, in (0, 1].
        rate: λ, the step of k for an energy of 1.
        k: its value before the first update, in [0, 1].
    """

    pairs = False
    has_memory = True

    k: Tensor

    def __init__(self, gamma: float = 0.5, rate: float = 0.001, k: float = 0.0) -> None:
        super().__init__()
        self.gamma, self.rate = gamma, rate
        self.register_buffer("k", torch.tensor(k))

    def real(self, t: Tensor) -> Tensor:
        return -t

    def fake(self, t: Tensor) -> Tensor:
        return along(self.k, t) * t

    def generator(self, t: Tensor) -> Tensor:
        return -t

    def measure(self, turn: Turn, player: PlayerName) -> dict[str, Tensor]:
        if player == "g":
            return {}
        real, fake = (-mean.detach() for mean in means(turn))
        return {"k": self.k, "convergence": real + (self.gamma * real - fake).abs()}

    def _balance(self, turn: Turn) -> Tensor:
        """γ·E L(x) - E L(x_hat): above 0, k grows."""
        real, fake = means(turn)
        return fake - self.gamma * real

    def after_update(self, turn: Turn) -> None:
        self.k = (self.k + self.rate * self._balance(turn)).clamp(0, 1)

    def settle(self, turn: Turn) -> None:
        self.k = (self.k + self._balance(turn).sign()).clamp(0, 1)
