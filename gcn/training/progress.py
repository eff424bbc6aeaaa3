"""The progress bar of a run: speed and the latest numbers."""

import sys
from typing import Any

import lightning as L
from tqdm import tqdm

SHOWN = {
    "train/psnr": ("psnr", ".2f"),
    "train/bpp": ("bpp", ".3f"),
    "train/d/logit_gap": ("gap", ".2f"),
    "train/g/grad_norm": ("|g|", ".2g"),
    "train/d/grad_norm": ("|d|", ".2g"),
    "val/psnr": ("val psnr", ".2f"),
    "val/bpp": ("val bpp", ".3f"),
}


class Progress(L.Callback):
    """One bar over the whole run, in generator updates, with the latest numbers of ``metrics.csv``.

    Lightning's own bar counts an epoch's batches and loses count after a resume.
    """

    def __init__(self) -> None:
        self.bar: Any = None
        self.numbers: dict[str, str] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Set the bar to the update at which the run begins or resumes."""
        if trainer.is_global_zero:
            patient = 0.2 if sys.stderr.isatty() else 30.0  # seconds between lines in a log file
            self.bar = tqdm(
                total=trainer.max_steps, initial=trainer.global_step, desc="training", unit="step",
                dynamic_ncols=True, mininterval=patient, maxinterval=patient,
            )  # fmt: skip

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Advance the bar by one update."""
        if self.bar is not None:
            self.bar.update(trainer.global_step - self.bar.n)

    def on_train_end(self, *_: Any) -> None:
        """Close the bar, which stays on the screen."""
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar, which stays on the screen."""
        self.on_train_end()

    def show(self, row: dict[str, float]) -> None:
        """Show new numbers beside the bar."""
        self.numbers |= {short: format(row[key], form) for key, (short, form) in SHOWN.items() if key in row}
        if self.bar is not None:
            self.bar.set_postfix(self.numbers, refresh=False)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)
