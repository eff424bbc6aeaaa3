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
        codec = package.load(Path(path), own)
        _check_same(f"init_from={printable(path)}", codec, generator)
        generator.load_state_dict(codec.state_dict())
        return
    expected = generator.state_dict()

    def check(found: Mapping[str, Any]) -> None:
        weights, average = _codec(found)
        check_weights(weights, expected)
        check_weights(average, {n: value for n, value in expected.items() if n in average}, "averaged ")

    weights, average = _codec(open_checkpoint(path, check)[1])
    generator.load_state_dict(weights | average)


def load_discriminator(discriminator: nn.Module, path: str, wanted: bool | None) -> None:
    """Load a discriminator's weights from the file that the run starts from.

    Args:
        discriminator: with its first weights, and with its constraints.
        path: of a run folder, a checkpoint or a model file.
        wanted: True: it must be there. None: of a model file that holds one. False: keep the first weights.

    Raises:
        InputError: it is missing, or of another architecture.
    """
    shown, expected = f"init_from={printable(path)}", discriminator.state_dict()
    if wanted is False:
        return
    if Path(path).suffix != ENDING:
        if wanted:
            _, checkpoint = open_checkpoint(
                path, lambda found: check_weights(_discriminator(found), expected)
            )
            discriminator.load_state_dict(_discriminator(checkpoint))
        return
    try:
        weights = package.discriminator(Path(path), expected)
    except InputError as problem:
        raise InputError(f"{problem}; {NEW_ONE}") from None
    if weights is not None:
        discriminator.load_state_dict(weights)
    elif wanted:
        raise InputError(
            f"{shown}: holds no discriminator, which init_discriminator=true asks for; drop that word"
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
