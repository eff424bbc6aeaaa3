"""The classifiers whose features LPIPS compares, and where their weights are; without torch, for early errors."""

import os
from pathlib import Path
from typing import NamedTuple

from gcn.errors import InputError


class Backbone(NamedTuple):
    """A classifier of torchvision: the official name of its weights, and the smallest side it takes, in pixels."""

    file: str
    smallest: int

    @property
    def url(self) -> str:
        """Where torchvision publishes the weights."""
        return f"https://download.pytorch.org/models/{self.file}"


BACKBONES = {
    "alex": Backbone("alexnet-owt-7be5be79.pth", 31),
    "vgg": Backbone("vgg16-397923af.pth", 16),
    "squeeze": Backbone("squeezenet1_1-b8a52dc0.pth", 17),
}


def hub_folder() -> Path:
    """The folder that ``torch.hub.get_dir()`` names unless a program sets another."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))).expanduser() / "hub"


def backbone_file(net: str, backbone: str | None, hub: Path) -> Path:
    """The file of a classifier's weights, as torchvision publishes them.

    Args:
        net: a name in ``BACKBONES``.
        backbone: the file, or None for the one in torch's cache.
        hub: torch's cache.

    Raises:
        InputError: there is no such file; says where to put it.
    """
    official = BACKBONES[net]
    file = Path(backbone) if backbone else hub / "checkpoints" / official.file
    if not file.is_file():
        name = f"terms.lpips.backbone={backbone}" if backbone else "lpips"
        raise InputError(
            f"{name}: the weights of the {net} backbone are missing; put {official.url} at {file}, or give "
            "terms.lpips.backbone=PATH (or random, for trials)"
        )
    return file
