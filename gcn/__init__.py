"""gcn: generative compression networks, and whether a distortion loss stabilises their training.

``gcn.build(["loss=ns", "mse=1"])`` returns a LightningModule and a LightningDataModule, ``gcn.callbacks`` has Lightning
callbacks for them. Both are imported when they are first asked for: ``import gcn`` imports neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcn import callbacks as callbacks
    from gcn.config.modules import GameModule as GameModule
    from gcn.config.modules import build as build

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name in ("build", "GameModule"):
        return getattr(import_module("gcn.config.modules"), name)
    if name == "callbacks":
        return import_module("gcn.callbacks")
    raise AttributeError(f"module 'gcn' has no attribute {name!r}")
