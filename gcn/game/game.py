"""The game: a generator, a discriminator and an objective.

    x ─► g_a ─► y ─► entropy bottleneck ─► y_hat ─► g_s ─► x_hat          one generator forward a batch
                │ likelihoods                        │
    D's turn:  see(x), see(x_hat) ─► D ─► logits ─► loss + Σ weight · term ─► ∇_ψ
    G's turn:  see(x), see(x_hat) ─► D ─► logits ─► loss + Σ weight · term ─► ∇_θ

Gradients are taken with ``autograd.grad`` for the parameters of the player whose turn it is, and for nothing else: no
term can leave a gradient on the other player, and ``.grad`` is empty outside of a step. The codec's training and the
two-scalar games of the theory are both instances of :class:`Game`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gcn.game.labelled import Batch, Labelled, images_of
from gcn.game.objective import Objective, WeightedLoss, total_of
from gcn.game.protocols import Beginning
from gcn.game.reduction import Reduction
from gcn.game.streams import Stream, Streams
from gcn.game.turn import PlayerName, Turn

Instrument = Callable[[Turn, PlayerName, list[WeightedLoss]], dict[str, Tensor]]


class Game(nn.Module):
    """Generator, discriminator and the losses of both.

    Args:
        generator: see :class:`gcn.game.protocols.Generator`; :class:`gcn.models.codec.Codec` is one.
        discriminator: see :class:`gcn.game.protocols.Discriminator`; None for rate-distortion training.
        objective: the named losses and terms of both players.
        streams: the run's random numbers.
        reduce: what a mean over the batch is; see :mod:`gcn.game.reduction`.
        reals: what D is shown as real, given the batch; by default the batch itself. Distortions always compare with
            the batch.
        labeller: the class of each place of images (B, 3, H, W), integers (B, h, w), for losses and terms that need
            it; see :mod:`gcn.models.labeller`. Without one the labels are those of the batch, one an image.

    Raises:
        InputError: the loss or a term cannot work with these networks.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        objective: Objective,
        streams: Streams,
        reduce: Reduction | None = None,
        reals: Callable[[Tensor], Tensor] | None = None,
        labeller: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator, self.objective = generator, discriminator, objective
        self.streams, self.reduce = streams, reduce or Reduction()
        self.reals, self.labeller = reals, labeller
        self.instruments: list[Instrument] = []
        self.observing = False
        self.values: dict[str, Tensor] = {}  # what was measured in the current update, "g/mse", "d/r1", …
        if objective.loss is not None:
            objective.loss.check(discriminator, labeller)
        for term in objective.terms.values():
            term.check(generator, discriminator)

    def parameters_of(self, player: PlayerName) -> list[nn.Parameter]:
        """The parameters that a player moves, in a fixed order."""
        module = self.generator if player == "g" else self.discriminator
        return [] if module is None else [p for p in module.parameters() if p.requires_grad]

    def turn(
        self, player: str, x: Batch, step: int, batch: int = 0, attached: bool = True, playing: bool = True
    ) -> Turn:
        """Open a turn on a fresh batch: one forward pass of the generator.

        Args:
            player: whose turn it is, ``"both"`` for rules that move the players together; names the turn's random
                numbers.
            x: images (B, 3, H, W) in [0, 1], with labels or without.
            step: number of generator updates so far.
            batch: which of the update's batches this is.
            attached: keep the generator's graph.
            playing: false while there is no game (warm-up, ``loss=none``).
        """
        stream = self.streams.at("update", step, batch)
        with torch.set_grad_enabled(attached or self.objective.d_reaches_generator()):
            out = self.generator(images_of(x), stream.child("quantisation"))
        label = (lambda: x.labels) if isinstance(x, Labelled) and self.labeller is None else None
        return Turn(self, images_of(x), out, step, stream, player, playing, label=label)

    def begin(self, x: Batch) -> None:
        """Give the images of an update's first batch to the parts of D that begin with them."""
        modules = () if self.discriminator is None else self.discriminator.modules()
        for part in modules:
            if isinstance(part, Beginning):
                part.begin(self.reduce.gather(images_of(x)))

    def gradient(
        self, player: PlayerName, turn: Turn, create_graph: bool = False, retain_graph: bool = False
    ) -> list[Tensor]:
        """Gradient of a player's total loss in this turn, one tensor a parameter, averaged over all processes."""
        losses = self.objective.losses(turn, player)
        if self.observing:
            self._observe(player, turn, losses)
        keep = retain_graph or (
            player == "d" and self.objective.d_reaches_generator()
        )  # G's turn needs it again
        return turn.differentiate(total_of(losses), self.parameters_of(player), create_graph, keep)

    def field(self, turn: Turn, create_graph: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Both players' gradients at the same point, on the same batch and noise: minus the game's vector field."""
        g = self.gradient("g", turn, create_graph, retain_graph=True)
        d = self.gradient("d", turn, create_graph, retain_graph=create_graph)
        return g, d

    # what a turn uses, see gcn.game.turn.TurnGame

    def perturb(self, images: Tensor, stream: Stream, which: str, step: int) -> Tensor:
        """Perturbed images, of the shape (B, ...) of ``images``, as D's input; ``which`` is ``real`` or ``fake``."""
        for i, perturbation in enumerate(self.objective.perturbations):
            shared = stream.child("sight", i)
            images = perturbation(images, shared if perturbation.paired else shared.child(which), step)
        return images

    def fakes_for_d(self, turn: Turn) -> Tensor | None:
        """Reconstructions (B, 3, H, W) that D's loss is computed from; None for those of the batch."""
        source = self.objective.fakes
        return None if source is None else source(turn)

    def differentiable_loss(self, turn: Turn, player: PlayerName) -> Tensor:
        """Loss of a player without the terms that are functions of the players' gradients, with its graph."""
        return self.objective.differentiable_loss(turn, player)

    def adversarial_d_loss(self, turn: Turn) -> Tensor:
        """D's adversarial loss alone, a scalar."""
        assert self.objective.loss is not None
        return self.objective.loss.d_loss(turn)

    def _observe(self, player: PlayerName, turn: Turn, losses: list[WeightedLoss]) -> None:
        for loss in losses:
            self.values[f"{player}/{loss.name}"] = loss.value.detach()
        if ("g", "adv_weight") in turn.evaluated:
            self.values["g/adv_weight"] = turn.evaluated["g", "adv_weight"]
        self.values[f"{player}/total"] = total_of(losses).detach()
        for name, value in self.objective.measure(turn, player).items():
            self.values[f"{player}/{name}"] = value
        for instrument in self.instruments:
            self.values.update(instrument(turn, player, losses))
