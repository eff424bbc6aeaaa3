"""Words of ``scripts/train.py`` for Lightning: callbacks of the user's choice, and arguments of its Trainer.

``callbacks=early_stopping`` is a file of ``conf/callbacks``, ``callbacks.NAME={_target_: CLASS, ARGUMENT: VALUE}``
any other callback: a class of Lightning, or of a package that ``plugins=`` names. Like ``plugins=`` both count on the
command line alone: what a run folder says about them is shown when the run is resumed, and never built.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gcn.config.override_words import key_of
from gcn.errors import InputError
from gcn.schema.fields import Field, show
from gcn.schema.kinds import check_name

CALLBACKS = "callbacks"
NO_CALLBACK = "none"  # the choice of the group
NOTHING: Mapping[str, Field] = {}
BARS = ("ProgressBar", "TQDMProgressBar", "RichProgressBar")  # classes of Lightning
NO_BAR = "a run has a progress bar of its own; drop this one (2> FILE hides the other)"
_SEED = "batches and validation images are fixed by the seed and data.…"

# Arguments of Lightning's Trainer that scripts/train.py sets itself, and what does it instead.
INSTEAD = {
    "num_nodes": "start the processes by torchrun or srun, with out=FOLDER",
    "logger": "logger=csv, wandb, tensorboard, mlflow or a list",
    "callbacks": "callbacks=early_stopping, checkpoint, … or callbacks.NAME={_target_: CLASS}",
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
    """The word as Hydra takes it: what a callback is given may have no place in ``conf/``, so its key is new."""
    return f"++{word}" if is_of_callbacks(word) and key_of(word) != CALLBACKS else word


def is_of_callbacks(word: str) -> bool:
    """Whether an override is about callbacks: ``callbacks=none``, ``callbacks.early.patience=3``."""
    return key_of(word).partition(".")[0] == CALLBACKS


def instead(name: str) -> str | None:
    """What replaces ``trainer.NAME``, an argument of Lightning's Trainer that a run sets itself; None for others."""
    group, _, argument = name.partition(".")
    own = INSTEAD.get(argument) if group == "trainer" else None
    return (
        None if own is None else f"{name}: a run sets this argument of Lightning's Trainer itself; use {own}"
    )


def checked_callbacks(
    values: Any, packages: Sequence[str], fields: Mapping[str, Field] = NOTHING
) -> dict[str, Any]:
    """The callbacks of a configuration by name, without those that are null.

    Args:
        values: the node ``callbacks`` of the composed configuration.
        packages: that the user has named, whose classes are allowed beside Lightning's.
        fields: declarations of arguments by dotted name; the class alone knows what others it takes.

    Raises:
        InputError: no class, one of another kind, an argument that is no plain value, or one out of its range.
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
        found[str(name)] = {
            key: value if key == "_target_" else _checked(f"{place}.{key}", value, fields)
            for key, value in node.items()
        }
    return found


def _checked(name: str, value: Any, fields: Mapping[str, Field]) -> Any:
    _check_plain(name, value)
    return fields[name].check(name, value) if name in fields else value


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
