"""Historical averaging: each player is held near the mean of its own past."""

import torch
from torch import Tensor, nn

from gcn.game.slots import Term
from gcn.game.turn import PlayerName, Turn


class HistoricalAveraging(Term):
    """Σ(w - w_bar)² over a player's parameters w, w_bar their mean so far (Salimans et al. 2016, arXiv 1606.03498).

    The mean is over the parameters at the start of the game and after each update, whatever the rule, and also at
    weight 0. It is part of checkpoints. The more updates, the less an update moves it: in the limit, which spectra at
    an equilibrium assume, it stands still.
    """

    players = ("g", "d")
    needs_discriminator = True
    has_memory = True

    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[PlayerName, dict[str, str]] = {}  # of the parameters, by the buffer with the mean

    def check(self, generator: nn.Module, discriminator: nn.Module | None) -> None:
        self.register_buffer("share", torch.ones(()))  # of the newest parameters in the mean
        networks: dict[PlayerName, nn.Module | None] = {"g": generator, "d": discriminator}
        for player, network in networks.items():
            parameters = {} if network is None else dict(network.named_parameters())
            self.names[player] = {f"{player}_{i}": name for i, name in enumerate(parameters)}
            for buffer, name in self.names[player].items():
                self.register_buffer(buffer, parameters[name].detach().clone())

    def _now(self, turn: Turn, player: PlayerName) -> dict[str, Tensor]:
        """The parameters that a player moves, by the buffer with the mean."""
        network = turn.game.generator if player == "g" else turn.game.discriminator
        assert network is not None
        parameters = dict(network.named_parameters())
        now = {buffer: parameters[name] for buffer, name in self.names[player].items()}
        return {buffer: parameter for buffer, parameter in now.items() if parameter.requires_grad}

    def forward(self, turn: Turn) -> Tensor:
        now = self._now(turn, turn.payer)
        return turn.reduce.square_norm([w - getattr(self, buffer) for buffer, w in now.items()])

    def after_update(self, turn: Turn) -> None:
        self._move(turn, self.share / (1 + self.share))

    def settle(self, turn: Turn) -> None:
        self._move(turn, torch.ones_like(self.share))
        self.share = torch.zeros_like(self.share)

    def _move(self, turn: Turn, share: Tensor) -> None:
        self.share = share * torch.ones_like(turn.mean(turn.x))  # one a game
        for buffer, w in (self._now(turn, "g") | self._now(turn, "d")).items():
            past = getattr(self, buffer)
            setattr(self, buffer, past + turn.reduce.per_sample(self.share, w) * (w.detach() - past))
