"""Ctrl-C, SIGTERM, SIGHUP and SIGUSR1: finish the update, write a checkpoint, stop."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
import torch.distributed as dist

from gcn.cli.terminal import hang_up, leave_terminal
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.game.reduction import world_size


class StopOnSignal(L.Callback):
    """Callback that finishes the update, writes a checkpoint and ends the training after Ctrl-C or another signal.

    The others are SIGTERM, SIGHUP (a terminal was closed; ignored under ``nohup``) and SIGUSR1.
    A second Ctrl-C ends the program at once. Lightning alone would raise in the middle of things, and outside of SLURM
    SIGUSR1 would kill. Under SLURM SIGUSR1 is left to Lightning, which requeues the job.

    ``L.Trainer(callbacks=[StopOnSignal()], …)`` trains on with ``fit(…, ckpt_path=…)``, whose path is printed;
    ``scripts/train.py`` stops by the same class.

    Args:
        checkpoint: its path; None: ``last.ckpt`` in the trainer's ``default_root_dir``.

    Attributes:
        signal: number of the signal that ended the training, or None.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        self.checkpoint = checkpoint
        self.signal: int | None = None  # what the processes have agreed on
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Install the signal handlers."""
        self.listen()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Write a checkpoint and end the training if a signal has arrived."""
        if self.agreed(module.device) is None:
            return
        assert self.signal is not None
        trainer.should_stop = True
        path = Path(self.checkpoint or Path(trainer.default_root_dir) / "last.ckpt")
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            print(
                f"stopped by {signal.Signals(self.signal).name} after {trainer.global_step} updates; "
                f"go on with Trainer.fit(…, ckpt_path='{printable(path)}')",
                flush=True,
            )

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Restore the signal handlers."""
        self.restore()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Restore the signal handlers."""
        self.restore()

    def listen(self) -> None:
        """Install the signal handlers.

        Raises:
            InputError: not in the main thread, which alone gets signals.
        """
        if threading.current_thread() is not threading.main_thread():
            raise InputError(
                "StopOnSignal: only the main thread of a program gets signals; train there, or drop it"
            )
        signals = [signal.SIGINT, signal.SIGTERM, *hang_up()]
        if "SLURM_JOB_ID" not in os.environ and hasattr(signal, "SIGUSR1"):  # Windows has none
            signals.append(signal.SIGUSR1)
        for number in signals:
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        if number in hang_up():
            leave_terminal()
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
