"""The game: a generator, a discriminator and an objective.

    x ─► g_a ─► y ─► entropy bottleneck ─► y_hat ─► g_s ─► x_hat          one generator forward a batch
                │ likelihoods                        │
    D's turn:  see(x), see(x_hat) ─► D ─► logits ─► loss + Σ weight · term ─► ∇_ψ
    G's turn:  see(x), see(x_hat) ─► D ─► logits ─► loss + Σ weight · term ─► ∇_θ

Gradients are taken with ``autograd.grad`` for the parameters of the player whose turn it is, and for nothing else: no
term can leave a gradient on the other player, and ``.grad`` is empty outside of a step. The codec's training and the
two-scalar games of the theory are both instances of :class:`Game`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gcn.game.objective import Charge, Objective, total_of
from gcn.game.reduction import Reduction
from gcn.game.slots import PlayerName
from gcn.game.streams import Stream, Streams

Instrument = Callable[["Turn", PlayerName, list[Charge]], dict[str, Tensor]]


class Game(nn.Module):
    """Two players and what they pay.

    Args:
        generator: ``(x, noise: Stream) -> (x_hat, y_hat, likelihoods)``, see :class:`gcn.models.codec.Codec`.
        discriminator: ``(images, y_hat) -> (logits, features)``; a high logit means real.
        objective: the named charges.
        streams: the run's random numbers.
        reduce: what a mean over the batch is; see :mod:`gcn.game.reduction`.
        reals: what D is shown as real, given the batch; by default the batch itself. Distortions always compare with
            the batch.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        objective: Objective,
        streams: Streams,
        reduce: Reduction | None = None,
        reals: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator, self.objective = generator, discriminator, objective
        self.streams, self.reduce = streams, reduce or Reduction()
        self.reals = reals
        self.instruments: list[Instrument] = []
        self.observing = False
        self.values: dict[str, Tensor] = {}  # what was measured in the current update, "g/mse", "d/r1", …
        for term in objective.terms.values():
            term.check(self)

    def parameters_of(self, player: PlayerName) -> list[nn.Parameter]:
        """The parameters that a player moves, in a fixed order."""
        module = self.generator if player == "g" else self.discriminator
        return [] if module is None else [p for p in module.parameters() if p.requires_grad]

    def turn(
        self, player: str, x: Tensor, step: int, batch: int = 0, attached: bool = True, playing: bool = True
    ) -> "Turn":
        """Open a turn on a fresh batch: one forward pass of the generator.

        Args:
            player: whose turn it is, ``"both"`` for rules that move the players together; names the turn's random
                numbers.
            x: images (B, 3, H, W) in [0, 1].
            step: number of generator updates so far.
            batch: which of the update's batches this is.
            attached: keep the generator's graph.
            playing: false while there is no game (warm-up, ``loss=none``).
        """
        stream = self.streams.at("update", step, batch)
        with torch.set_grad_enabled(attached or self.objective.d_reaches_generator()):
            out = self.generator(x, stream.child("quantisation"))
        return Turn(self, x, out, step, stream, player, playing)

    def gradient(
        self, player: PlayerName, turn: "Turn", create_graph: bool = False, retain_graph: bool = False
    ) -> list[Tensor]:
        """What a player's parameters feel in this turn: ∇ of everything it pays, over all processes."""
        charges = self.objective.charges(turn, player)
        if self.observing:
            self._observe(player, turn, charges)
        keep = retain_graph or (
            player == "d" and self.objective.d_reaches_generator()
        )  # G's turn needs it again
        return turn.differentiate(total_of(charges), self.parameters_of(player), create_graph, keep)

    def field(self, turn: "Turn", create_graph: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Both players' gradients at the same point, on the same batch and noise: minus the game's vector field."""
        g = self.gradient("g", turn, create_graph, retain_graph=True)
        d = self.gradient("d", turn, create_graph, retain_graph=create_graph)
        return g, d

    def _observe(self, player: PlayerName, turn: "Turn", charges: list[Charge]) -> None:
        for charge in charges:
            self.values[f"{player}/{charge.name}"] = charge.value.detach()
        self.values[f"{player}/total"] = total_of(charges).detach()
        for name, value in self.objective.measure(turn, player).items():
            self.values[f"{player}/{name}"] = value
        for instrument in self.instruments:
            self.values.update(instrument(turn, player, charges))


class Turn:
    """What a term sees: the batch, its reconstruction and, computed when first asked for, what D says of them.

    D, its penalties and G look at the same tensors: each of the two sights is drawn once a turn.

    Attributes:
        x: images (B, 3, H, W) in [0, 1].
        out: the generator's output, (x_hat, y_hat, likelihoods).
        step: number of generator updates so far.
        payer: the player whose charge is being evaluated.
        playing: whether there is an adversary at all.
        measuring: values only, no gradient will be asked for.
    """

    def __init__(
        self,
        game: Game,
        x: Tensor,
        out: Any,
        step: int,
        stream: Stream,
        player: str,
        playing: bool = True,
        measuring: bool = False,
    ) -> None:
        self.game, self.x, self.out, self.step = game, x, out, step
        self.reduce = game.reduce
        self.playing, self.measuring = playing, measuring
        self.payer: PlayerName = "d" if player == "d" else "g"
        self.evaluated: dict[tuple[PlayerName, str], Tensor] = {}
        self._base, self._stream = stream, stream.child(player)

    def next(self, player: PlayerName) -> "Turn":
        """The other player's turn on the same batch and reconstruction, with D as it is now and fresh draws."""
        return Turn(self.game, self.x, self.out, self.step, self._base, player, self.playing)

    def aside(self) -> "Turn":
        """The same turn for measurements alone: own random numbers, own forward passes of D."""
        stream = self._stream.child("aside")
        return Turn(self.game, self.x, self.out, self.step, stream, self.payer, self.playing, measuring=True)

    def stream(self, name: str) -> Stream:
        """This turn's random numbers for one purpose."""
        return self._stream.child(name)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the joint batch of all processes: ``(B, ...)`` to a scalar."""
        return self.reduce.mean(values)

    @property
    def x_hat(self) -> Tensor:
        """The reconstruction (B, 3, H, W), not clamped."""
        return self.out.x_hat

    @cached_property
    def bpp(self) -> Tensor:
        """Estimated bits per pixel of each image (B,)."""
        likelihoods = [_full_precision(p).log() for p in self.out.likelihoods.values()]
        nats = torch.stack([-p.flatten(1).sum(1) for p in likelihoods]).sum(0)
        return nats / (math.log(2) * self.x.shape[-1] * self.x.shape[-2])

    # what D sees and says

    def _see(self, images: Tensor, which: str) -> Tensor:
        for i, sight in enumerate(self.game.objective.sights):
            images = sight(images, self._stream.child("sight", i, which), self.step)
        return images

    @cached_property
    def seen_real(self) -> Tensor:
        """x (or what the game's ``reals`` makes of it) as D sees it, a leaf that can be differentiated for."""
        shown = self.x if self.game.reals is None else self.game.reals(self.x)
        return self._see(shown, "real").detach().requires_grad_()

    @cached_property
    def seen_fake(self) -> Tensor:
        """x_hat as D sees it, attached to the generator where that has a graph."""
        seen = self._see(self.x_hat, "fake")
        return seen if seen.requires_grad else seen.detach().requires_grad_()

    @cached_property
    def condition(self) -> Tensor | None:
        """y_hat as D sees it: cut from the generator's graph unless D's ``condition_gradient`` lets it through."""
        y_hat = self.out.y_hat
        passes = getattr(self.game.discriminator, "condition_gradient", False)
        return y_hat if y_hat is None or passes else y_hat.detach()

    def judge(self, images: Tensor) -> Any:
        """D on arbitrary images of this batch: (logits, features), logits in fp32 or better."""
        assert self.game.discriminator is not None
        judged = self.game.discriminator(images, self.condition)
        return judged._replace(logits=_full_precision(judged.logits))

    @cached_property
    def real(self):
        """D on x: (logits, features)."""
        return self.judge(self.seen_real)

    @cached_property
    def fake(self):
        """D on x_hat: (logits, features)."""
        return self.judge(self.seen_fake)

    def input_gradient(self, images: str | Tensor) -> Tensor:
        """∇ of each image's score (its mean logit) for the image, (B, 3, H, W), always in full precision.

        Args:
            images: ``"real"``, ``"fake"`` (as D sees them), or other images of this batch.
        """
        device = self.x.device.type
        if isinstance(images, str) and not torch.is_autocast_enabled(device):
            seen, judged = (self.seen_real, self.real) if images == "real" else (self.seen_fake, self.fake)
        else:  # a second forward pass in fp32
            if isinstance(images, str):
                images = self.seen_real if images == "real" else self.seen_fake
            seen = images if images.requires_grad else images.detach().requires_grad_()
            with torch.autocast(device, enabled=False):
                judged = self.judge(seen)
        score = self.reduce.per_sample_mean(judged.logits)
        with torch.autocast(device, enabled=False):
            (gradient,) = torch.autograd.grad(
                score.sum(), seen, create_graph=not self.measuring, retain_graph=True
            )
        return gradient

    # gradients as ingredients of terms

    def gradient(self, player: PlayerName) -> list[Tensor]:
        """∇ of what a player pays (without terms that are functions of gradients), differentiable."""
        loss = self.game.objective.differentiable_loss(self, player)
        return self.differentiate(loss, self.game.parameters_of(player), not self.measuring, True)

    def adversarial_d_gradient(self) -> list[Tensor]:
        """∇_ψ of D's adversarial loss alone, differentiable."""
        assert self.game.objective.loss is not None
        loss = self.game.objective.loss.d_loss(self)
        return self.differentiate(loss, self.game.parameters_of("d"), not self.measuring, True)

    def differentiate(
        self, loss: Tensor, parameters: Sequence[Tensor], create_graph: bool, retain_graph: bool
    ) -> list[Tensor]:
        """∇ of a loss of the joint batch for parameters, averaged over processes; zeros where there is no path.

        Without autocast: backward passes keep the types of the forward pass, but the double backward of a layer
        calls layers, which autocast would round.
        """
        if not loss.requires_grad:
            return [torch.zeros_like(p) for p in parameters]
        with torch.autocast(self.x.device.type, enabled=False):
            gradients = torch.autograd.grad(
                loss.sum(), parameters, create_graph=create_graph, retain_graph=retain_graph or create_graph,
                allow_unused=True, materialize_grads=True,
            )  # fmt: skip
        return self.reduce.average(gradients)

    @contextmanager
    def discriminator_untouched(self) -> Iterator[None]:
        """Forward passes in here leave D's buffers (power iterations, batch statistics) as they were."""
        discriminator = self.game.discriminator
        buffers = [] if discriminator is None else [(b, b.clone()) for b in discriminator.buffers()]
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.data.copy_(before)  # .data: the pass that is being observed may have saved this buffer


def _full_precision(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
