"""The weights that a run starts from, ``init_from=``: those of a run, a checkpoint or a model file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from gcn.errors import InputError
from gcn.files.names import printable
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.places import ENDING
from gcn.schema.fields import show
from gcn.schema.plugins import NONE, Extension
from gcn.training.checkpoint import open_checkpoint
from gcn.training.restore import check_weights

OF_TRAINING = (
    "quantisation",
    "init_scale",
    "gain",
)  # arguments that do not change what a codec's weights compute
NEW_ONE = "init_discriminator=false starts with a new one"


def load_codec(generator: nn.Module, path: str, own: Extension = NONE) -> None:
    """Load a codec's weights into the generator: of a model file or a checkpoint (averages, where it has them).

    Args:
        generator: with its first weights.
        path: of a run folder, a checkpoint or a model file.
        own: what the user adds; the architecture of a model file may be of it.

    Raises:
        InputError: neither a checkpoint nor a model file, or that of another generator.
    """
    if Path(path).suffix == ENDING:
        _load_model(generator, Path(path), own)
    else:
        _load_checkpoint(path, generator, None)


def load_players(
    generator: nn.Module,
    discriminator: nn.Module | None,
    path: str,
    wanted: bool | None = None,
    own: Extension = NONE,
) -> None:
    """Load the weights of both players from one file; a checkpoint is read once.

    Args:
        generator, discriminator: with their first weights; D has its constraints, or there is none.
        path: of a run folder, a checkpoint or a model file. Of a run folder whose last checkpoint cannot be used for
            one of the players, both are loaded from the checkpoint before it.
        wanted: whether D's weights are loaded. True: they must be there. None: of a model file that holds them. False:
            D keeps its first weights.
        own: what the user adds; the architecture of a model file may be of it.

    Raises:
        InputError: D's weights are missing, or a player's are of another architecture.
    """
    if Path(path).suffix == ENDING:
        _load_model(generator, Path(path), own)
        if discriminator is not None and wanted is not False:
            _load_model_discriminator(discriminator, Path(path), wanted)
    else:
        _load_checkpoint(path, generator, discriminator if wanted else None)


def _load_checkpoint(path: str, generator: nn.Module, discriminator: nn.Module | None) -> None:
    expected = generator.state_dict()

    def check(found: Mapping[str, Any]) -> None:
        weights, average = _codec(found)
        check_weights(weights, expected)
        check_weights(average, {n: value for n, value in expected.items() if n in average}, "averaged ")
        if discriminator is not None:
            check_weights(_discriminator(found), discriminator.state_dict())

    checkpoint = open_checkpoint(path, check)[1]
    weights, average = _codec(checkpoint)
    generator.load_state_dict(weights | average)
    if discriminator is not None:
        discriminator.load_state_dict(_discriminator(checkpoint))


def _load_model(generator: nn.Module, path: Path, own: Extension) -> None:
    codec = package.load(path, own)
    _check_same(f"init_from={printable(path)}", codec, generator)
    generator.load_state_dict(codec.state_dict())


def _load_model_discriminator(discriminator: nn.Module, path: Path, wanted: bool | None) -> None:
    try:
        weights = package.discriminator(path, discriminator.state_dict())
    except InputError as problem:
        raise InputError(f"{problem}; {NEW_ONE}") from None
    if weights is not None:
        discriminator.load_state_dict(weights)
    elif wanted:
        raise InputError(
            f"init_from={printable(path)}: holds no discriminator, which init_discriminator=true asks for; "
            "drop that word"
        )


def _check_same(shown: str, codec: Codec, generator: nn.Module) -> None:
    """Raise InputError unless a codec's weights mean the same in the generator."""
    if type(codec) is not type(generator):
        kinds = f"a {type(codec).__name__}, the run's generator is a {type(generator).__name__}"
        raise InputError(f"{shown}: holds the weights of {kinds}; choose another generator=")
    assert isinstance(generator, Codec)
    for name, value in codec.architecture.items():
        if name not in OF_TRAINING and value != generator.architecture[name]:
            raise InputError(
                f"{shown}: its generator has {name}={show(value)}, this run's {show(generator.architecture[name])};"
                f" give generator.{name}={show(value)}"
            )


def _codec(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights of a checkpoint's codec by name, and the averages of those that have one."""
    average = checkpoint["gcn"].get("average") or {}
    if not isinstance(average, dict):
        raise ValueError("the weights are missing")
    return _weights(checkpoint, "game.generator."), average


def _discriminator(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of a checkpoint's discriminator by name."""
    found = _weights(checkpoint, "game.discriminator.")
    if not found:
        raise ValueError(f"it was trained without a discriminator; {NEW_ONE}")
    return found


def _weights(checkpoint: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, dict):
        raise ValueError("the weights are missing")
    return {str(n).removeprefix(prefix): value for n, value in weights.items() if str(n).startswith(prefix)}
