"""NeuralCompression's ``VqVaeXCiTAutoencoder``: its encoder and its codes are the labeller of MS-ILLM."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from gcn.cli.quoting import word
from gcn.files.atomic import write_bytes
from gcn.models.published.codec_target import same
from gcn.models.published.conversion import Converted, Drop, Layout, Shapes, Target, Use
from gcn.models.published.licences import CC_BY_NC
from gcn.models.vq_labeller import CODE, CODEBOOK, Projected

CLASSES, WIDTHS = (2, 65536), (2, 512)  # as conf/labeller/vq.yaml declares
_UNUSED = {
    "decoder.": Drop("the decoder; labels need the encoder alone"),
    "bottleneck_op.output_conv.": Drop("the projection behind the codes; labels need the codes alone"),
    "bottleneck_op.child.child.": Drop("a counter of the training of the codes"),
}


def _unit(value: Tensor) -> Tensor:
    """Codes of unit length: the published network normalises them in each forward pass."""
    return F.normalize(value, dim=-1)


def _rule(name: str, target: Target) -> Use | Drop | None:
    if name == CODEBOOK:
        return Use(name, _unit)
    if name in target.expected:
        return Use(name, same)
    return next((drop for prefix, drop in _UNUSED.items() if name.startswith(prefix)), None)


def _target(shapes: Shapes) -> Target:
    width, classes = shapes["encoder.conv_in.weight"][0], shapes[CODEBOOK][0]
    for value, (low, high), what in ((width, WIDTHS, "channels"), (classes, CLASSES, "codes")):
        if not low <= value <= high:
            raise ValueError(f"it has {value} {what}; {low} to {high} are possible")
    with torch.device("meta"):
        network = Projected(width)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    arguments, published = {"classes": classes, "width": width}, {"classes": 1024, "width": 64}
    changed = [f"labeller.{name}={value}" for name, value in arguments.items() if value != published[name]]
    return Target(
        ["labeller=vq", *changed],
        "gcn.models.vq_labeller.VQ",
        arguments,
        expected | {CODEBOOK: (classes, CODE)},
    )


def _write(found: Converted, path: Path, about: Mapping[str, Any], overwrite: bool) -> list[str]:
    """Write the labeller's file; returns the words of a training that uses it."""
    write_bytes(
        path, save(found.weights, {name: str(value) for name, value in about.items()}), overwrite, sync=True
    )
    words = [*found.target.words, word("labeller.weights", path)]
    return [f"to train with its labels: loss=oasis {' '.join(words)}"]


LABELLER = Layout(
    "VqVaeXCiTAutoencoder of NeuralCompression",
    CC_BY_NC,
    lambda shapes: {"encoder.conv_in.weight", CODEBOOK} <= set(shapes),
    _target,
    _rule,
    _write,
)
