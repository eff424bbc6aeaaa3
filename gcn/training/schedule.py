"""Learning-rate schedules: pure functions of the update, so that nothing needs to be restored."""

import math
from dataclasses import dataclass

from gcn.errors import InputError

SHAPES = ("constant", "one_cycle", "cosine", "step")


@dataclass(frozen=True)
class Schedule:
    """Learning-rate schedule: a factor for update ``step`` of ``steps``.

    Args:
        name: ``constant``; ``one_cycle`` (linear rise from ``final``, cosine fall to ``final``; Smith and Topin 2019);
            ``cosine`` (the same, rising from 0); ``step`` (times ``drop`` after the share ``drop_at`` of the run;
            HiFiC's is .1 at half time).
        warmup: share of the run that the rise takes, in [0, 1).
        final: the last factor.
        drop_at, drop: of ``step``.
    """

    name: str = "one_cycle"
    warmup: float = 0.1
    final: float = 0.01
    drop_at: float = 0.5
    drop: float = 0.1

    def __post_init__(self) -> None:
        if self.name not in SHAPES:
            raise InputError(f"optim.schedule.name={self.name}: choose one of {', '.join(SHAPES)}")

    def factor(self, step: int, steps: int) -> float:
        """Factor on the learning rates for the move after ``step`` updates."""
        if self.name == "constant":
            return 1.0
        if self.name == "step":
            return 1.0 if step < self.drop_at * steps else self.drop
        rise = self.warmup * steps
        if step < rise:
            low = self.final if self.name == "one_cycle" else 0.0
            return low + (1 - low) * (step + 1) / (rise + 1)
        fall = min(1.0, (step - rise) / max(1.0, steps - rise))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * fall))
