"""Dead-leaves images kept in the user's cache folder, because drawing 60 of them takes 3 seconds.

A file is named after everything that its images depend on: the photographs, the arguments, the code that draws, and the
versions of the libraries. It ends with its digest; a file that is damaged or cannot be written costs only time.
"""

import contextlib
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import PIL

from gcn.data import leaves
from gcn.data.images import Pixels
from gcn.errors import InputError
from gcn.files.atomic import make_folder, replacing

DIGEST = 32  # bytes


def drawn_once(photographs: Sequence[Pixels], count: int, size: int = 192, seed: int = 0) -> list[Pixels]:
    """The images of :func:`gcn.data.leaves.dead_leaves`, from the cache where they have been drawn before.

    Args:
        photographs: whose colours and textures are used, uint8 (H, W, 3).
        count: number of images.
        size: their side in pixels.
        seed: of the drawing.
    """
    path = cache_folder() / f"dead-leaves-{_key(photographs, count, size, seed)}"
    found = _read(path, (count, size, size, 3))
    if found is not None:
        return found
    images = leaves.dead_leaves(photographs, count, size, seed)
    data = b"".join(image.tobytes() for image in images)
    with contextlib.suppress(OSError, InputError):  # a home folder that is full, read-only, or not there
        make_folder(path.parent)
        with replacing(path) as partial:
            partial.write_bytes(data + _digest(data))
    return images


def cache_folder() -> Path:
    """The user's folder for files that can be made again: ``$XDG_CACHE_HOME/gcn``, by default ``~/.cache/gcn``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gcn"


def _key(photographs: Sequence[Pixels], count: int, size: int, seed: int) -> str:
    parts = blake2b(digest_size=12)
    parts.update(f"{count} {size} {seed} {np.__version__} {PIL.__version__}".encode())
    parts.update(Path(leaves.__file__).read_bytes())
    for photograph in photographs:
        parts.update(f"{photograph.shape}".encode() + photograph.tobytes())
    return parts.hexdigest()


def _read(path: Path, shape: tuple[int, ...]) -> list[Pixels] | None:
    """The images of a file, ``None`` where there is none or it is damaged."""
    try:
        if path.stat().st_size != np.prod(shape) + DIGEST:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if _digest(data[:-DIGEST]) != data[-DIGEST:]:
        return None
    return list(np.frombuffer(data[:-DIGEST], np.uint8).reshape(shape))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST).digest()
