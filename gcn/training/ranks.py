"""Several processes: launched by Lightning, averaged by the game itself."""

from typing import Any

from lightning.pytorch.strategies import DDPStrategy


class ReplicatedStrategy(DDPStrategy):
    """Lightning's launcher and process group, without DDP's reducer.

    The reducer hooks ``backward()``; it neither sees ``autograd.grad`` nor could it average inside the graph, which
    norms of global gradients need. :mod:`gcn.reduce` averages instead.
    """

    def configure_ddp(self) -> None:
        """Leave the module as it is."""

    def _register_ddp_hooks(self) -> None:
        pass

    def pre_backward(self, closure_loss: Any) -> None:
        """Nothing to prepare: there is no reducer."""
