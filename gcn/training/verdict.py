"""The verdict on a training in a Lightning ``Trainer``: stable, oscillating, diverged or collapsed."""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning as L
import torch

from gcn.metrics import stability
from gcn.metrics.watchdog import Event
from gcn.training.module import GameModule
from gcn.training.watch import NormWatch


class Verdict(L.Callback):
    """Callback that ends a diverging training, and says at its end whether it was stable.

    ``L.Trainer(callbacks=[Verdict()], …)`` with a module of :func:`gcn.build`; ``scripts/train.py`` judges by the same
    class. :mod:`gcn.metrics.stability` has the rules. A training that is resumed with ``ckpt_path`` is judged as a
    whole, because checkpoints hold the rows so far.

    Args:
        verbose: print the verdict in a line at the end.
        rows: where the rows of values are, if something else keeps them: a function that returns them; None: they are
            kept here.

    Attributes:
        event: what ended the training, or None.
        result: name, update, reason and indicators; None before the end of the training.
    """

    def __init__(self, verbose: bool = True, rows: Callable[[], stability.Rows] | None = None) -> None:
        self.verbose, self.watch = verbose, NormWatch()
        self.result: stability.Verdict | None = None
        self._rows: list[dict[str, Any]] = []
        self._elsewhere = rows

    @property
    def event(self) -> Event | None:
        """What ended the training, or None."""
        return self.watch.event

    def judge(self) -> stability.Verdict:
        """The verdict on the rows so far."""
        return stability.verdict(self._elsewhere() if self._elsewhere else self._rows, self.event)

    def look(self, module: GameModule, step: int, now: bool, weights: bool) -> None:
        """Note the gradient norms of an update, and check them.

        Args:
            module: that has made the update.
            step: updates so far.
            now: check them without waiting for further updates, for which a GPU is waited for.
            weights: check the weights as well.
        """
        self.watch(module.players, step, now=now or module.device.type == "cpu")
        if weights:
            self.watch.check_weights(module.game, step)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Look at an update, and end the training if it diverges."""
        row, step = cast(GameModule, module).observed(), trainer.global_step
        self.look(cast(GameModule, module), step, now=bool(row), weights=bool(row))
        if row:
            self._note(step, row)
        if self.event is not None:
            trainer.should_stop = True

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Note the values of a validation."""
        found = cast(GameModule, module).validated
        if not trainer.sanity_checking and found is not None:
            self._note(trainer.global_step, found.named("val"))

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Judge the training."""
        self.result = self.judge()
        if self.verbose and trainer.is_global_zero:
            print(f"verdict {self.result.name} at step {self.result.step}: {self.result.reason}", flush=True)

    def _note(self, step: int, values: Mapping[str, float]) -> None:
        if not self._rows or self._rows[-1]["step"] != step:
            self._rows.append({"step": step})
        self._rows[-1] |= values

    def state_dict(self) -> dict[str, Any]:
        """The watchdog's history, and the rows as tensors: (rows, names), and which of the numbers were measured."""
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        numbers = [[float(row.get(name, math.nan)) for name in names] for row in self._rows]
        there = [[name in row for name in names] for row in self._rows]
        return {
            "watchdog": self.watch.watchdog.state_dict(),
            "names": names,
            "numbers": torch.tensor(numbers, dtype=torch.float64).reshape(len(numbers), len(names)),
            "there": torch.tensor(there, dtype=torch.bool).reshape(len(numbers), len(names)),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the rows of a checkpoint."""
        self.watch.watchdog.load_state_dict(state_dict["watchdog"])
        pairs = zip(state_dict["numbers"].tolist(), state_dict["there"].tolist(), strict=True)
        self._rows = [
            {name: number for name, number, there in zip(state_dict["names"], *pair, strict=True) if there}
            for pair in pairs
        ]
        for row in self._rows:
            row["step"] = int(row["step"])
