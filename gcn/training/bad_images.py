"""Images that become unreadable during a run: named, counted, and tolerated up to a limit."""

from typing import Any

import lightning as L
import torch.distributed as dist

from gcn.data.loader import Data
from gcn.errors import InputError
from gcn.game.reduction import world_size
from gcn.training.module import GameModule
from gcn.training.progress import Progress

NAMED = 5  # on the terminal; the rest is counted


class BadImages(L.Callback):
    """Callback that names and counts unreadable images over all processes and resumes, and ends a run with too many.

    Args:
        data: whose images.
        progress: the bar, above which the lines appear.
        main: this is the process that talks.
    """

    def __init__(self, data: Data, progress: Progress, main: bool) -> None:
        self.data, self.progress, self.main = data, progress, main
        self.found: dict[str, str] = {}  # names and reasons
        self.before: set[str] = set()  # names that a resumed run had found

    @property
    def count(self) -> int:
        """Number of images that went bad since the run began."""
        return len(self.before | self.found.keys() | self.data.bad.keys())

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Look for newly unreadable images whenever numbers are logged: with several processes that takes a message."""
        assert isinstance(module, GameModule)
        if world_size() == 1 or module.game.observing:
            self.look()

    def look(self) -> None:
        """Name what went bad since the last look.

        Raises:
            InputError: more images than ``data.bad_share`` allows.
        """
        self.tell()
        if len(self.found) > self.data.tolerated():
            share = f"data.bad_share={self.data.bad_share:g}"
            name, reason = list(self.found.items())[-1]
            raise InputError(
                f"{len(self.found)} images went bad during the run, more than {share} allows, the last one {name} "
                f"({reason.partition(';')[0]}); bring them back, or set data.bad_share higher"
            )

    def tell(self) -> None:
        """Name the newly unreadable images of all processes, which call this together."""
        everywhere = [self.data.bad]
        if world_size() > 1:
            everywhere = [{} for _ in range(world_size())]
            dist.all_gather_object(everywhere, self.data.bad)
        for name, reason in [item for bad in everywhere for item in bad.items()]:
            if name in self.found:
                continue
            self.found[name] = reason
            if self.main and len(self.found) <= NAMED:
                self.progress.say(f"{name} went bad: {reason}")
            elif self.main and len(self.found) == NAMED + 1:
                self.progress.say("more images went bad; summary.json has their number")

    def state_dict(self) -> dict[str, Any]:
        return {"names": sorted(self.before | self.found.keys() | self.data.bad.keys())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = set(state_dict["names"])
