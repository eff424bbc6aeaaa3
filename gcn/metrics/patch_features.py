"""Features of small patches without a download: of random convolutions, and of a small trained network.

    crop ─► 4x4 DCT in opponent colours, scaled ─► 1x1, |·| ─► 3x3 /2, relu ─► 3x3 /2, relu ─► log(1 + mean) ─► (64)

Natural images have little energy in fine detail, so the first layer divides each component by its usual deviation.
The logarithm keeps strong damage, noise above all, from growing without bound in the cubic kernel of KID.
The trained network has learned to tell photographs from `gcn.metrics.degradations`; `scripts/features.py` trains it.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gcn.cli.invocation import as_called
from gcn.errors import InputError
from gcn.metrics.degradations import dct_matrix

TRAINED = Path(__file__).parent / "shipped" / "patch_features.safetensors"
SHAPES = {"mix": (24, 48), "middle": (48, 24, 3, 3), "last": (64, 48, 3, 3)}
DIMENSIONS = SHAPES["last"][0]
SMALLEST = 16  # pixels a side of a crop
SEED = 0  # of the random network


def front() -> Tensor:
    """Filters (48, 3, 4, 4): the DCT of 4x4 blocks in three opponent colours, over its usual deviation in photographs.

    The deviation of luminance falls with the frequency f as .3 / (f + .2), that of chroma as .05 / (f + .3)² + .002.
    """
    basis = dct_matrix(4)
    blocks = torch.einsum("ui,vj->uvij", basis, basis).flatten(0, 1)
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    colours = colours / colours.norm(dim=1, keepdim=True)
    k = torch.arange(4.0)
    frequency = (k[:, None].square() + k[None].square()).sqrt().flatten()
    chroma = 0.05 / (frequency + 0.3).square() + 0.002
    deviation = torch.stack([0.3 / (frequency + 0.2), chroma, chroma])
    filters = torch.einsum("ca,kij->ckaij", colours, blocks) / deviation[..., None, None, None]
    return filters.flatten(0, 1)


class PatchFeatures:
    """A network of given weights that computes 64 features of a crop.

    Args:
        weights: of the three layers and their biases, with the names and shapes of `SHAPES`, and a factor of the
            features, ``scale`` (1,).
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights, self.front = weights, front()
        grey = self.front.new_full((48,), 0.5)  # the components of mid grey are subtracted
        self.offset = self.front.sum((1, 2, 3)) * grey

    def __call__(self, crops: Tensor) -> Tensor:
        """Features (N, 64) of crops (N, 3, s, s) in [0, 1], s at least 16."""
        if crops.dim() != 4 or min(crops.shape[-2:]) < SMALLEST:
            raise ValueError(f"crops (N, 3, s, s), s at least {SMALLEST}; got {tuple(crops.shape)}")
        w = self.weights
        first = w["mix"] @ self.front.flatten(1)
        bias = w["mix_bias"] - w["mix"] @ self.offset
        h = F.conv2d(crops, first.view(-1, 3, 4, 4), bias, stride=2).abs()
        h = F.relu(F.conv2d(h, w["middle"], w["middle_bias"], stride=2))
        h = F.relu(F.conv2d(h, w["last"], w["last_bias"], stride=2))
        return h.mean((2, 3)).log1p() * w["scale"]

    @torch.no_grad()
    def of_bytes(self, crops: Tensor) -> Tensor:
        """Features (N, 64) of crops (N, 3, s, s) uint8, 512 at once."""
        return torch.cat([self(part.float() / 255) for part in crops.split(512)])


def random_weights(seed: int = SEED) -> dict[str, Tensor]:
    """Weights of independent normal numbers with the variances of He et al. 2015, biases 0; the seed decides them."""
    generator = torch.Generator().manual_seed(seed)
    found = {"scale": torch.ones(1)}
    for name, shape in SHAPES.items():
        deviation = math.sqrt(2 / math.prod(shape[1:]))
        found[name] = torch.randn(shape, generator=generator) * deviation
        found[f"{name}_bias"] = torch.zeros(shape[0])
    return found


def trained_weights(path: Path = TRAINED) -> dict[str, Tensor]:
    """Weights of the trained network, from the package or from another file of `scripts/features.py`.

    Raises:
        InputError: not a file of these weights.
    """
    shapes: dict[str, tuple[int, ...]] = {"scale": (1,), **SHAPES}
    shapes |= {f"{name}_bias": (shape[0],) for name, shape in SHAPES.items()}
    try:
        with safe_open(path, "pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
    except (OSError, SafetensorError) as problem:
        raise InputError(
            f"{path}: cannot be read ({problem}); {as_called('train it with scripts/features.py')}"
        ) from None
    if {name: tuple(value.shape) for name, value in found.items()} != shapes:
        raise InputError(
            f"{path}: not the weights of patch features; {as_called('train it with scripts/features.py')}"
        )
    return {name: value.float() for name, value in found.items()}


def about(path: Path = TRAINED) -> dict[str, object]:
    """How the trained network was trained: images, command, steps, accuracy."""
    with safe_open(path, "pt") as file:
        return dict(json.loads((file.metadata() or {})["about"]))
