"""The patch discriminator, with or without the latents as a condition."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.protocols import DiscriminatorOutput
from gcn.models.minibatch_discrimination import MinibatchDiscrimination
from gcn.models.virtual_norm import Reference, VirtualNorm

NORMS = {
    "none": lambda channels: nn.Identity(),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "batch": nn.BatchNorm2d,
}
HALVINGS = 3  # as HiFiC: later layers keep the resolution
CONDITION_CHANNELS = 12


class MinibatchStd(nn.Module):
    """Append the standard deviation of the batch, one number, as a constant channel (Karras et al. 2018, section 3).

        s = mean over channels and places of √(variance over the images of the batch + ε)

    A discriminator that is given s can tell a batch of images that are too much alike. With ε inside of the root, first
    and second derivatives are finite where all images are equal. Under autocast s is computed in fp32.
    """

    EPSILON = 1e-8  # of the authors' code

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, h, w) to (B, C + 1, h, w); the first C channels are those of ``x``."""
        variance = x.to(torch.promote_types(x.dtype, torch.float32)).var(0, correction=0)  # (C, h, w)
        deviation = (variance + self.EPSILON).sqrt().mean().to(x.dtype)
        return torch.cat((x, deviation.expand(len(x), 1, *x.shape[2:])), dim=1)


class Patch(nn.Module):
    """HiFiC's conditional PatchGAN (Mentzer et al., 2020, arXiv 2006.09965), of any width and depth.

        y_hat ─► conv 3×3 ─► 12 channels ─► nearest ↑16 ─┐
        x ───────────────────────────────────────────────┴─► conv 4×4 ↓2 ─► ... ─► conv 4×4 ─► logits

    Layer i of ``depth`` hidden ones has width·2^i channels, at most 8·width; the first three halve the
    resolution. HiFiC's own is width 64, depth 4. ``spectral_norm`` is applied from outside.

    Args:
        width: channels of the first hidden layer.
        depth: number of hidden layers.
        condition: see y_hat. Without it ``cond`` is ignored.
        condition_gradient: let G's gradient pass through the condition (HiFiC does not). The turn reads it and
            cuts the condition, see :attr:`gcn.game.turn.Turn.condition`.
        latent_channels: channels of y_hat; unused without ``condition``.
        norm: ``none``, ``instance``, ``batch`` or ``virtual``, after every hidden layer but the first.
        minibatch_std: put a :class:`MinibatchStd` before the last hidden layer, so that a nonlinearity follows it.
        minibatch_discrimination: kernels of a :class:`MinibatchDiscrimination` in the same place; None for none.
        reference: number of images in the reference batch of ``virtual``, see :class:`VirtualNorm`.
        side: of these images, in pixels.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        condition: bool,
        condition_gradient: bool,
        latent_channels: int,
        norm: str,
        minibatch_std: bool = False,
        minibatch_discrimination: int | None = None,
        reference: int = 8,
        side: int = 64,
    ) -> None:
        super().__init__()
        self.depth, self.norm, self.condition_gradient = depth, norm, condition_gradient
        self.condition = nn.Conv2d(latent_channels, CONDITION_CHANNELS, 3, padding=1) if condition else None
        channels = [3 + CONDITION_CHANNELS * condition, *(width * min(2**i, 8) for i in range(depth))]
        kernels = minibatch_discrimination or 0
        added = [0] * (depth - 1) + [minibatch_std + kernels]
        self.hidden = nn.ModuleList(
            nn.Sequential(
                *(_of_batch(channels[i], minibatch_std, kernels) if added[i] else []),
                _convolution(channels[i] + added[i], channels[i + 1], halve=i < HALVINGS),
                _norm(norm, channels[i + 1], i, reference),
            )
            for i in range(depth)
        )
        self.reference = Reference(reference, side) if norm == "virtual" else None
        self.channels = channels[-1]
        self.head: nn.Module = _convolution(channels[-1], 1, halve=False)

    def check_input(self, height: int, width: int) -> None:
        """Raise InputError for images that are too small for the depth; sizes in pixels."""
        halvings = min(self.depth, HALVINGS)
        smallest = 2**halvings * (2 if self.norm == "instance" else 1)
        if min(height, width) < smallest:
            raise InputError(
                f"discriminator: depth={self.depth} with norm={self.norm} needs images of {smallest} pixels"
                f" or more, not {width}x{height}; use larger crops or fewer layers"
            )

    def forward(self, x: Tensor, cond: Tensor | None = None) -> DiscriminatorOutput:
        """Logits and features of x (B, 3, H, W), decoded from ``cond`` = y_hat (B, latent_channels, h, w)."""
        features = self.hidden_features(x, cond)
        logits = self.head(features[-1])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return DiscriminatorOutput((logits,), tuple(features))

    def hidden_features(self, x: Tensor, cond: Tensor | None) -> list[Tensor]:
        """Activations (B, C, h, w) of the hidden layers; arguments as of :meth:`forward`."""
        if self.condition is not None:
            if cond is None:
                raise ValueError("this discriminator is conditional: give it y_hat")
            maps = F.leaky_relu(self.condition(cond), 0.2)
            # In the maps' type, which under autocast is that of the convolutions: half the memory, the same numbers.
            x = torch.cat((x.to(maps.dtype), F.interpolate(maps, size=x.shape[-2:], mode="nearest")), dim=1)
        if self.reference is None:
            return self._activations(x)
        self._activations(self.reference.images)  # the layers of normalisation keep its statistics
        features = self._activations(x)
        for layer in self._virtual():
            layer.statistics = None
        return features

    def _virtual(self) -> list[VirtualNorm]:
        return [layer for layer in self.modules() if isinstance(layer, VirtualNorm)]

    def _activations(self, x: Tensor) -> list[Tensor]:
        features = []
        for layer in self.hidden:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return features


def _of_batch(channels: int, deviation: bool, kernels: int) -> list[nn.Module]:
    """Layers that append to features what depends on the other images of the batch."""
    appended: list[nn.Module] = [MinibatchDiscrimination(channels, kernels)] if kernels else []
    return [*appended, MinibatchStd()] if deviation else appended


def _convolution(inputs: int, outputs: int, halve: bool) -> nn.Conv2d:
    if halve:
        return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
    return _Same(inputs, outputs, 4)


class _Same(nn.Conv2d):
    """``padding="same"`` for 4×4 kernels, without torch's warning about even ones."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (1, 2, 1, 2)))


def _norm(name: str, channels: int, layer: int, reference: int) -> nn.Module:
    if layer == 0:
        return nn.Identity()
    return VirtualNorm(channels, reference) if name == "virtual" else NORMS[name](channels)
