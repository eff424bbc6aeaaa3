"""Small networks, E of them at once: every parameter is (E, ...), a row a game.

Noise          z ~ N(0, I) ─► decoder ─► x_hat
Autoencoder    x ─► encoder ─► tanh ─► y, |y| < (L-1)/2 ─► + U(-½, ½) ─► y_hat ─► decoder ─► x_hat
Critic         x or x_hat ─► hidden layers (features) ─► logit
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from gcn.game.protocols import DiscriminatorOutput, GeneratorOutput
from gcn.game.streams import Stream
from gcn.lab.plane.paired import PairedStream

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu,
    "leaky": torch.nn.functional.leaky_relu,
    "tanh": torch.tanh,
}
PLANE = 2  # coordinates of a point


class Layers(nn.Module):
    """E multilayer perceptrons, with no activation after the last layer.

    Initial weights and biases are uniform within ±1/√inputs, as those of ``torch.nn.Linear``, and depend on the game's
    seed alone: games of one seed begin alike whatever they pay.

    Args:
        sizes: inputs, hidden units …, outputs.
        activation: of the hidden layers, one of ``ACTIVATIONS``.
        games: E.
        stream: decides the initial weights.
        slope: of the activation ``leaky`` below 0.
    """

    def __init__(
        self, sizes: Sequence[int], activation: str, games: int, stream: PairedStream, slope: float = 0.01
    ) -> None:
        super().__init__()
        chosen = ACTIVATIONS[activation]
        self.activation = partial(chosen, negative_slope=slope) if activation == "leaky" else chosen
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for i, (inputs, outputs) in enumerate(pairwise(sizes)):
            for parameters, name, rows in ((self.weights, "weight", inputs), (self.biases, "bias", 1)):
                share = stream.child(i, name).uniform(torch.empty(games, rows, outputs))
                parameters.append(nn.Parameter((2 * share - 1) / math.sqrt(inputs)))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs (E, B, ...) of inputs (E, B, ...), and the values of the hidden layers, each (E, B, units)."""
        *hidden, last = zip(self.weights, self.biases, strict=True)
        values = []
        for weight, bias in hidden:
            x = self.activation(torch.baddbmm(bias, x, weight))
            values.append(x)
        return torch.baddbmm(last[1], x, last[0]), tuple(values)


Make = Callable[[str, int, int], Layers]  # of a name, the inputs and the outputs


class Noise(nn.Module):
    """The generator of an ordinary GAN: standard normal z to x_hat, whatever x is.

    Args:
        make: makes networks.
        latent: how many numbers z is.
    """

    def __init__(self, make: Make, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.decoder = make("decoder", latent, PLANE)

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Samples (E, B, 2); x (E, B, 2) only sets their number."""
        z = noise.normal(x.new_empty(*x.shape[:-1], self.latent))
        return GeneratorOutput(self.decoder(z)[0])


class Autoencoder(nn.Module):
    """A codec of points: a bounded code, additive uniform noise, a decoder.

    y + U(-½, ½) lies in an interval of length L, hence y_hat tells no more than log2 L bits of x for each number of the
    code. The noise stays on when samples are judged: with dither that sender and receiver share it is exactly what
    arrives, at that rate (Ziv 1985; Agustsson and Theis 2020).

    Args:
        make: makes networks.
        code: how many numbers it is.
        levels: L, of each.
    """

    def __init__(self, make: Make, code: int, levels: int) -> None:
        super().__init__()
        self.bound = (levels - 1) / 2
        self.encoder = make("encoder", PLANE, code)
        self.decoder = make("decoder", code, PLANE)

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """Reconstructions (E, B, 2) of x (E, B, 2)."""
        y = self.bound * self.encoder(x)[0].tanh()
        y_hat = y + noise.uniform(y) - 0.5
        return GeneratorOutput(self.decoder(y_hat)[0], y_hat)


class Critic(nn.Module):
    """D: points (E, B, 2) to logits (E, B, 1), without a condition; its features are the hidden layers."""

    condition_gradient = True

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.layers = make("critic", PLANE, 1)

    def forward(self, images: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits (E, B, 1) of images (E, B, 2)."""
        logits, features = self.layers(images)
        return DiscriminatorOutput((logits,), features)
