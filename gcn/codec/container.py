"""One compressed image as a file.

    ┌─────┬─────────┬──────────┬────────┬───────┬───────┬─────────────┬─────────┬───────┐
    │ GCN │ version │ model id │ height │ width │ count │ lengths     │ streams │ CRC32 │
    │ 3   │ 1       │ 8        │ 2      │ 2     │ 1     │ 4 for each  │         │ 4     │  bytes
    └─────┴─────────┴──────────┴────────┴───────┴───────┴─────────────┴─────────┴───────┘

Numbers are little-endian. 25 bytes and the stream for a factorised prior, 29 and the streams for a
hyperprior. The shape of the latents follows from the size of the image and is not stored, so it cannot be
forged. The entropy coder has no defence of its own and reads past a damaged stream: nothing reaches it before
the checksum and the model have been compared.

A codec is anything with ``compress``, ``decompress`` and ``state_dict`` (see ``gcn.models.codec.Codec``), and
always the copy made by ``for_coding``.
"""

import hashlib
import struct
import zlib
from typing import Protocol

import torch
from torch import Tensor

from gcn.errors import InputError

MAGIC = b"GCN"
VERSION = 1
HEADER = struct.Struct("<3sB8sHHB")
LENGTH = struct.Struct("<I")
CHECKSUM = struct.Struct("<I")
MOST_PIXELS = 2**27


Bitstream = tuple[tuple[bytes, ...], int, int]  # strings, height, width


class Coder(Protocol):
    """What the container needs of a codec."""

    def compress(self, x: Tensor) -> Bitstream:
        """(1, 3, H, W) -> strings, height, width."""

    def decompress(self, stream: Bitstream) -> Tensor:
        """Strings, height, width -> (1, 3, H, W)."""

    def state_dict(self) -> dict[str, Tensor]:
        """All weights and tables."""


def model_id(codec: Coder) -> bytes:
    """Eight bytes that name the weights and the tables: only the codec that wrote a file can read it."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(codec.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()


def write(codec: Coder, x: Tensor) -> bytes:
    """Compress one image x (1, 3, H, W) in [0, 1] into the bytes of a file.

    Raises:
        InputError: the image is too large for the format.
    """
    height, width = x.shape[-2:]
    _check_size(height, width)
    strings, _, _ = codec.compress(x)
    header = HEADER.pack(MAGIC, VERSION, model_id(codec), height, width, len(strings))
    body = b"".join((header, *(LENGTH.pack(len(s)) for s in strings), *strings))
    return body + CHECKSUM.pack(zlib.crc32(body))


def read(codec: Coder, data: bytes) -> Tensor:
    """The image (1, 3, H, W) in [0, 1] of a file written by ``write`` with the same codec.

    Raises:
        InputError: the bytes are no such file, are damaged, or were written by another model.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise InputError("not a compressed image of this project: the file does not begin with 'GCN'")
    if len(data) < HEADER.size + CHECKSUM.size:
        raise InputError(f"the file is cut off after {len(data)} bytes; get a complete copy")
    _, version, model, height, width, count = HEADER.unpack_from(data)
    if version != VERSION:
        raise InputError(
            f"the file has format version {version}, this program reads {VERSION}; use one that matches"
        )
    body, (checksum,) = data[: -CHECKSUM.size], CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)
    if zlib.crc32(body) != checksum:
        raise InputError("the file is damaged or cut off: its checksum does not match; get another copy")
    if model != (own := model_id(codec)):
        raise InputError(
            f"the file was written by model {model.hex()}, not by {own.hex()}; use its checkpoint"
        )
    _check_size(height, width)
    return codec.decompress((_split(body, count), height, width))


def _split(body: bytes, count: int) -> tuple[bytes, ...]:
    start = HEADER.size + count * LENGTH.size
    if start > len(body):
        raise InputError("the file is damaged: its streams are longer than the file")
    lengths = [LENGTH.unpack_from(body, HEADER.size + i * LENGTH.size)[0] for i in range(count)]
    if start + sum(lengths) != len(body):
        raise InputError("the file is damaged: its streams do not fill it")
    strings = []
    for length in lengths:
        strings.append(body[start : start + length])
        start += length
    return tuple(strings)


def _check_size(height: int, width: int) -> None:
    if min(height, width) < 1 or max(height, width) > 0xFFFF or height * width > MOST_PIXELS:
        raise InputError(
            f"{width}x{height} pixels do not fit the format; use images of at most 65535 pixels a side"
            f" and {MOST_PIXELS} in all"
        )
