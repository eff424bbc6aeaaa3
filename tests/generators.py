"""The generators of conf/generator, small."""

import importlib
from pathlib import Path

import torch
import yaml

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
