"""Callback that tells whether a resumed run has the images that it began with."""

import sys
from typing import Any

import lightning as L

from gcn.data.fingerprint import digests, joint_digest
from gcn.data.loader import Data
from gcn.training.record import Record


class SameData(L.Callback):
    """Keeps digests of the images in the checkpoints; after a resume one line says what changed.

    The run goes on: who lost an image for good must not lose the run. Numbers that need the same images twice are not
    made, and ``summary.json`` has the changes.

    Args:
        data: the images of this run.
        record: keeps the lines, and forgets what it knows of validation images that changed.
        start: the update at which this process begins.
        main: whether this is the process that speaks; the others leave the training images alone.
    """

    def __init__(self, data: Data, record: Record, start: int, main: bool) -> None:
        self.record, self.start, self.main = record, start, main
        self.then: dict[str, Any] | None = None
        self.now: dict[str, Any] = {
            "validation": dict(zip(data.val_names, digests(data.val), strict=True)),
            "training": joint_digest([source.images for source in data.sources]) if main else None,
            "training_images": sum(len(source.images) for source in data.sources),
        }

    def state_dict(self) -> dict[str, Any]:
        """Digests of the images, for the comparison after a resume."""
        return {**self.now, "changes": self.record.changes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the digests of the images that the checkpoint was trained and validated on."""
        self.then, self.record.changes = state_dict, list(state_dict["changes"])

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Compare the images with the digests, once everything is restored."""
        if self.then is None:  # a new run, or a checkpoint that is older than this
            return
        then, now = self.then["validation"], self.now["validation"]
        added, removed = now.keys() - then.keys(), then.keys() - now.keys()
        changed = {name for name in then.keys() & now.keys() if then[name] != now[name]}
        if added or removed or changed:
            self.record.forget_validations(changed)
            self._note(
                f"validation images changed at update {self.start} ({len(added)} added, {len(removed)} removed, "
                f"{len(changed)} changed): validations before and after cannot be compared, best.ckpt is chosen anew, "
                "and jitter is of images that stayed"
            )
        if self.main and self.then["training"] != self.now["training"]:
            self._note(
                f"training images changed at update {self.start} ({self.then['training_images']} before, "
                f"{self.now['training_images']} now): from here on this is not the run that it would have been"
            )

    def _note(self, line: str) -> None:
        self.record.changes.append(line)
        if self.main:
            print(line, file=sys.stderr, flush=True)
