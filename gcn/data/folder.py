"""A user's own folder of images."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gcn.data.checks import check_apart
from gcn.data.images import MAX_PIXELS
from gcn.data.loader import Augment, Data, Source
from gcn.data.scan import Entry, Scan, existing_folder, scan
from gcn.data.store import Store
from gcn.errors import InputError
from gcn.files.names import printable


class Folder(Data):
    """Images of any size and mode below ``root``, and validation images that training never sees.

    Validation images are, in this order of preference: those below ``val_root``; with ``split`` a share of all
    below ``root``, another one for each number; those of ``root/val`` if both ``root/train`` and ``root/val``
    exist; a share of all, chosen by a hash of the path below ``root``, so that an image keeps its side when
    others are added. Training files that are byte for byte validation files are left out; the same picture
    saved twice in different ways is not recognised.

    Args:
        root: folder of training images, nested at will.
        val_root: folder of validation images.
        val_share: share that is held out if there is no folder of validation images.
        split: a number that decides which images are held out: ``val_share`` of them, rounded, at least one on
            either side. The same number and paths give the same images, in any folder.
        skip: leave out the first so many image files of the training folder, in the order of their paths.
        val_limit: use at most so many validation images (chosen by hash), None for all.
        crop: side of the training crops in pixels.
        batch: crops of a batch, over all processes together.
        workers: processes that make crops; they help where images are decoded when needed.
        small: images smaller than the crop are continued by reflection (``pad``) or left out (``skip``).
        background: colour behind transparent parts.
        max_pixels: larger images are refused as bad files.
        bad_share: share of bad files up to which they are skipped; one always is.
        cache_bytes: memory for decoded images in each training process (workers share it).
        flip, permute_colours, gamma, downscale: see :class:`~gcn.data.loader.Augment`.

    Raises:
        InputError: a folder is missing or empty, too many files are bad, an option is out of range, or both
            ``split`` and ``val_root`` are given.
    """

    def __init__(
        self,
        root: str | None = None,
        val_root: str | None = None,
        val_share: float = 0.1,
        split: int | None = None,
        skip: int = 0,
        val_limit: int | None = None,
        crop: int = 64,
        batch: int = 8,
        workers: int = 0,
        small: str = "pad",
        background: str = "white",
        max_pixels: int = MAX_PIXELS,
        bad_share: float = 0.01,
        cache_bytes: int = 2_000_000_000,
        flip: bool = True,
        permute_colours: bool = False,
        gamma: float = 1.0,
        downscale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(crop, batch, workers)
        self.bad_share = bad_share
        self.augment = Augment(flip, permute_colours, gamma, downscale)
        read = partial(scan, background=background, max_pixels=max_pixels, bad_share=bad_share)
        read_train = partial(read, crop=crop, small=small, skip=skip)
        top, val_top = _folders(root, val_root, split)
        if val_top is None:
            found = read_train(top, keep_bytes=cache_bytes)
            val_top, (train, val) = top, _hold_out(found, val_share, split)
            how = "by a hash of the name" if split is None else f"by data.split={split}"
            self._lines = [
                f"{printable(top)}: {found.report()}",
                f"held out for validation, {how}: {len(val)} of {len(found.entries)}",
            ]
        else:
            val_scan = read(val_top, option="data.val_root", keep_bytes=cache_bytes)
            kept = sum(entry.pixels.nbytes for entry in val_scan.entries if entry.pixels is not None)
            train_scan = read_train(top, without=[val_top], keep_bytes=cache_bytes - kept)
            train, val = train_scan.entries, val_scan.entries
            self._lines = [
                f"training {printable(top)}: {train_scan.report()}",
                f"validation {printable(val_top)}: {val_scan.report()}",
            ]
        distinct = _without_copies(train, val)
        if len(distinct) < len(train):
            self._lines.append(f"left out of training, identical to validation: {len(train) - len(distinct)}")
        if not distinct:
            raise InputError(
                f"data.root={printable(top)}: every image is also a validation image: add others"
            )
        if val_limit is not None and val_limit < len(val):
            self._lines.append(f"validation limited to {val_limit} of {len(val)} images")
            val = _smallest_hashes(val, val_top, val_limit)
        store = partial(Store, background=background, max_pixels=max_pixels)
        self.sources = [Source(store(distinct, recent_bytes=cache_bytes // (8 * max(1, workers))))]
        self.val = store(val)
        self.val_names = [printable(entry.path.relative_to(val_top).as_posix()) for entry in val]

    def report(self) -> str:
        """Lines about the images that were found, skipped and held out."""
        return "\n".join(self._lines)


def _folders(root: str | None, val_root: str | None, split: int | None) -> tuple[Path, Path | None]:
    """The folders of training and validation images; the latter is None if a share is to be held out."""
    top = existing_folder(root)
    if split is not None:
        if val_root is not None:
            raise InputError(
                f"data.split={split}: data.val_root={printable(val_root)} has the validation images already; "
                "drop one of the two"
            )
        return top, None
    if val_root is None:
        train, val = top / "train", top / "val"
        return (train, val) if train.is_dir() and val.is_dir() else (top, None)
    held_out = existing_folder(val_root, "data.val_root")
    check_apart(top, held_out)
    return top, held_out


def _hash(entry: Entry, root: Path, salt: str = "") -> float:
    """A number in [0, 1) that depends only on the path below the root, and on the salt."""
    name = entry.path.relative_to(root).as_posix().encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=6, key=salt.encode()).digest(), "big") / 2**48


def _smallest_hashes(entries: Sequence[Entry], root: Path, count: int, salt: str = "") -> tuple[Entry, ...]:
    """The ``count`` entries with the smallest hash, in their given order."""
    limit = sorted(_hash(entry, root, salt) for entry in entries)[count - 1]
    return tuple(entry for entry in entries if _hash(entry, root, salt) <= limit)


def _hold_out(found: Scan, share: float, split: int | None) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Training and validation images: those with a small hash are held out, at least one is on either side."""
    total = len(found.entries)
    if total < 2:
        raise InputError(
            f"data.root={printable(found.root)} holds one usable image, and one must be held out: "
            "add images, or give data.val_root"
        )
    if split is None:
        salt, count = "", sum(_hash(entry, found.root) < share for entry in found.entries)
    else:
        salt, count = str(split), round(share * total)
    val = _smallest_hashes(found.entries, found.root, min(max(count, 1), total - 1), salt)
    held_out = {entry.path for entry in val}
    return tuple(entry for entry in found.entries if entry.path not in held_out), val


def _without_copies(train: Sequence[Entry], val: Sequence[Entry]) -> tuple[Entry, ...]:
    """The training images without copies of validation files; only files of equal length are read."""
    lengths = {_length(entry) for entry in val}
    suspects = {entry.path: _digest(entry) for entry in train if _length(entry) in lengths}
    found = set(suspects.values()) & {_digest(entry) for entry in val} if suspects else set()
    return tuple(entry for entry in train if suspects.get(entry.path) not in found)


def _length(entry: Entry) -> int:
    return entry.path.stat().st_size


def _digest(entry: Entry) -> bytes:
    with entry.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
