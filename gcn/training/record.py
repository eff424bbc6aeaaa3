"""The callback that writes a run folder: rows, validations, panels, checkpoints, and the watchdog.

It reads; the weights of a run are bit for bit those of the same run without it.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.loggers import Logger

from gcn.data.loader import WholeImages
from gcn.models.dcgan import DCGAN
from gcn.report.metrics_table import MetricsTable
from gcn.report.wandb_log import WandbRun
from gcn.training.jitter import Jitter
from gcn.training.loggers import send
from gcn.training.module import GameModule
from gcn.training.panels import Panels
from gcn.training.progress import Progress
from gcn.training.samples import RealCrops, evaluate_samples
from gcn.training.stop import StopOnSignal
from gcn.training.user_callbacks import after_validation, before_validation
from gcn.training.validate import Evaluation, coding_copy, evaluate
from gcn.training.verdict import Verdict


@dataclass(frozen=True)
class Intervals:
    """Generator updates between validations, panels and checkpoints.

    Args:
        val: validations.
        panel: panels of reconstructions.
        checkpoint: checkpoints.
        best: the validation number that picks ``best.ckpt``, higher is better; where a generator has no such number,
            the least sliced Wasserstein distance does.
    """

    val: int = 500
    panel: int = 500
    checkpoint: int = 500
    best: str = "psnr"


class Record(L.Callback):
    """Callback that writes the results of a run into its folder.

    Args:
        folder: the run folder.
        images: validation images of this process.
        often: how often.
        progress: the bar that shows the latest numbers.
        wandb: where rows and panels go besides, or None.
        loggers: Lightning's, which get the rows as well.
        callbacks: of the user, whose hooks around a validation are called.
        resumed: the folder holds the rows of a run that this one continues.
        reals: what the samples of a generator from noise are compared with; None for a codec.
    """

    def __init__(
        self,
        folder: Path,
        images: WholeImages,
        often: Intervals,
        progress: Progress,
        wandb: WandbRun | None = None,
        loggers: Sequence[Logger] = (),
        callbacks: Sequence[L.Callback] = (),
        resumed: bool = False,
        reals: RealCrops | None = None,
    ) -> None:
        self.folder, self.images, self.often, self.progress, self.wandb = (
            folder,
            images,
            often,
            progress,
            wandb,
        )
        self.reals, self.loggers, self.callbacks = reals, loggers, callbacks
        self.table = MetricsTable(folder / "metrics.csv")
        self.verdict = Verdict(rows=self.table.rows)
        self.panels = Panels(folder / "panels")
        self.stop = StopOnSignal()
        self.jitter = Jitter()
        self.best = -math.inf
        self.final: Evaluation | None = None  # the validation after the last update
        self.changes: list[str] = []  # of the images, between the processes that made the run
        self.resumed, self.begun, self.phase = resumed, False, "training"
        self._since = (time.perf_counter(), 0)

    # --- Lightning's hooks ---

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Continue the table where the checkpoint ends."""
        step = trainer.global_step
        self.go_on(step, trainer.is_global_zero)
        self.stop.listen()
        self._since = (time.perf_counter(), step)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write what is due after a generator update."""
        assert isinstance(module, GameModule)
        step = trainer.global_step
        last = trainer.should_stop or step >= module.training_plan.steps
        stopping = self.stop.agreed(module.device) is not None  # asked once: a signal may come at any moment
        row = module.observed() if module.game.observing else {}
        due = {name: last or step % getattr(self.often, name) == 0 for name in ("val", "panel", "checkpoint")}
        looking = stopping or any(due.values())
        self.verdict.look(module, step, now=bool(row) or looking, weights=looking)
        finite, better = self.verdict.event is None, False
        values: dict[str, float] = {}
        if finite and (due["val"] or due["panel"]):
            self.phase = "the validation"
            before_validation(self.callbacks, trainer, module)
            values = self._validate(module, step, due["panel"], trainer.is_global_zero)
            row |= values
            self.phase = "training"
            value = row.get(f"val/{self.often.best}", -row["val/swd"])
            better = value > self.best
            self.best = value if better else self.best
        if row:
            self._write(row, step, trainer.is_global_zero)
        if better:  # first: a run that is killed between the two comes here again
            self.save(trainer, "best.ckpt")
        if values:
            after_validation(self.callbacks, trainer, module, values)
        if finite and (stopping or due["checkpoint"] or trainer.should_stop):
            self.save(trainer, "last.ckpt")
        if stopping or not finite:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Restore the signal handlers."""
        self.stop.restore()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Restore the signal handlers."""
        self.stop.restore()

    def state_dict(self) -> dict[str, Any]:
        watchdog = self.verdict.watch.watchdog.state_dict()
        return {"best": self.best, "before": self.jitter.before, "watchdog": watchdog}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.jitter.restore(state_dict["before"], self.images.names)
        self.verdict.watch.watchdog.load_state_dict(state_dict["watchdog"])

    # --- what they do ---

    def forget_validations(self, changed: Collection[str]) -> None:
        """Forget earlier validations, because the images have changed; only images that stayed are compared."""
        self.best = -math.inf
        self.jitter.forget(changed)

    def go_on(self, step: int, main: bool) -> None:
        """Continue the records of a stopped run at its checkpoint; has an effect once."""
        if self.begun:
            return
        self.begun = True
        if self.resumed and main:
            seen = self.table.resume_at(step)
            send(self.loggers, self.table.rows())
            if self.wandb is not None:
                self.wandb.go_on(self.table.rows(), seen, self._images)

    def save(self, trainer: L.Trainer, name: str) -> None:
        """Write a checkpoint: ``last.ckpt``, or ``best.ckpt`` after the best validation so far."""
        trainer.save_checkpoint(self.folder / "checkpoints" / name)

    def _validate(self, module: GameModule, step: int, draw: bool, main: bool) -> dict[str, float]:
        codec = coding_copy(module.codec, module.average)
        if self.reals is None:
            result = evaluate(codec, self.images, module.device)
        else:
            result = evaluate_samples(cast(DCGAN, codec), self.reals)
        if step >= module.training_plan.steps:
            self.final = Evaluation(result.images, dict(result.values))
        result.values |= self.jitter(result.images)
        if draw and main:
            self.panels.draw(module.game, codec, result, step, module.device)
        return result.named("val")

    def _images(self, step: int) -> dict[str, Path]:
        """Paths of the image files of an update, for W&B."""
        path = self.panels.path(step)
        return {"panel": path} if path.exists() else {}

    def _write(self, row: dict[str, float], step: int, main: bool) -> None:
        now = time.perf_counter()
        row |= self.verdict.watch.latest
        self.progress.show(row)
        if main:
            self.table.append(step, row)
            timed = row | {"time/seconds_per_step": (now - self._since[0]) / max(1, step - self._since[1])}
            send(self.loggers, [timed | {"step": step}])
            if self.wandb is not None:
                self.wandb.log(step, timed, self._images(step))
        self._since = (now, step)
