"""Tensors of a weight file of another project, read within limits and without running code from it."""

import hashlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gcn.errors import InputError, is_memory_error
from gcn.files.archive import Damaged, check_archive
from gcn.files.names import printable

LARGEST_FILE = 2**32  # bytes; HiFiC's autoencoder has 2^29.4
LARGEST_PICKLE = 2**22  # bytes of its structure, without its tensors
MOST_ENTRIES = 4096  # HiFiC's autoencoder has 163
NESTED = "state_dict"  # where training checkpoints keep the weights
OTHER_NESTED = ("model_state_dict", "generator_state_dict", "G_state_dict", "model", "params")
_HASH = re.compile(r"-([0-9a-f]{8})\.pth(\.tar)?$")  # torch.hub's: the first digits of the file's SHA-256


class WeightsFile(NamedTuple):
    """Content of a weight file.

    Args:
        path: of the file.
        sha256: of its bytes, hexadecimal.
        hash_checked: the name states the first digits of the hash, and they are right.
        tensors: by the names in the file.
        beside: names of what lies beside the weights in a training checkpoint.
    """

    path: Path
    sha256: str
    hash_checked: bool
    tensors: dict[str, Tensor]
    beside: list[str]


def read(path: Path) -> WeightsFile:
    """Read a file that ``torch.save`` wrote, with names and tensors alone (``weights_only=True``).

    Raises:
        InputError: no such file; larger than any that can be converted; damaged; another hash than its name states; it
            holds code or objects; no names with tensors.
    """
    shown = printable(path)
    if not path.is_file():
        raise InputError(f"{shown}: no such file; give a weight file that you have downloaded")
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{shown}: larger than {LARGEST_FILE} bytes; no file that can be converted is")
    sha256 = _sha256(path)
    stated = _HASH.search(path.name)
    if stated and not sha256.startswith(stated[1]):
        raise InputError(
            f"{shown}: its SHA-256 begins with {sha256[:8]}, and its name says {stated[1]}; download it again"
        )
    content = _load(path)
    beside: list[str] = []
    if isinstance(content, Mapping) and isinstance(content.get(NESTED), Mapping):
        beside = [printable(str(name))[:100] for name in content if name != NESTED][:MOST_ENTRIES]
        content = content[NESTED]
    tensors = _tensors(shown, content)
    if sum(value.numel() * value.element_size() for value in tensors.values()) > path.stat().st_size:
        raise InputError(
            f"{shown}: its tensors are larger than the file, for they share numbers; it is damaged"
        )
    return WeightsFile(path, sha256, stated is not None, tensors, beside)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path) -> Any:
    shown = printable(path)
    try:
        if zipfile.is_zipfile(path):  # torch's older format has no checksums
            check_archive(path, LARGEST_PICKLE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Damaged as problem:
        raise InputError(f"{shown}: damaged ({problem}); download it again") from None
    except Exception as problem:
        if is_memory_error(problem):
            raise
        raise InputError(
            f"{shown}: not a file of tensors alone ({type(problem).__name__}): damaged, not written by torch.save, or"
            " it holds code or objects, which are never loaded"
        ) from None


def _tensors(shown: str, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{shown}: holds no names with tensors; give a file with a state dict")
    nested = next((name for name in OTHER_NESTED if isinstance(content.get(name), Mapping)), None)
    if nested:
        raise InputError(f"{shown}: its weights lie under {nested}, as in no file that can be converted")
    if len(content) > MOST_ENTRIES:
        raise InputError(f"{shown}: has {len(content)} entries; no file that can be converted has so many")
    for name, value in content.items():
        if not isinstance(name, str) or not _plain(value):
            raise InputError(
                f"{shown}: {printable(str(name))[:100]} is no plain tensor; give a file with a state dict"
            )
    return dict(content)


def _plain(value: Any) -> bool:
    """Whether a value is a dense tensor in memory."""
    if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or value.is_quantized:
        return False
    return value.device.type == "cpu" and not value.is_complex()
