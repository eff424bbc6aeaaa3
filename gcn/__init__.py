"""gcn: generative compression networks, and whether a distortion loss stabilises their training.

``gcn.build(["loss=ns", "mse=1"])`` returns a LightningModule and a LightningDataModule. It is imported when it is first
asked for: ``import gcn`` imports neither torch nor Lightning.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcn.config.modules import build as build

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "build":
        from gcn.config.modules import build

        return build
    raise AttributeError(f"module 'gcn' has no attribute {name!r}")
