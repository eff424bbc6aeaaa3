"""The watchdog: ends a diverging run cleanly, and names the step and the quantity."""

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

RUNAWAY = 1e4  # x the running median: far outside what a bad batch does to a loss or a gradient norm
CONSECUTIVE = 3  # checks in a row: Adam survives a single spike, and a spike is not divergence
WINDOW = 256  # checks over which the median runs
WARM_UP = 16  # checks before a median means anything
FLOOR = 1.0  # losses cross zero: a median below 1 counts as 1


class Event(NamedTuple):
    """The step at which a run was ended early, and the reason."""

    step: int
    reason: str


class Watchdog:
    """Checks losses and gradient norms of each update: ``check(step, {"train/g/total": 0.3})``.

    Fires at once for NaN and infinity, and for a value whose magnitude stays beyond ``RUNAWAY`` times its
    running median. Its history belongs into the checkpoint (``state_dict``), else a resumed run could end
    elsewhere.
    """

    def __init__(self) -> None:
        self._history: dict[str, deque[float]] = {}
        self._beyond: dict[str, int] = {}

    def check(self, step: int, quantities: Mapping[str, float]) -> Event | None:
        """The event that ends the run, or None; of several quantities the first in the order of ``quantities``."""
        for name, value in quantities.items():
            if not math.isfinite(value):
                return Event(step, f"{name} is {value} at step {step}")
            history = self._history.setdefault(name, deque(maxlen=WINDOW))
            limit = RUNAWAY * max(median(history), FLOOR) if len(history) >= WARM_UP else math.inf
            self._beyond[name] = self._beyond.get(name, 0) + 1 if abs(value) > limit else 0
            if self._beyond[name] >= CONSECUTIVE:
                return Event(step, f"{name} ran away to {value:.3g}, beyond {limit:.3g}, at step {step}")
            if self._beyond[name] == 0:
                history.append(abs(value))
        return None

    def state_dict(self) -> dict[str, Any]:
        """The watchdog's history, with which a resumed run ends where an uninterrupted one would."""
        return {
            "history": {name: list(values) for name, values in self._history.items()},
            "beyond": dict(self._beyond),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the history of :meth:`state_dict`."""
        self._history = {name: deque(values, maxlen=WINDOW) for name, values in state["history"].items()}
        self._beyond = dict(state["beyond"])
