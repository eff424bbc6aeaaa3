"""The data of a game as a LightningDataModule: its loaders follow the trainer's process and update."""

from collections.abc import Iterator
from typing import Any, cast

import lightning as L

from gcn.data.batches import TrainLoader
from gcn.data.loader import Data, WholeImages


class Remaining:
    """Loader of a whole training's length that yields the batches from an update on, as Lightning's counters expect."""

    def __init__(self, loader: TrainLoader, steps: int) -> None:
        self.loader, self.steps, self.start_step, self.crops = loader, steps, loader.start_step, loader.crops

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """An empty state: batches are a function of the update."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Does nothing: there is no state."""


class GameDataModule(L.LightningDataModule):
    """Crops to train on and whole images to validate, test and predict with.

    Each process gets its own part of a batch and of the images, and a training that is resumed with ``ckpt_path`` gets
    the batch of its next update.

    Args:
        data: the images.
        seed: of order and crops.
        steps: generator updates of the whole training.
        d_steps: turns of D in an update, each on a fresh batch.
    """

    def __init__(self, data: Data, seed: int, steps: int, d_steps: int = 1) -> None:
        super().__init__()
        self.images, self.seed, self.steps, self.d_steps = data, seed, steps, d_steps

    def train_dataloader(self) -> Remaining:
        """Batches (d_steps · batch / processes, 3, P, P) in [0, 1], one for each update that is left.

        With ``overfit_batches`` each epoch has the first ones.
        """
        trainer = self._trainer()
        start = 0 if cast(Any, trainer).overfit_batches else trainer.global_step
        loader = self.images.train_loader(
            seed=self.seed, steps=self.steps, start_step=start, d_steps=self.d_steps,
            rank=trainer.global_rank, world=trainer.world_size,
        )  # fmt: skip
        return Remaining(loader, self.steps)

    def val_dataloader(self) -> WholeImages:
        """Named images (1, 3, H, W) in [0, 1], of any size, each on one process."""
        trainer = self._trainer()
        return self.images.val_images(trainer.global_rank, trainer.world_size)

    def test_dataloader(self) -> WholeImages:
        """The validation images."""
        return self.val_dataloader()

    def predict_dataloader(self) -> WholeImages:
        """The validation images."""
        return self.val_dataloader()

    def _trainer(self) -> L.Trainer:
        assert self.trainer is not None
        return self.trainer
