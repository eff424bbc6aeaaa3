"""The generators of conf/generator, small."""

import importlib
from pathlib import Path

import torch
import yaml

GENERATORS = Path(__file__).parents[1] / "conf" / "generator"


def build(name: str, **options):
    """The generator of conf/generator/<name>.yaml, with small layers unless told otherwise."""
    settings = yaml.safe_load((GENERATORS / f"{name}.yaml").read_text()) | {"N": 8, "M": 6} | options
    module, cls = settings["_target_"].rsplit(".", 1)
    torch.manual_seed(0)
    arguments = {key: value for key, value in settings.items() if not key.startswith("_")}
    return getattr(importlib.import_module(module), cls)(**arguments)


def spread(codec, factor: float):
    """Scale y and z so that the symbols are many: at initial weights nearly all of them are 0."""
    with torch.no_grad():
        for name in ("g_a", "h_a"):
            if hasattr(codec, name):
                getattr(codec, name)[-1].weight.mul_(factor)
    return codec
