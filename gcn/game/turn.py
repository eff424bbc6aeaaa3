"""One player's turn in an update: what every loss and term is computed from.

    x ─► generator ─► x_hat              one forward pass a batch, shared by both players' turns
    x, x_hat ─► perturbations ─► D ─► logits, features            computed when first asked for, and cached

D, its penalties and G see the same perturbed tensors: each is drawn once a turn. Only where the objective has a source
of fakes is D's loss computed from other reconstructions than G's.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput
from gcn.game.reduction import Reduction
from gcn.game.streams import Stream

PlayerName = Literal["g", "d"]


class TurnGame(Protocol):
    """The part of a game that a turn uses; :class:`gcn.game.game.Game` is the one implementation."""

    generator: nn.Module
    discriminator: nn.Module | None
    reduce: Reduction
    reals: Callable[[Tensor], Tensor] | None
    labeller: Callable[[Tensor], Tensor] | None

    def parameters_of(self, player: PlayerName) -> list[nn.Parameter]:
        """The parameters that a player moves, in a fixed order."""

    def perturb(self, images: Tensor, stream: Stream, which: str, step: int) -> Tensor:
        """Perturbed images, of the shape (B, ...) of ``images``, as D's input; ``which`` is ``real`` or ``fake``."""

    def fakes_for_d(self, turn: "Turn") -> Tensor | None:
        """Reconstructions (B, 3, H, W) that D's loss is computed from; None for those of the batch."""

    def differentiable_loss(self, turn: "Turn", player: PlayerName) -> Tensor:
        """Loss of a player without the terms that are functions of the players' gradients."""

    def adversarial_d_loss(self, turn: "Turn") -> Tensor:
        """D's adversarial loss alone, a scalar."""


@dataclass
class Fakes:
    """Reconstructions that D is given in a turn, and what is computed from them when it is asked for.

    Attributes:
        x_hat: (B, 3, H, W), before the perturbations.
        seen: x_hat, perturbed.
        output: D's output on ``seen``.
    """

    x_hat: Tensor
    seen: Tensor | None = None
    output: DiscriminatorOutput | None = None


