"""Ends a diverging training: the watchdog's look at every update's gradient norms, and at the weights."""

from collections.abc import Sequence

from torch import Tensor, nn

from gcn.metrics.watchdog import Event, Watchdog
from gcn.training.player import OptimizerPlayer

PATIENCE = 10  # updates between two looks on a GPU, where a look waits for the device


class NormWatch:
    """Checks the norm of each update's gradients, before clipping.

    Attributes:
        watchdog: whose history belongs into checkpoints.
        event: what ended the training, or None.
        latest: ``train/g/grad_norm`` and ``train/d/grad_norm`` of the last update that was looked at.
    """

    def __init__(self) -> None:
        self.watchdog = Watchdog()
        self.event: Event | None = None
        self.latest: dict[str, float] = {}
        self._unseen: list[tuple[int, Tensor, Tensor | None]] = []

    def __call__(self, players: Sequence[OptimizerPlayer], step: int, now: bool = True) -> None:
        """Note an update's norms; check all noted ones ``now``, or after ``PATIENCE`` updates.

        Args:
            players: G's and D's; the same one twice where there is no discriminator.
            step: updates so far, this one included.
            now: the device need not be waited for, or is waited for anyway.
        """
        g, d = players
        self._unseen.append((step, g.norms[-1], d.norms[-1] if d is not g and d.norms else None))
        g.norms.clear()
        d.norms.clear()
        if not now and len(self._unseen) < PATIENCE:
            return
        for at, norm_g, norm_d in self._unseen:
            self.latest = {"train/g/grad_norm": float(norm_g)}
            if norm_d is not None:
                self.latest["train/d/grad_norm"] = float(norm_d)
            if self.event is None:
                self.event = self.watchdog.check(at, self.latest)
        self._unseen.clear()

    def check_weights(self, module: nn.Module, step: int) -> None:
        """A finite gradient can still move a weight out of the range of its type; no checkpoint may hold that."""
        for name, parameter in module.named_parameters():
            if self.event is None and not parameter.isfinite().all():
                self.event = Event(step, f"{name} is not finite at step {step}")
