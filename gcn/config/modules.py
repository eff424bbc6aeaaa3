"""``gcn.build``: the words of a command line as parts for a Lightning ``Trainer`` of the user's own."""

from collections.abc import Sequence

import torch

from gcn.config.assemble import module as assemble
from gcn.config.build import build as built
from gcn.config.compose import is_hydras, key_of
from gcn.config.parse import parse
from gcn.errors import InputError
from gcn.training.datamodule import GameDataModule
from gcn.training.module import GameModule

# Words of a run of scripts/train.py that say nothing about a game or its data, and who does it instead.
OTHERS = {
    "out": "give default_root_dir to Lightning's Trainer",
    "resume": "give ckpt_path to Trainer.fit",
    "logger": "give logger to Lightning's Trainer",
    "callbacks": "give callbacks to Lightning's Trainer",
    "trainer": "give accelerator, strategy, devices and precision to Lightning's Trainer",
    "devices": "give devices to Lightning's Trainer",
    "val_every": "give val_check_interval to Lightning's Trainer",
    "panel_every": "give gcn.callbacks.Panels() to Lightning's Trainer",
    "checkpoint_every": "give a ModelCheckpoint to Lightning's Trainer",
}


def build(words: Sequence[str]) -> tuple[GameModule, GameDataModule]:
    """The game and its data for ``L.Trainer(max_epochs=1).fit(module, datamodule=data)``.

    The weights after each update are those of ``scripts/train.py`` with the same words and the same precision.

    Args:
        words: as on the command line of ``scripts/train.py``: ``["loss=ns", "mse=1", "steps=400"]``.

    Raises:
        InputError: a word that is unknown, out of range, or of the trainer.
    """
    if isinstance(words, str):
        raise InputError(f"gcn.build: give a list of words, gcn.build({words.split()}), not one string")
    for word in words:
        name = key_of(word).lstrip("+").partition(".")[0]
        if is_hydras(word) or (name in OTHERS and word.lstrip("+") != "trainer.channels_last=false"):
            raise InputError(f"gcn.build: {word}: {OTHERS.get(name, 'Hydra has no part in this; drop it')}")
    cfg = parse(words)
    module = assemble(cfg)
    if cfg.trainer.channels_last:
        module.game.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module, GameDataModule(built(cfg, "data"), cfg.seed, cfg.steps, cfg.d_steps)