class Turn:
    """Context passed to every loss and term: batch, reconstruction, and D's outputs computed on demand.

    Attributes:
        x: images (B, 3, H, W) in [0, 1].
        out: the generator's output, (x_hat, y_hat, likelihoods).
        step: number of generator updates so far.
        payer: the player whose loss is being evaluated.
        playing: whether the adversarial game is on: false in warm-up and with ``loss=none``.
        measuring: only values are computed, no gradient will be asked for.
        evaluated: losses and terms already computed in this turn, by player and name.
    """

    def __init__(
        self,
        game: TurnGame,
        x: Tensor,
        out: GeneratorOutput,
        step: int,
        stream: Stream,
        player: str,
        playing: bool = True,
        measuring: bool = False,
        label: Callable[[], Tensor] | None = None,
    ) -> None:
        self.game, self.x, self.out, self.step = game, x, out, step
        self._label = label or cache(partial(_labels, game, x))  # without self: a cycle would keep the graph
        self.reduce = game.reduce
        self.playing, self.measuring = playing, measuring
        self.payer: PlayerName = "d" if player == "d" else "g"
        self.evaluated: dict[tuple[PlayerName, str], Tensor] = {}
        self._base, self._stream = stream, stream.child(player)

    def next(self, player: str) -> "Turn":
        """The other player's turn on the same batch and reconstruction, with D as it is now and new random numbers."""
        return Turn(
            self.game, self.x, self.out, self.step, self._base, player, self.playing, label=self._label
        )

    def aside(self) -> "Turn":
        """A copy of the turn for measurements, with random numbers and forward passes of D of its own."""
        stream = self._stream.child("aside")
        return Turn(
            self.game, self.x, self.out, self.step, stream, self.payer, self.playing, True, self._label
        )

    def stream(self, name: str) -> Stream:
        """This turn's random numbers for one purpose, such as ``"gp"``."""
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

    @property
    def labels(self) -> Tensor:
        """Class of each image of x, integers (B,), where the batch has labels and the game no labeller.

        With a labeller the class of each place of x, integers (B, h, w), computed once a batch, on demand.

        Raises:
            InputError: there are neither labels nor a labeller.
        """
        return self._label()

    # D's inputs and outputs

    @cached_property
    def seen_real(self) -> Tensor:
        """D's real input (B, 3, H, W): x (or the game's ``reals(x)``), perturbed; a leaf of the graph."""
        shown = self.x if self.game.reals is None else self.game.reals(self.x)
        return self.game.perturb(shown, self._stream, "real", self.step).detach().requires_grad_()

    @cached_property
    def fakes_of_g(self) -> Fakes:
        """The reconstructions of the batch, from which G's loss is computed."""
        return Fakes(self.x_hat)

    @cached_property
    def fakes_of_d(self) -> Fakes:
        """The reconstructions that D's loss is computed from: those of the batch, or what the objective puts there."""
        x_hat = self.game.fakes_for_d(self)
        return self.fakes_of_g if x_hat is None else Fakes(x_hat)

    @property
    def _fakes(self) -> Fakes:
        return self.fakes_of_d if self.payer == "d" else self.fakes_of_g

    @property
    def seen_fake(self) -> Tensor:
        """D's fake input (B, 3, H, W): x_hat, perturbed; attached to the generator where that has a graph."""
        fakes = self._fakes
        if fakes.seen is None:
            seen = self.game.perturb(fakes.x_hat, self._stream, "fake", self.step)
            fakes.seen = seen if seen.requires_grad else seen.detach().requires_grad_()
        return fakes.seen

    @cached_property
    def condition(self) -> Tensor | None:
        """D's condition y_hat; detached from the generator unless D's ``condition_gradient`` is true."""
        y_hat = self.out.y_hat
        passes = getattr(self.game.discriminator, "condition_gradient", False)
        return y_hat if y_hat is None or passes else y_hat.detach()

    def discriminate(self, images: Tensor) -> DiscriminatorOutput:
        """D's output on images (B, 3, H, W) of this batch, logits in fp32 or better."""
        assert self.game.discriminator is not None
        labels = (self.labels,) if getattr(self.game.discriminator, "takes_labels", False) else ()
        output: DiscriminatorOutput = self.game.discriminator(images, self.condition, *labels)
        logits, classes, label_logits = (
            tuple(_full_precision(scale) for scale in part)
            for part in (output.logits, output.classes, output.label_logits)
        )
        return output._replace(logits=logits, classes=classes, label_logits=label_logits)

    @cached_property
    def real(self) -> DiscriminatorOutput:
        """D's output on :attr:`seen_real`."""
        return self.discriminate(self.seen_real)

    @property
    def fake(self) -> DiscriminatorOutput:
        """D's output on :attr:`seen_fake`."""
        fakes = self._fakes
        if fakes.output is None:
            fakes.output = self.discriminate(self.seen_fake)
        return fakes.output

    def logit_mean(self, function: Callable[..., Tensor], *logits: Sequence[Tensor]) -> Tensor:
        """Mean over the joint batch, patches and scales of a function of logits.

        Args:
            function: of one tensor of logits from each of ``logits``, elementwise.
            logits: a tensor (B, 1, h, w) a scale, as in :class:`gcn.game.protocols.DiscriminatorOutput`.
        """
        return mean_over_scales([self.mean(function(*scale)) for scale in zip(*logits, strict=True)])

    def score(self, images: str | Tensor) -> Tensor:
        """Score of each image (B,): the mean of its logits over patches and scales, in full precision.

        Args:
            images: ``"real"``, ``"fake"`` (as D sees them), or other images of this batch.
        """
        return self._scored(images)[1]

    def input_gradient(self, images: str | Tensor) -> Tensor:
        """Gradient of each image's score for the image, (B, 3, H, W); ``images`` as of :meth:`score`."""
        return self.score_and_gradient(images)[1]

    def score_and_gradient(self, images: str | Tensor) -> tuple[Tensor, Tensor]:
        """Score of each image (B,) and its gradient (B, 3, H, W), of one forward pass; as :meth:`score`."""
        seen, score = self._scored(images)
        with _without_autocast(self.x.device.type):
            (gradient,) = torch.autograd.grad(
                score.sum(), seen, create_graph=not self.measuring, retain_graph=True
            )
        return score, gradient

    def _scored(self, images: str | Tensor) -> tuple[Tensor, Tensor]:
        """Images in a graph that requires their gradient, and their scores (B,)."""
        device = self.x.device.type
        if isinstance(images, str) and not torch.is_autocast_enabled(device):
            seen, output = (self.seen_real, self.real) if images == "real" else (self.seen_fake, self.fake)
        else:  # a second forward pass in fp32
            if isinstance(images, str):
                images = self.seen_real if images == "real" else self.seen_fake
            seen = images if images.requires_grad else images.detach().requires_grad_()
            with _without_autocast(device):
                output = self.discriminate(seen)
        return seen, mean_over_scales([self.reduce.per_sample_mean(scale) for scale in output.logits])

    # gradients as ingredients of terms

    def gradient(self, player: PlayerName) -> list[Tensor]:
        """Gradient of a player's loss (without terms that are functions of gradients), differentiable."""
        loss = self.game.differentiable_loss(self, player)
        return self.differentiate(loss, self.game.parameters_of(player), not self.measuring, True)

    def adversarial_d_gradient(self) -> list[Tensor]:
        """Gradient of D's adversarial loss alone for D's parameters, differentiable."""
        loss = self.game.adversarial_d_loss(self)
        return self.differentiate(loss, self.game.parameters_of("d"), not self.measuring, True)

    def differentiate(
        self, loss: Tensor, parameters: Sequence[Tensor], create_graph: bool, retain_graph: bool
    ) -> list[Tensor]:
        """Gradient of a loss of the joint batch for parameters, averaged over processes; zeros where there is no path.

        Without autocast: backward passes keep the types of the forward pass, but the double backward of a layer
        calls layers, which autocast would round.
        """
        if not loss.requires_grad:
            return [torch.zeros_like(p) for p in parameters]
        with _without_autocast(self.x.device.type):
            gradients = torch.autograd.grad(
                loss.sum(), parameters, create_graph=create_graph, retain_graph=retain_graph or create_graph,
                allow_unused=True, materialize_grads=True,
            )  # fmt: skip
        return self.reduce.average(gradients)

    @contextmanager
    def discriminator_untouched(self) -> Iterator[None]:
        """Restore D's buffers (power iterations, batch statistics) after the forward passes of the block."""
        discriminator = self.game.discriminator
        buffers = [] if discriminator is None else [(b, b.clone()) for b in discriminator.buffers()]
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.data.copy_(before)  # .data: the pass that is being observed may have saved this buffer


def mean_over_scales(values: Sequence[Tensor]) -> Tensor:
    """Mean of a sequence of tensors of one shape, one for each scale of D."""
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(0)


def _labels(game: TurnGame, x: Tensor) -> Tensor:
    if game.labeller is None:
        raise InputError(
            "the discriminator or class_entropy needs the label of each image, and these batches have none, as in "
            "studies and margins; train with data=digits, or choose discriminator=patch"
        )
    return game.labeller(x)


def _without_autocast(device: str) -> AbstractContextManager[None]:
    """Turns autocast off in the block; leaves alone what is off, for the lab's small games are no slower than that."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def _full_precision(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
