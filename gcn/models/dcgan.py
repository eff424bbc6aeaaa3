"""A standard GAN's generator: images from noise, without an image to reconstruct and without a code."""

import copy
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import GeneratorOutput
from gcn.game.streams import Stream

SMALLEST = 4  # side of the first activations, pixels


class DCGAN(nn.Module):
    """Deep convolutional generator (Radford et al. 2016, arXiv 1511.06434), for images of 16 to 256 pixels.

        z ─► conv↑ to 4×4 ─► norm ─► relu ─► [conv 4×4 ↑2 ─► norm ─► relu] … ─► conv 4×4 ↑2 ─► ½ + ½ tanh ─► x_hat

    z has ``noise`` independent standard normal components. Channels halve from stage to stage, down to ``width`` before
    the last one. Weights begin normal with deviation .02, as in the paper.

    Args:
        noise: components of z.
        width: channels before the last layer.
        norm: ``batch``, as in the paper, or ``none``.
        side: of the images, in pixels: a power of two.

    Raises:
        InputError: another side.
    """

    def __init__(self, noise: int, width: int, norm: str, side: int) -> None:
        super().__init__()
        stages = (side // SMALLEST).bit_length() - 1
        if side != SMALLEST * 2**stages or not 16 <= side <= 256:
            raise InputError(
                f"data.crop={side}: generator=dcgan makes images of 16, 32, 64, 128 or 256 pixels; choose one of these"
            )
        self.noise, self.side = noise, side
        channels = [width * 2 ** (stages - 1 - i) for i in range(stages)]
        layers = [
            nn.ConvTranspose2d(noise, channels[0], SMALLEST, bias=norm == "none"),
            *_after(norm, channels[0]),
        ]
        for inputs, outputs in pairwise(channels):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none"))
            layers += _after(norm, outputs)
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1))
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, noise: Stream) -> GeneratorOutput:
        """As many images as x (B, 3, side, side) holds; nothing else of x is used."""
        if x.shape[-2:] != (self.side, self.side):
            raise InputError(
                f"generator=dcgan makes images of {self.side} pixels, and these crops have {x.shape[-1]}"
            )
        return GeneratorOutput(self.images(noise.child("z").normal(x.new_empty(len(x), self.noise))))

    def images(self, z: Tensor) -> Tensor:
        """Images (B, 3, side, side) in (0, 1) from noise z (B, noise)."""
        made = self.layers(z[:, :, None, None])
        made = made.float() if made.dtype in (torch.bfloat16, torch.float16) else made
        return 0.5 + 0.5 * made.tanh()

    @torch.no_grad()
    def sample(self, number: int, noise: Stream, batch: int = 64) -> Tensor:
        """Images (number, 3, side, side), a function of the stream's key; call it on :meth:`for_coding`."""
        like = next(self.parameters()).new_empty(number, self.noise)
        return torch.cat([self.images(part) for part in noise.normal(like).split(batch)])

    def for_coding(self) -> Self:
        """A copy for validation, in eval mode; raises FloatingPointError where weights are not finite."""
        copied = copy.deepcopy(self).eval().requires_grad_(False)
        if not all(parameter.isfinite().all() for parameter in copied.parameters()):
            raise FloatingPointError(
                "the generator has weights that are not finite: its training has diverged"
            )
        return copied

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by part: all are the decoder's."""
        return {"decoder": list(self.parameters()), "aux": []}


def _after(norm: str, channels: int) -> list[nn.Module]:
    return [*([nn.BatchNorm2d(channels)] if norm == "batch" else []), nn.ReLU()]
