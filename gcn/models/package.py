"""Model files: safetensors with all that a codec needs to code, and no executable content.

A file holds the weights, the coder's tables and, as metadata, the class and the arguments of its constructor. So a
file that was written here decodes elsewhere: nothing that floating point might give differently is computed again.
A *variant* holds only the synthesis of a codec whose other networks are in another file beside it, its ``base``.
A *training model* holds the weights of a discriminator as well; coding does not read them.
"""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gcn.cli.invocation import as_called
from gcn.errors import InputError, NotNamed
from gcn.files.atomic import replacing
from gcn.files.names import printable
from gcn.models.architectures import empty
from gcn.models.codec import Codec
from gcn.models.places import OF_RUN, shipped_files, superseded
from gcn.models.tensor_file import write_tensors
from gcn.schema.plugins import NONE, Extension

FORMAT = "gcn-model-1"
LARGEST_HEADER = 2**20  # bytes; those that ship have 4000
LARGEST_CODING = 2**23  # numbers of tables and the like
_NAMES = {torch.int32: "I32", torch.int64: "I64", torch.bool: "BOOL"}
DISCRIMINATOR = "discriminator."  # what the names of a discriminator's tensors begin with
_NEEDED = ("target", "architecture", "latents_id", "picture_id")


class Kind(NamedTuple):
    """Type and shape of a tensor in a file."""

    dtype: str
    shape: tuple[int, ...]


class Card(NamedTuple):
    """Description of a model file: its path, the digests of :mod:`gcn.codec.container`, remarks."""

    path: Path
    latents_id: bytes
    picture_id: bytes
    about: dict[str, Any]


def shipped() -> dict[str, Card]:
    """The models that come with the package, by name."""
    return {path.stem: card(path) for path in shipped_files()}


