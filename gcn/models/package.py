"""Models as files: safetensors with all that a codec needs to code, and nothing that runs.

A file holds the weights, the coder's tables and, as metadata, the class and the arguments of its constructor. So a
file that was written here decodes elsewhere: nothing that floating point might give differently is computed again.
A *variant* holds only the synthesis of a codec whose other networks are in another file beside it, its ``base``.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from gcn.errors import InputError
from gcn.files.atomic import write_bytes
from gcn.models.codec import Codec
from gcn.models.places import OF_RUN, shipped_files, superseded

FORMAT = "gcn-model-1"
_NEEDED = ("target", "architecture", "latents_id", "picture_id")


class Card(NamedTuple):
    """What a model file says of itself: where it lies, the ids of `gcn.codec.container`, remarks."""

    path: Path
    latents_id: bytes
    picture_id: bytes
    about: dict[str, Any]


def shipped() -> dict[str, Card]:
    """The models that come with the package, by name."""
    return {path.stem: card(path) for path in shipped_files()}


def save(
    codec: Codec, path: Path, about: Mapping[str, Any], base: Path | None = None, overwrite: bool = True
) -> None:
    """Write a model file, whole or not at all.

    Args:
        codec: made by ``for_coding``.
        path: of the file.
        about: remarks for people (how it was trained), plain values.
        base: a model file in the same folder with the same latents: only the synthesis is written.
        overwrite: replace a file that exists.

    Raises:
        InputError: the base has other latents or lies elsewhere; the file cannot be written.
    """
    tensors = {f"weights.{name}": value for name, value in codec.state_dict().items()}
    tensors |= {f"coding.{name}": torch.from_numpy(value) for name, value in codec.coding_state().items()}
    metadata = {
        "format": FORMAT,
        "target": f"{type(codec).__module__}.{type(codec).__qualname__}",
        "architecture": json.dumps(codec.architecture),
        "latents_id": codec.latents_id.hex(),
        "picture_id": codec.picture_id.hex(),
        "about": json.dumps(dict(about)),
    }
    if base is not None:
        if card(base).latents_id != codec.latents_id or base.absolute().parent != path.absolute().parent:
            raise InputError(f"base={base}: not a model with the same latents beside {path}")
        metadata["base"] = base.name
        tensors = {name: value for name, value in tensors.items() if name.startswith("weights.g_s.")}
    data = to_bytes({name: _compact(value) for name, value in tensors.items()}, metadata)
    write_bytes(path, data, overwrite, sync=True)  # without its tables, files that it wrote cannot be read


def save_of_run(codec: Codec, run: Path, about: Mapping[str, Any]) -> None:
    """Write the codec of a run at the end of its training.

    The codec of a shorter training stays in the folder under a name of its own: files that it wrote need its tables.
    """
    target = run / OF_RUN
    if target.is_file():
        try:
            _, latents, picture, _ = card(target)
            kept = superseded(run, latents, picture)
        except InputError:  # of another version of this program, perhaps
            kept = run / "codec-unreadable.safetensors"
        if kept != superseded(run, codec.latents_id, codec.picture_id):
            write_bytes(kept, target.read_bytes(), sync=True)
    save(codec, target, about)


def rounded(codec: Codec) -> Codec:
    """The codec with weights that half precision holds exactly, in place: its file takes half the space."""
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.copy_(parameter.half().float())
    return codec


def _compact(value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    half = value.half() if value.dtype == torch.float32 else value
    return half if torch.equal(half.to(value.dtype), value) else value


def card(path: Path) -> Card:
    """What a model file says of itself, without loading it; errors as for `load`."""
    metadata, _ = _open(path, tensors=False)
    ids = bytes.fromhex(metadata["latents_id"]), bytes.fromhex(metadata["picture_id"])
    return Card(path, *ids, json.loads(metadata.get("about", "{}")))


def load(path: Path) -> Codec:
    """The codec of a model file, ready to code.

    Raises:
        InputError: no such file, not a model, damaged, or its base is missing; this machine cannot decode exactly.
    """
    metadata, tensors = _open(path)
    if "base" in metadata:
        tensors = _open(path.with_name(Path(metadata["base"]).name))[1] | tensors
    try:
        codec = _empty(metadata["target"], json.loads(metadata["architecture"]))
        weights, coding = _part(tensors, "weights."), _part(tensors, "coding.")
        expected = {name: value.shape for name, value in codec.state_dict().items()}
        if {name: value.shape for name, value in weights.items()} != expected:
            raise ValueError("its tensors are not those of its architecture")
        codec.load_state_dict({name: _single(value) for name, value in weights.items()}, assign=True)
        state: dict[str, NDArray] = {name: _single(value).numpy() for name, value in coding.items()}
        codec.restore_coding(state)
        if (codec.latents_id.hex(), codec.picture_id.hex()) != (
            metadata["latents_id"],
            metadata["picture_id"],
        ):
            raise ValueError("its weights do not have the identifiers that it states")
    except (KeyError, ValueError, TypeError, RuntimeError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(f"{path}: damaged, or of another version ({_line(problem)})") from None
    return codec


def _empty(target: str, architecture: Mapping[str, Any]) -> Codec:
    """The codec without weights; nothing but a codec of this package is ever called."""
    module, _, name = target.rpartition(".")
    if not module.startswith("gcn.models."):
        raise ValueError(f"{target} is no codec")
    cls = getattr(importlib.import_module(module), name, None)
    if not (isinstance(cls, type) and issubclass(cls, Codec)):
        raise ValueError(f"{target} is no codec")
    with torch.device("meta"):  # the file's tensors take the places: nothing is allocated for what it claims
        return cls(**architecture)


def _open(path: Path, tensors: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{path}: not a model file, or damaged ({_line(problem)})") from None
    if metadata.get("format") != FORMAT or any(name not in metadata for name in _NEEDED):
        raise InputError(f"{path}: not a model of this project; give a file written by scripts/export.py")
    return metadata, found


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _single(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:150]
