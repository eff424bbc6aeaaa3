"""One compressed image as a file.

    ┌─────┬─────────┬───────┬─────────┬─────────┬────────┬───────┬─────────┬────────┬───────┐
    │ GCN │ version │ flags │ latents │ picture │ height │ width │ symbols │ stream │ CRC32 │
    │ 3   │ 1       │ 1     │ 4       │ 4       │ 2      │ 2     │ 4       │        │ 4     │  bytes
    └─────┴─────────┴───────┴─────────┴─────────┴────────┴───────┴─────────┴────────┴───────┘

25 bytes and the stream, little-endian. ``latents`` names what decodes the latents (tables and hyper-synthesis) and
must be available; ``picture`` names the synthesis that the maker chose, and another one of the same latents may draw
the image instead. ``symbols`` is the CRC32 of the decoded symbols, combined with that of the header before it: a
header that was changed does not fit its symbols, whoever renewed the last checksum, that of all bytes before it.
The shape of the latents follows from the size of the image and is not stored. Flags: 1, the image is grey.
"""

import struct
import zlib
from typing import NamedTuple, Protocol

from torch import Tensor

from gcn.errors import InputError

MAGIC = b"GCN"
VERSION = 2
HEADER = struct.Struct("<3sBB4s4sHH")
CHECKSUM = struct.Struct("<I")
OVERHEAD = HEADER.size + 2 * CHECKSUM.size
GREY = 1
MOST_PIXELS = 100_000_000

Coded = tuple[bytes, int, int, int]  # stream, height, width, checksum of the symbols


class Coder(Protocol):
    """The methods of a codec that the file format needs; :class:`gcn.models.codec.Codec` has them."""

    @property
    def latents_id(self) -> bytes:
        """Digest of everything that decodes the latents."""

    @property
    def picture_id(self) -> bytes:
        """Digest of everything that computes an image from the latents."""

    def compress(self, x: Tensor) -> Coded:
        """Code an image (1, 3, H, W): returns stream, height, width, checksum of the symbols."""

    def decompress(self, coded: Coded) -> Tensor:
        """Decode stream, height, width and checksum to an image (1, 3, H, W)."""


class File(NamedTuple):
    """Header fields and stream of a ``.gcn`` file."""

    latents_id: bytes
    picture_id: bytes
    grey: bool
    coded: Coded


def write(codec: Coder, x: Tensor, grey: bool = False) -> bytes:
    """Compress one image x (1, 3, H, W), float in [0, 1] or uint8, into the bytes of a file.

    Args:
        codec: made by ``for_coding``, or loaded from a model file.
        x: the image.
        grey: it has one channel, three times.

    Raises:
        InputError: the image is too large for the format.
    """
    _check_size(*x.shape[-2:])
    stream, height, width, symbols = codec.compress(x)
    flags = GREY if grey else 0
    header = HEADER.pack(MAGIC, VERSION, flags, codec.latents_id, codec.picture_id, height, width)
    body = header + CHECKSUM.pack(symbols ^ zlib.crc32(header)) + stream
    return body + CHECKSUM.pack(zlib.crc32(body))


def parse(data: bytes) -> File:
    """Header fields and stream of a file's bytes; the stream is not decoded.

    Raises:
        InputError: they are no such file, or damaged.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise InputError("not a compressed image of this project: the file does not begin with 'GCN'")
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise InputError(
            f"the file has format version {data[len(MAGIC)]}, this program reads {VERSION}; use one that matches"
        )
    if len(data) < OVERHEAD:
        raise InputError(f"the file is cut off after {len(data)} bytes; get a complete copy")
    body, (checksum,) = data[: -CHECKSUM.size], CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)
    if zlib.crc32(body) != checksum:
        raise InputError("the file is damaged or cut off: its checksum does not match; get another copy")
    _, _, flags, latents, picture, height, width = HEADER.unpack_from(data)
    symbols = CHECKSUM.unpack_from(data, HEADER.size)[0] ^ zlib.crc32(body[: HEADER.size])
    if flags & ~GREY:
        raise InputError(f"the file uses features that this program does not know (flags {flags})")
    _check_size(height, width)
    return File(
        latents, picture, bool(flags & GREY), (body[HEADER.size + CHECKSUM.size :], height, width, symbols)
    )


def read(codec: Coder, data: bytes) -> Tensor:
    """The image (1, 3, H, W) in [0, 1] of a file written by ``write``; any picture network of its latents will do.

    Raises:
        InputError: the bytes are no such file, are damaged, or were written by another model.
    """
    file = parse(data)
    if file.latents_id != codec.latents_id:
        raise InputError(
            f"the file was written by model {file.latents_id.hex()}, not by {codec.latents_id.hex()};"
            " use the model that wrote it"
        )
    return codec.decompress(file.coded)


def _check_size(height: int, width: int) -> None:
    if min(height, width) < 1 or max(height, width) > 0xFFFF or height * width > MOST_PIXELS:
        raise InputError(
            f"{width}x{height} pixels do not fit the format; use images of at most 65535 pixels a side"
            f" and {MOST_PIXELS} in all"
        )