def save(
    codec: Codec,
    path: Path,
    about: Mapping[str, Any],
    base: Path | None = None,
    overwrite: bool = True,
    discriminator: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model file, whole or not at all.

    Args:
        codec: made by ``for_coding``.
        path: of the file.
        about: remarks for people (how it was trained), plain values.
        base: a model file in the same folder with the same latents: only the synthesis is written.
        overwrite: replace a file that exists.
        discriminator: weights of a discriminator by name, to continue a training from the file.

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
    tensors |= {f"{DISCRIMINATOR}{name}": value for name, value in (discriminator or {}).items()}
    tensors = {name: _compact(value) for name, value in tensors.items()}
    with replacing(
        path, overwrite, sync=True
    ) as partial:  # without its tables, files that it wrote cannot be read
        write_tensors(partial, tensors, metadata)


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
            with replacing(kept, sync=True) as partial:
                shutil.copyfile(target, partial)
    save(codec, target, about)


def rounded(codec: Codec) -> Codec:
    """The codec with weights that half precision holds exactly, in place: its file takes half the space."""
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.copy_(parameter.half().float())
    return codec


def _compact(value: Tensor) -> Tensor:
    """The tensor, in half precision if that holds it exactly."""
    value = value.detach()
    half = value.half() if value.dtype == torch.float32 else value
    return half if torch.equal(half.to(value.dtype), value) else value


def discriminator(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights of the discriminator in a model file, by name; None if the file holds none.

    Args:
        path: of the file.
        expected: names, shapes and types that they must have; nothing is read before they do.

    Raises:
        InputError: not a model file, or another discriminator's weights.
    """
    found = _open(path).discriminator
    if not found:
        return None
    for name in (*expected, *found):
        if name not in found or name not in expected or not _fits(found[name], expected[name]):
            raise InputError(
                f"{printable(path)}: its discriminator is another one: {printable(name)[:100]} differs"
            )
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(f"{DISCRIMINATOR}{name}").clone() for name in found}
    if not all(value.isfinite().all() for value in tensors.values()):
        raise InputError(f"{printable(path)}: damaged (its discriminator has numbers that are not finite)")
    return {name: _single(value) for name, value in tensors.items()}


def card(path: Path) -> Card:
    """Description of a model file, without loading it; errors as for :func:`load`."""
    return _open(path).card


def load(path: Path, own: Extension = NONE) -> Codec:
    """The codec of a model file, ready to code.

    Nothing is read or built before names, shapes and types are known to be those of a declared architecture.

    Args:
        path: of the file.
        own: what the user adds; the architecture may be of it.

    Raises:
        NotNamed: an architecture that gcn does not have.
        InputError: no such file, not a model, damaged, or its base is missing; this machine cannot decode exactly.
    """
    model = _open(path)
    files = [model]
    if "base" in model.metadata:
        files.insert(0, _open(_beside(path, model.metadata["base"])))
    try:
        codec = empty(model.metadata["target"], _json(model.metadata["architecture"]), own)
        read = {name: file.path for file in files for name in file.tensors}  # a variant's own go first
        kinds = {name: kind for file in files for name, kind in file.tensors.items()}
        _check_kinds(codec, kinds)
        tensors = {name: value for file in files for name, value in _read(file.path, read).items()}
        weights, coding = _part(tensors, "weights."), _part(tensors, "coding.")
        if not all(value.isfinite().all() for value in tensors.values()):
            raise ValueError("it has numbers that are not finite")
        codec.load_state_dict({name: _single(value) for name, value in weights.items()}, assign=True)
        state: dict[str, NDArray] = {name: _single(value).numpy() for name, value in coding.items()}
        codec.restore_coding(state)
        if (codec.latents_id, codec.picture_id) != (model.card.latents_id, model.card.picture_id):
            raise ValueError("its weights do not have the identifiers that it states")
    except NotNamed as problem:
        raise problem.at(printable(path)) from None
    except InputError as problem:  # of the machine
        raise InputError(f"{printable(path)}: {problem}") from None
    except (ArithmeticError, LookupError, ValueError, TypeError, RuntimeError) as problem:
        raise InputError(f"{printable(path)}: damaged, or of another version ({_line(problem)})") from None
    return codec


def _beside(path: Path, name: str) -> Path:
    """Path of the file of this name in the folder of the model."""
    if name != Path(name).name or name in ("", "..") or not name.isprintable() or len(name) > 200:
        raise InputError(f"{printable(path)}: its base is not a file beside it")
    return path.with_name(name)


def _check_kinds(codec: Codec, kinds: Mapping[str, Kind]) -> None:
    """Raise InputError if names, shapes or types of a file's tensors are not those of the codec."""
    weights = {f"weights.{name}": value for name, value in codec.state_dict().items()}
    if {name for name in kinds if not name.startswith("coding.")} != set(weights):
        raise ValueError("its tensors are not those of its architecture")
    for name, value in weights.items():
        if not _fits(kinds[name], value):
            raise ValueError(f"{name} is not of its architecture")
    size = sum(math.prod(kind.shape) for name, kind in kinds.items() if name.startswith("coding."))
    if size > LARGEST_CODING:
        raise ValueError("its tables are larger than any codec's")


def _fits(kind: Kind, value: Tensor) -> bool:
    """Whether a tensor of a file has the shape and the type of a network's, or half precision."""
    allowed = ("F32", "F16") if value.dtype == torch.float32 else (_NAMES.get(value.dtype),)
    return kind.shape == tuple(value.shape) and kind.dtype in allowed


class _Open(NamedTuple):
    """An open model file whose tensors have not been read."""

    path: Path
    metadata: dict[str, str]
    tensors: dict[str, Kind]
    discriminator: dict[str, Kind]
    card: Card


def _open(path: Path) -> _Open:
    shown = printable(path)
    try:
        if not path.is_file():
            raise InputError(f"{shown}: no such model file")
        with path.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
        if length > LARGEST_HEADER:
            raise InputError(f"{shown}: not a model file, or damaged (a header of {length} bytes)")
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            tensors = {name: Kind(s.get_dtype(), tuple(s.get_shape())) for name, s in slices.items()}
    except (SafetensorError, OSError, OverflowError) as problem:
        raise InputError(f"{shown}: not a model file, or damaged ({_line(problem)})") from None
    if metadata.get("format") != FORMAT or any(name not in metadata for name in _NEEDED):
        raise InputError(
            f"{shown}: not a model of this project; {as_called('give a file written by scripts/export.py')}"
        )
    try:
        ids = [bytes.fromhex(metadata[name]) for name in ("latents_id", "picture_id")]
        about = _json(metadata.get("about", "{}"))
        if not isinstance(about, dict) or type(about.get("steps", 0)) is not int:
            raise ValueError("its remarks are no names and values")
    except ValueError as problem:
        raise InputError(f"{shown}: damaged, or of another version ({_line(problem)})") from None
    own = _part(tensors, DISCRIMINATOR)
    tensors = {name: kind for name, kind in tensors.items() if not name.startswith(DISCRIMINATOR)}
    return _Open(path, metadata, tensors, own, Card(path, ids[0], ids[1], about))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its metadata are nested without end") from None


def _read(path: Path, places: Mapping[str, Path]) -> dict[str, Tensor]:
    """Copies of the tensors that are to come from this file: a mapped file that shrinks would end the process."""
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if places.get(name) == path]  # noqa: SIM118
        return {name: file.get_tensor(name).clone() for name in names}


def _part(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _single(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value


def _line(problem: Exception) -> str:
    return printable(" ".join(str(problem).split()))[:150] or type(problem).__name__
