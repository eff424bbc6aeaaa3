"""The codec of this project that published weights fill, and the rules that all such codecs share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from gcn.cli.invocation import called
from gcn.cli.quoting import command, word
from gcn.models import package
from gcn.models.architectures import GENERATORS, empty
from gcn.models.codec import Codec
from gcn.models.published.conversion import Converted, Drop, Target, Use
from gcn.schema.kinds import resolve

QUANTILES = "entropy_bottleneck.quantiles"
_LIKELIHOOD = Drop("bound of CompressAI's likelihoods; here a symbol costs 30 bits at most", 1e-9)
_TABLES = Drop("table of CompressAI's coder; this project's coder has its own")
_BUFFERS = {
    "_offset": _TABLES,
    "_quantized_cdf": _TABLES,
    "_cdf_length": _TABLES,
    "scale_table": _TABLES,
    "target": Drop("constant of CompressAI's auxiliary loss, which is not needed"),
    "quantiles": Drop("found again by bisection of the same density"),
    "likelihood_lower_bound.bound": _LIKELIHOOD,
    "scale_bound": Drop("smallest scale, the same here", 0.11),
    "lower_bound_scale.bound": Drop("smallest scale, the same here", 0.11),
}


def codec_target(choice: str, **decided: int) -> Target:
    """The codec of ``generator=choice`` in the size that a file decides.

    Args:
        choice: file of ``conf/generator``.
        decided: arguments of its class; the others have their defaults.

    Raises:
        ValueError: no such codec can be built.
    """
    values = yaml.safe_load((GENERATORS / f"{choice}.yaml").read_text(encoding="utf-8"))
    defaults = {name: value for name, value in values.items() if not name.startswith("_")}
    arguments: dict[str, Any] = {**defaults, **decided}
    codec = empty(values["_target_"], arguments)
    expected = {name: tuple(value.shape) for name, value in codec.named_parameters() if name != QUANTILES}
    changed = [f"generator.{name}={value}" for name, value in decided.items() if value != defaults[name]]
    return Target(
        [f"generator={choice}", *changed], values["_target_"], arguments, expected, arguments["speed"]
    )


def filled(found: Converted) -> Codec:
    """The codec with the weights of a file, ready to code.

    Raises:
        ValueError: its weights are too large for exact sums.
    """
    codec: Codec = resolve("generator", found.target.network)(**found.target.arguments)
    codec.load_state_dict(codec.state_dict() | found.weights, assign=True)
    return codec.for_coding()


def write(found: Converted, path: Path, about: Mapping[str, Any], overwrite: bool) -> list[str]:
    """Write the codec as a model file; returns its identifier and the command that trains from it.

    Raises:
        ValueError: its weights are too large for exact sums.
    """
    codec = filled(found)
    package.save(codec, path, about, overwrite=overwrite)
    start = command(*called("train"), *found.target.words, word("init_from", path))
    zeros = sum(int((value == 0).sum()) for name, value in found.weights.items() if name.endswith(".g"))
    still = [f"{zeros} weights of GDN are 0 and stay 0 in further training"] if zeros else []
    return [*still, f"latents {codec.latents_id.hex()}", f"to train from it: {start}"]


def buffer(name: str) -> Drop | None:
    """What becomes of an entry of CompressAI's entropy models that is no weight: its name behind the model's."""
    return _BUFFERS.get(name)


def density(name: str, target: Target) -> Use:
    """Use of a parameter of a factorised density, which is stored divided by ``speed`` here."""

    def divided(value: Tensor) -> Tensor:
        return value / target.scale

    return Use(f"entropy_bottleneck.{name}", divided)


def same(value: Tensor) -> Tensor:
    """The tensor itself."""
    return value
