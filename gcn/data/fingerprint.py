"""Digests of sets of images, which tell without decoding whether two sets are the same.

An image in memory is known by its pixels, a file by its sides, its length and the bytes at its two ends: the end of a
PNG holds checksums of all pixels, and a changed JPEG or WebP has another length.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b

from gcn.data.images import Pixels
from gcn.data.scan import Entry
from gcn.data.store import Store

_END = 4096  # bytes at each end of a file
_READ = 10_000  # files of a set that are read at most; of the others sides and length count


def digests(images: Sequence[Pixels]) -> list[str]:
    """A digest of each image, in order."""
    if isinstance(images, Store):
        every = -(-len(images) // _READ)
        return [_of_file(entry, read=i % every == 0) for i, entry in enumerate(images.entries)]
    return [_digest(repr(pixels.shape).encode(), pixels.tobytes()) for pixels in images]


def joint_digest(sets: Sequence[Sequence[Pixels]]) -> str:
    """One digest of several sets, which depends on their order."""
    return _digest("\n".join(digest for images in sets for digest in [*digests(images), "."]).encode())


def _of_file(entry: Entry, read: bool) -> str:
    try:
        with entry.path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            ends = b""
            if read:
                ends = file.read(_END)
                file.seek(max(_END, length - _END))
                ends += file.read(_END)
    except OSError:  # gone since the scan; whoever needs it says so
        return "unreadable"
    return _digest(f"{entry.height}x{entry.width} {length}".encode(), ends)


def _digest(*parts: bytes) -> str:
    whole = blake2b(digest_size=16)
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
