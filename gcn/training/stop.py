"""Ctrl-C, SIGTERM and SIGUSR1: finish the update, write a checkpoint, stop."""

import os
import signal
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from gcn.game.reduction import world_size


class StopRequest:
    """Remembers the first signal that asks the run to stop; a second Ctrl-C ends it at once.

    Lightning would raise in the middle of things, and outside of SLURM SIGUSR1 would kill. Under SLURM SIGUSR1 is left
    to Lightning, which requeues the job.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # what the processes have agreed on
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Install the signal handlers."""
        signals = [signal.SIGINT, signal.SIGTERM]
        if "SLURM_JOB_ID" not in os.environ and hasattr(signal, "SIGUSR1"):  # Windows has none
            signals.append(signal.SIGUSR1)
        for number in signals:
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def restore(self) -> None:
        """Restore the signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def agreed(self, device: torch.device) -> int | None:
        """The signal, as soon as any process has received one; the same answer on all of them."""
        self.signal = self._received
        if world_size() > 1:
            flag = torch.tensor(self._received or 0, device=device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            self.signal = int(flag) or None
        return self.signal
