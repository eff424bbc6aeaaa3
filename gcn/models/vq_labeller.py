"""The labeller of MS-ILLM: the encoder and the codebook of a VQ-VAE with cross-covariance attention."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.models.blocks import channel_norm
from gcn.models.labeller import Labeller, check_count, read

CODEBOOK = "bottleneck_op.child.child.codebooks.0"
MULTIPLES = (1, 2, 2, 4)  # channels at full size and after each halving, in units of the width
BLOCKS = 2  # residual blocks at each size
EMBEDDING, CODE = 256, 8  # channels of the encoder's output, and of its projection


class VQ(Labeller):
    """Classes of 8×8 pixels by a VQ-VAE: the code nearest to the normalised projection of its encoder's output.

    The file has the tensors ``encoder.*``, ``bottleneck_op.input_conv.*`` and ``bottleneck_op.child.child.codebooks.0``
    of NeuralCompression's ``VqVaeXCiTAutoencoder`` under their own names (Muckley et al. 2023), the codes with unit
    length; the decoder and the output projection are not used. ``scripts/convert.py`` writes it.

    Args:
        weights: the file.
        classes: K, the number of its codes; 1024 in the published one.
        width: channels at full size; 64 in the published one.

    Raises:
        InputError: no such file, another network, or another K.
    """

    def __init__(self, weights: str, classes: int, width: int) -> None:
        network = Projected(width)
        shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        tensors = read(Path(weights), shapes | {CODEBOOK: (-1, CODE)}, "labeller.weights")
        codes = tensors.pop(CODEBOOK)
        check_count(codes, classes, Path(weights))
        network.load_state_dict(tensors)
        super().__init__(network, codes)


class Projected(nn.Module):
    """The encoder with its normalised projection: x (B, 3, H, W) in [0, 1] to (B, 8, H/8, W/8) of unit length."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = _Encoder(width)
        self.bottleneck_op = _Projection()

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.bottleneck_op.input_conv(self.encoder(x)), dim=1)


class _Projection(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_conv = nn.Conv2d(EMBEDDING, CODE, 1)


class _Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width, *(width * times for times in MULTIPLES)]
        last = channels[-1]
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            _Size(channels[i], channels[i + 1], coarsest=i == len(MULTIPLES) - 1)
            for i in range(len(MULTIPLES))
        )
        self.mid = nn.Sequential(_Residual(last, last), _Attention(last), _Residual(last, last))
        self.norm_out = _ChannelNorm(last)
        self.conv_out = nn.Conv2d(last, EMBEDDING, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for size in self.down:
            x = size(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class _Size(nn.Module):
    """The residual blocks of one size: attention follows each at the coarsest, a halving follows them at the others."""

    def __init__(self, inputs: int, outputs: int, coarsest: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(_Residual(inputs if i == 0 else outputs, outputs) for i in range(BLOCKS))
        self.attn = nn.ModuleList(_Attention(outputs) if coarsest else nn.Identity() for _ in range(BLOCKS))
        self.downsample = nn.Identity() if coarsest else _Halving(outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block, attention in zip(self.block, self.attn, strict=True):
            x = attention(block(x))
        return self.downsample(x)


class _Halving(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _ChannelNorm(inputs), _ChannelNorm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class _Attention(nn.Module):
    """Cross-covariance attention of one head (El-Nouby et al. 2021, XCiT): a C×C mixture of channels, for any size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.xca = _ChannelNorm(channels), _CrossCovariance(channels)

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)  # (B, h·w, C)
        return x + self.xca(places).transpose(1, 2).reshape(x.shape)


class _CrossCovariance(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1, 1, 1))
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, places: Tensor) -> Tensor:
        q, k, v = self.qkv(places).transpose(1, 2).chunk(3, dim=1)  # (B, C, h·w) each
        mixture = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(1, 2) * self.temperature
        return self.proj((mixture.softmax(-1) @ v).transpose(1, 2))


class _ChannelNorm(nn.Module):
    """HiFiC's normalisation; γ and β have the shape that they have in the published file."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return channel_norm(x, self.gamma, self.beta)
