"""The generators of conf/generator, small."""

import importlib
from pathlib import Path

import torch
import yaml

from gcn.game.streams import Streams

GENERATORS = Path(__file__).parents[1] / "conf" / "generator"
SMALL = {"N": 8, "M": 6, "width": 4, "hyper": 8, "blocks": 1}


def build(name: str, **options):
    """The generator of conf/generator/<name>.yaml, with small layers unless told otherwise."""
    settings = yaml.safe_load((GENERATORS / f"{name}.yaml").read_text())
    settings |= {key: value for key, value in SMALL.items() if key in settings} | options
    module, cls = settings["_target_"].rsplit(".", 1)
    torch.manual_seed(0)
    arguments = {key: value for key, value in settings.items() if not key.startswith("_")}
    return getattr(importlib.import_module(module), cls)(**arguments)


def last_convolution(network):
    """The last convolution of a network."""
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]


def spread(codec, factor: float):
    """Scale y and z so that the symbols are many: at initial weights nearly all of them are 0."""
    with torch.no_grad():
        for name in ("g_a", "h_a"):
            if hasattr(codec, name):
                last_convolution(getattr(codec, name)).weight.mul_(factor)
    return codec


def second_derivatives_agree(codec, x, step: float, relative: float, absolute: float) -> None:
    """Compare the derivatives of a codec's loss gradient in one direction with its central differences.

    Args:
        codec: in double precision.
        x: images (B, 3, H, W).
        step: of the differences.
        relative: tolerance.
        absolute: tolerance, of the largest derivative of a tensor where that is above 1.
    """
    weights = [p for p in codec.parameters() if p.requires_grad]
    generator = torch.Generator().manual_seed(0)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.05 for p in weights]

    def gradient(create_graph=False):
        out = codec(x, Streams(0).at(0))
        loss = 100 * (out.x_hat - x).square().mean() + sum(-p.log2().mean() for p in out.likelihoods.values())
        return torch.autograd.grad(loss, weights, create_graph=create_graph)

    def shifted(step):
        with torch.no_grad():
            for p, d in zip(weights, direction, strict=True):
                p.add_(d, alpha=step)
        found = gradient()
        with torch.no_grad():
            for p, d in zip(weights, direction, strict=True):
                p.add_(d, alpha=-step)
        return found

    slope = sum((g * d).sum() for g, d in zip(gradient(create_graph=True), direction, strict=True))
    exact = torch.autograd.grad(slope, weights)
    for e, up, down in zip(exact, shifted(step), shifted(-step), strict=True):
        numeric = (up - down) / (2 * step)
        assert torch.allclose(e, numeric, rtol=relative, atol=absolute * max(1.0, e.abs().max().item()))
