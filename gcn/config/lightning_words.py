"""Words of ``scripts/train.py`` for Lightning: callbacks of the user's choice, and arguments of its Trainer.

``callbacks.NAME={_target_: CLASS, ARGUMENT: VALUE}`` adds a callback: a class of Lightning, or of a package that
``plugins=`` names. Like ``plugins=`` it counts on the command line alone: what a run folder says about it is shown when
the run is resumed, and never built.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gcn.cli.quoting import callback_words
from gcn.config.compose import key_of
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.schema.fields import show
from gcn.schema.kinds import check_name

CALLBACKS = "callbacks"
BARS = ("ProgressBar", "TQDMProgressBar", "RichProgressBar")  # classes of Lightning
NO_BAR = "a run has a progress bar of its own; drop this one (2> FILE hides the other)"
_LONGEST = 300  # characters of a stored callback that are shown
_SEED = "batches and validation images are fixed by the seed and data.…"

# Arguments of Lightning's Trainer that scripts/train.py sets itself, and what does it instead.
INSTEAD = {
    "num_nodes": "start the processes by torchrun or srun, with out=FOLDER",
    "logger": "logger=csv, wandb, tensorboard, mlflow or a list",
    "callbacks": "callbacks.NAME={_target_: CLASS}",
    "fast_dev_run": "steps=1",
    "max_epochs": "steps=N",
    "min_epochs": "steps=N",
    "max_steps": "steps=N",
    "min_steps": "steps=N",
    "limit_train_batches": "steps=N",
    "limit_val_batches": "data.val_root=FOLDER of fewer images",
    "limit_test_batches": "data.val_root=FOLDER of fewer images",
    "limit_predict_batches": "data.val_root=FOLDER of fewer images",
    "overfit_batches": "data.root=FOLDER of few images, data.augment=false",
    "val_check_interval": "val_every=N",
    "check_val_every_n_epoch": "val_every=N",
    "num_sanity_val_steps": "val_every=1 steps=1 in a run of its own",
    "log_every_n_steps": "log_every=N",
    "enable_checkpointing": "checkpoint_every=N",
    "enable_progress_bar": "the run has a bar of its own; 2> FILE hides it",
    "accumulate_grad_batches": "data.batch=N",
    "gradient_clip_val": "optim.g.clip=X optim.d.clip=X",
    "gradient_clip_algorithm": "optim.g.clip=X optim.d.clip=X, which bound the norm",
    "inference_mode": "validations never track gradients",
    "use_distributed_sampler": _SEED,
    "reload_dataloaders_every_n_epochs": _SEED,
    "barebones": "log_every=N val_every=N panel_every=N checkpoint_every=N",
    "plugins": "trainer.precision=…; checkpoints are written whole or not at all",
    "sync_batchnorm": "discriminator.norm=none or instance",
    "default_root_dir": "out=FOLDER",
    "enable_autolog_hparams": "loggers always get the configuration",
    "model_registry": "the codec is in codec.safetensors of the run folder",
}


def appended(word: str) -> str:
    """The word as Hydra takes it: a callback has no place in ``conf/``, so its key is new to Hydra."""
    return f"++{word}" if is_of_callbacks(word) else word


def is_of_callbacks(word: str) -> bool:
    """Whether an override is about callbacks: ``callbacks=null``, ``callbacks.early.patience=3``."""
    return key_of(word).partition(".")[0] == CALLBACKS


def instead(name: str) -> str | None:
    """What replaces ``trainer.NAME``, an argument of Lightning's Trainer that a run sets itself; None for others."""
    group, _, argument = name.partition(".")
    own = INSTEAD.get(argument) if group == "trainer" else None
    return (
        None if own is None else f"{name}: a run sets this argument of Lightning's Trainer itself; use {own}"
    )


def checked_callbacks(values: Any, packages: Sequence[str]) -> dict[str, Any]:
    """The callbacks of a configuration by name, without those that are null.

    Args:
        values: the node ``callbacks`` of the composed configuration.
        packages: that the user has named, whose classes are allowed beside Lightning's.

    Raises:
        InputError: no class, one of another kind, or an argument that is no plain value.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InputError(f"{CALLBACKS}={show(values)}: {_form(CALLBACKS + '.NAME')}")
    found: dict[str, Any] = {}
    for name, node in values.items():
        place = f"{CALLBACKS}.{name}"
        if node is None:
            continue
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise InputError(f"{place}={show(node)}: names no class; {_form(place)}")
        check_name(place, node["_target_"], packages)
        if str(node["_target_"]).rpartition(".")[2] in BARS:
            raise InputError(f"{place}: {NO_BAR}")
        for key, value in node.items():
            if key != "_target_":
                _check_plain(f"{place}.{key}", value)
        found[str(name)] = dict(node)
    return found


def refuse_forgotten(stored: Any, words: Sequence[str], shown: str) -> None:
    """Refuse to resume a run that had callbacks, unless the words of the command line say something about them.

    Args:
        stored: the node ``callbacks`` of an untrusted run folder.
        words: of the command line.
        shown: name of the folder.

    Raises:
        InputError: with the callbacks that the run had, as words.
    """
    if any(map(is_of_callbacks, words)) or not isinstance(stored, Mapping) or not stored:
        return
    before = " ".join(map(shlex.quote, callback_words({CALLBACKS: stored})))
    raise InputError(
        f"{shown}: the run has callbacks, and what a run folder names is not built; give them again, "
        f"{printable(before)[:_LONGEST]}, or go on without them, callbacks=null"
    )


def _check_plain(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, part in value.items():
            if str(key).startswith("_"):
                raise InputError(
                    f"{name}.{key}: nothing is built here; arguments of a callback are plain values"
                )
            _check_plain(f"{name}.{key}", part)
    elif isinstance(value, list):
        for part in value:
            _check_plain(name, part)


def _form(place: str) -> str:
    return f"write {place}={{_target_: lightning.pytorch.callbacks.CLASS, ARGUMENT: VALUE}}"
