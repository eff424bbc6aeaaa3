"""``metrics.csv`` of a training in a Lightning ``Trainer``."""

from pathlib import Path
from typing import Any, cast

import lightning as L

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.report.metrics_table import MetricsTable
from gcn.training.module import GameModule


class MetricsCSV(L.Callback):
    """Callback that writes ``metrics.csv``: a row for each update whose values are logged, validations in the same row.

    ``L.Trainer(callbacks=[MetricsCSV()], …)`` with a module of :func:`gcn.build`; ``scripts/train.py`` writes its table
    by the same class. A training that is resumed with ``ckpt_path`` continues the file after the checkpoint's update,
    and removes later rows, which it writes again; Lightning's ``CSVLogger`` deletes the file that it finds.

    Args:
        file: its path; None: ``metrics.csv`` in the trainer's ``default_root_dir``.
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self.file = None if file is None else Path(file)
        self.table: MetricsTable | None = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Open the file, at the checkpoint's update where the training is resumed.

        Raises:
            InputError: a new training, and the file has the rows of another one.
        """
        if not trainer.is_global_zero:
            return
        path = self.file or Path(trainer.default_root_dir) / "metrics.csv"
        self.table = MetricsTable(path)
        if trainer.ckpt_path is not None:
            self.table.resume_at(trainer.global_step)
        elif self.table.rows():
            raise InputError(
                f"{printable(path)}: has the rows of another training; move it away, or give MetricsCSV another file"
            )

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Add a row if values were logged."""
        row = cast(GameModule, module).observed()
        if row and self.table is not None:
            self.table.append(trainer.global_step, row)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Add the values of a validation to the row of its update."""
        found = cast(GameModule, module).validated
        if not trainer.sanity_checking and found is not None and self.table is not None:
            self.table.extend(trainer.global_step, found.named("val"))
