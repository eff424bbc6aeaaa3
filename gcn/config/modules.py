"""``gcn.build``: the words of a command line as parts for a Lightning ``Trainer`` of the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch

from gcn.config.assemble import module as assemble
from gcn.config.build import build as built
from gcn.config.override_words import is_hydras, key_of, refuse_doubled
from gcn.config.parse import Config, as_text, load, load_text, parse
from gcn.config.stored import FILE
from gcn.config.trained import run_of
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.plugins import extension
from gcn.training import module as training
from gcn.training.checkpoint import open_checkpoint
from gcn.training.datamodule import GameDataModule

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


class GameModule(training.GameModule):
    """The game of a configuration as a LightningModule, of :func:`build` or of a checkpoint alone.

    Its checkpoints hold the configuration as a text. Nothing in a checkpoint decides what code is run: the text is read
    as ``config.yaml`` of a run folder is, with the classes that ``conf/`` has for its choices.
    """

    config: Config

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the configuration, and the state that is in no parameter."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["gcn"]["config"] = as_text(self.config)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        *,
        plugins: Sequence[str] = (),
        config_dir: str | None = None,
        **parts: Any,
    ) -> Self:
        """The module of a checkpoint, with its weights, their averages and its rule's memory.

        Args:
            checkpoint_path: a checkpoint of a Trainer of your own, a run folder of ``scripts/train.py``, or a
                checkpoint in one.
            map_location: device of the module; None: the CPU.
            plugins: packages that the training had, ``["mypackage"]``: what the file says of them is not used.
            config_dir: a folder of configurations that the training had.
            parts: ``game=``, ``rule=`` and ``training=`` of a module, where the checkpoint has no configuration; then
                Lightning's own arguments are possible as well.

        Raises:
            InputError: no checkpoint, one without a configuration, one that needs plugins, or one that does not fit.
        """
        if parts:
            return super().load_from_checkpoint(checkpoint_path, map_location, **parts)  # type: ignore[misc]
        file, checkpoint = open_checkpoint(checkpoint_path)
        own, shown = extension(tuple(plugins), config_dir), printable(file)
        text, folder = checkpoint["gcn"].get("config"), run_of(Path(checkpoint_path))
        if isinstance(text, str):
            cfg = load_text(text, f"the configuration in {shown}", own)
        elif (folder / FILE).is_file():
            cfg = load(folder, own=own)
        else:
            raise InputError(
                f"{shown}: holds no configuration, and no {FILE} lies in {printable(folder)}; "
                "give game=, rule= and training= of a module"
            )
        module = cast(
            Self, _module(cls, Config({**cfg, "init_from": None}))
        )  # all weights are in the checkpoint
        try:
            module.on_load_checkpoint(checkpoint)
        except InputError as problem:
            raise InputError(f"{shown}: {problem}") from None
        module.load_state_dict(checkpoint["state_dict"])
        return module if map_location is None else module.to(map_location)


def _module(kind: type[GameModule], cfg: Config) -> GameModule:
    module = cast(GameModule, assemble(cfg, kind))
    module.config = cfg
    if cfg.trainer.channels_last:
        module.game.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def build(words: Sequence[str]) -> tuple[GameModule, GameDataModule]:
    """The game and its data for ``L.Trainer(max_epochs=1).fit(module, datamodule=data)``.

    The weights after each update are those of ``scripts/train.py`` with the same words and the same precision.

    Args:
        words: as on the command line of ``scripts/train.py``: ``["loss=ns", "mse=1", "steps=400"]``.

    Raises:
        InputError: a word that is unknown, out of range, given twice, or of the trainer.
    """
    cfg = _parsed(words)
    return _module(GameModule, cfg), GameDataModule(built(cfg, "data"), cfg.seed, cfg.steps, cfg.d_steps)


def build_game(words: Sequence[str]) -> GameModule:
    """The module of :func:`build`, without reading the data."""
    return _module(GameModule, _parsed(words))


def _parsed(words: Sequence[str]) -> Config:
    if isinstance(words, str):
        raise InputError(f"gcn.build: give a list of words, gcn.build({words.split()}), not one string")
    for word in words:
        name = key_of(word).lstrip("+").partition(".")[0]
        if is_hydras(word) or (name in OTHERS and word.lstrip("+") != "trainer.channels_last=false"):
            raise InputError(f"gcn.build: {word}: {OTHERS.get(name, 'Hydra has no part in this; drop it')}")
    refuse_doubled(words)
    return parse(words)
