"""Labellers: the class of each place of an image, for losses that tell classes apart (``loss=oasis``).

    x ─► embedding (B, C, h, w) ─► number of the nearest of K codes (B, h, w)

A labeller belongs to the objective, as LPIPS' network does: frozen, in full precision, and in no checkpoint.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.files.names import printable

PATCHES = Path(__file__).parent / "labels" / "patches.safetensors"
SIDE = 8  # pixels a side of a place
CODES = "codes"


class Labeller(nn.Module):
    """Frozen network that gives each 8×8 pixels of an image one of K classes: the nearest code of an embedding.

    Args:
        embedding: images (B, 3, H, W) in [0, 1] to (B, C, H/8, W/8).
        codes: (K, C).

    Attributes:
        classes: K.
    """

    def __init__(self, embedding: nn.Module, codes: Tensor) -> None:
        super().__init__()
        self.classes = len(codes)
        network = _Nearest(embedding, codes)
        # A tuple hides the network from the registry of submodules: it is neither saved nor trained, and stays in eval.
        self._hidden = (network.eval().requires_grad_(False),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._hidden[0]._apply(fn)  # follow the others to their device
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Classes (B, H/8, W/8), integers below K, of x (B, 3, H, W); what is beyond a multiple of 8 is cut."""
        height, width = (length // SIDE * SIDE for length in x.shape[-2:])
        with torch.autocast(x.device.type, enabled=False):
            return self._hidden[0](x[..., :height, :width])


class _Nearest(nn.Module):
    """Number of the code nearest to the embedding of each place."""

    codes: Tensor

    def __init__(self, embedding: nn.Module, codes: Tensor) -> None:
        super().__init__()
        self.embedding = embedding
        self.register_buffer(CODES, codes)

    def forward(self, x: Tensor) -> Tensor:
        halves = 0.5 * self.codes.square().sum(1)  # argmin |z - c|² = argmax z·c - ½|c|²
        return F.conv2d(self.embedding(x), self.codes[..., None, None], -halves).argmax(1)


class Patches(Labeller):
    """Classes of 8×8 patches by their pixels: the nearest of K mean patches that k-means has found.

    No VQ-VAE, as MS-ILLM's is, and no semantics: patches of a class have similar colours and edges. The file that comes
    with the package was fitted to photographs of scikit-image; ``scripts/labeller.py`` fits others.

    Args:
        classes: K, the number of the file's mean patches.
        file: written by ``scripts/labeller.py``; None for the one of the package.

    Raises:
        InputError: no such file, or another K.
    """

    def __init__(self, classes: int, file: str | None = None) -> None:
        path = Path(file) if file else PATCHES
        length = 3 * SIDE**2
        codes = read(path, {CODES: (-1, length)}, "labeller.file")[CODES]
        check_count(codes, classes, path)
        super().__init__(nn.PixelUnshuffle(SIDE), codes)


def check_count(codes: Tensor, classes: int, path: Path) -> None:
    """Raise InputError if a file's codes (K, C) are not as many as the configuration says."""
    if len(codes) != classes:
        raise InputError(
            f"labeller.classes={classes}: {printable(path)} has {len(codes)} classes; give "
            f"labeller.classes={len(codes)}"
        )


def read(path: Path, shapes: Mapping[str, tuple[int, ...]], option: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in full precision.

    Args:
        path: of the file.
        shapes: of the tensors that it must have, by name; -1 for a length of 2 to 65536.
        option: the word that gives the file, for errors.

    Raises:
        InputError: no such file, none of this kind, other tensors, or numbers that are not finite.
    """
    shown = f"{option}={printable(path)}"
    if not path.is_file():
        raise InputError(f"{shown}: no such file; give the file of the labeller")
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if strange := [n for n in sorted({*shapes, *found}) if not _fits(found.get(n), shapes.get(n))]:
                raise InputError(
                    f"{shown}: not a file of this labeller: {printable(strange[0])} is "
                    f"{found.get(strange[0], 'missing')}, and must be {shapes.get(strange[0], 'absent')}"
                )
            tensors = {name: file.get_tensor(name).float().clone() for name in shapes}
    except (SafetensorError, OSError, OverflowError) as problem:
        reason = printable(" ".join(str(problem).split()))[:150]
        raise InputError(f"{shown}: not a safetensors file, or damaged ({reason})") from None
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise InputError(f"{shown}: has numbers that are not finite; it is damaged")
    return tensors


def _fits(found: tuple[int, ...] | None, wanted: tuple[int, ...] | None) -> bool:
    if found is None or wanted is None or len(found) != len(wanted):
        return False
    return all(f == w or (w < 0 and 2 <= f <= 65536) for f, w in zip(found, wanted, strict=True))
