"""Panels: the validation images with their reconstructions, as an image file after each validation."""

from pathlib import Path
from typing import Any, cast

import lightning as L
from torch import Tensor

from gcn.game.game import Game
from gcn.models.codec import Codec
from gcn.models.dcgan import DCGAN
from gcn.report.plots import PanelRow, panel
from gcn.report.sheet import sheet
from gcn.training.module import GameModule
from gcn.training.validate import Decoded, Evaluation, centre, logit_map

IMAGES, SIDE = 4, 256


class Panels(L.Callback):
    """Callback that draws original, reconstruction, error and D's logits after each validation, ``0000400.png``.

    ``L.Trainer(callbacks=[Panels()], …)`` with a module of :func:`gcn.build`; ``scripts/train.py`` draws by the same
    class every ``panel_every`` updates. Nothing is drawn for Lightning's sanity check, and nothing after a training has
    diverged.

    Args:
        folder: of the files; None: ``panels`` in the trainer's ``default_root_dir``.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Find the folder."""
        self.folder = self.folder or Path(trainer.default_root_dir) / "panels"

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Draw the images of the validation, in the first process."""
        found = cast(GameModule, module).validated
        if trainer.sanity_checking or self.folder is None or found is None or not trainer.is_global_zero:
            return
        game_module = cast(GameModule, module)
        self.draw(game_module.game, game_module.coder[0], found, trainer.global_step, module.device)

    def draw(self, game: Game, codec: Codec, found: Evaluation, step: int, device: Any) -> None:
        """Write the panel of an update.

        Args:
            game: whose discriminator's logits are drawn.
            codec: the coding copy that was validated.
            found: the validation.
            step: generator updates.
            device: of the codec.
        """
        if isinstance(codec, DCGAN):
            xs, samples = [image.x for image in found.images], [image.x_hat for image in found.images]
            sheet(self.path(step), xs, samples, f"update {step}")
            return
        rows = [panel_row(image, logit_map(game, codec, image, device)) for image in found.images[:IMAGES]]
        panel(self.path(step), rows, f"update {step}: the middle of each validation image")

    def path(self, step: int) -> Path:
        """The file of an update's panel."""
        assert self.folder is not None
        return self.folder / f"{step:07d}.png"


def panel_row(image: Decoded, logits: Tensor | None) -> PanelRow:
    """The middle of an image, with the same part of D's map; the numbers are those of the whole image."""
    rows, columns = centre(image, SIDE)
    part = None
    if logits is not None:
        scale = [n / m for n, m in zip(logits.shape, image.x.shape[-2:], strict=True)]
        (top, bottom), (left, right) = (
            (round(s.start * f), round(min(s.stop, n) * f))
            for s, f, n in zip((rows, columns), scale, image.x.shape[-2:], strict=True)
        )
        part = logits[top : max(bottom, top + 1), left : max(right, left + 1)]
    x, x_hat = image.x[:, rows, columns], image.x_hat[:, rows, columns]
    quality = -10 * float((image.x - image.x_hat).square().mean().log10())
    return PanelRow(image.name, x, x_hat, part, quality, image.bits / image.pixels)
