"""A user's own folder of images."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from gcn.data.images import MAX_PIXELS
from gcn.data.loader import Augment, Data, Source
from gcn.data.scan import Entry, Scan, existing_folder, printable, scan
from gcn.data.store import Store
from gcn.errors import InputError


class Folder(Data):
    """Images of any size and mode below ``root``, and validation images that training never sees.

    Validation images are, in this order of preference: those below ``val_root``; those of ``root/val`` if there are
    ``root/train`` and ``root/val``; otherwise a share of all, chosen by a hash of the path below ``root``, so that an
    image keeps its side when others are added. A training file that is byte for byte a validation file is left out.

    Args:
        root: folder of training images, nested at will.
        val_root: folder of validation images.
        val_share: share that is held out if there is no folder of validation images.
        val_limit: use at most so many validation images (the first by a hash of the path), None for all.
        crop: side of the training crops in pixels.
        batch: crops of a batch, over all processes together.
        workers: processes that make crops; worth it when images are decoded on demand.
        small: images smaller than the crop are mirrored at the border (``pad``) or left out (``skip``).
        background: colour behind transparent parts.
        max_pixels: larger images are refused as bad files.
        bad_share: share of bad files up to which they are skipped; one is always allowed.
        cache_bytes: memory for decoded images in each process.
        flip, permute_colours, downscale: see :class:`~gcn.data.loader.Augment`.
    """

    def __init__(
        self,
        root: str | None = None,
        val_root: str | None = None,
        val_share: float = 0.1,
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
        downscale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(crop, batch, workers)
        self.augment = Augment(
            flip, permute_colours, None if downscale is None else (downscale[0], downscale[1])
        )
        if not 0 < val_share < 1:
            raise InputError(f"data.val_share={val_share}: give a share between 0 and 1")
        top = existing_folder(root)
        limits = {"background": background, "max_pixels": max_pixels}
        options = {**limits, "bad_share": bad_share, "keep_bytes": cache_bytes}
        train_root, held_out = top, None if val_root is None else existing_folder(val_root, "data.val_root")
        if held_out is None and (top / "train").is_dir() and (top / "val").is_dir():
            train_root, held_out = top / "train", top / "val"
        if held_out is not None:
            if held_out.resolve() == train_root.resolve():
                raise InputError(
                    "data.root and data.val_root are the same folder: leave data.val_root out to hold out a share"
                )
            val_scan = scan(held_out, option="data.val_root", **options)
            kept = sum(e.pixels.nbytes for e in val_scan.entries if e.pixels is not None)
            options["keep_bytes"] = max(1, cache_bytes - kept)
            train_scan = scan(train_root, crop=crop, small=small, without=[held_out], **options)
            train, val = train_scan.entries, val_scan.entries
            self._lines = [_line("training", train_scan), _line("validation", val_scan)]
        else:
            found = scan(train_root, crop=crop, small=small, **options)
            train, val = _hold_out(found, val_share)
            self._lines = [
                _line("data", found),
                f"held out by name for validation: {len(val)} of {len(found.entries)}",
            ]
        kept_apart = _not_in(train, val)
        val = _first(val, val_limit, held_out or top)
        if len(kept_apart) < len(train):
            self._lines.append(
                f"{len(train) - len(kept_apart)} training files identical to validation files: left out"
            )
        if not kept_apart:
            raise InputError(f"data.root={printable(top)}: every training image is also a validation image")
        recent = cache_bytes // 8
        self.sources = [Source(Store(kept_apart, recent_bytes=recent, **limits))]
        self.val = Store(val, recent_bytes=0, **limits)
        self.val_names = [_name(entry, held_out or top) for entry in val]

    def report(self) -> str:
        """What was found, skipped and held out."""
        return "\n".join(self._lines)


def _line(role: str, found: Scan) -> str:
    return f"{role} {printable(found.root)}: {found.report()}"


def _name(entry: Entry, root: Path) -> str:
    return printable(entry.path.relative_to(root).as_posix())


def _score(entry: Entry, root: Path) -> float:
    """A number in [0, 1) that depends on the path below the root only."""
    name = entry.path.relative_to(root).as_posix().encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "little") / 2**56


def _hold_out(found: Scan, share: float) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Training and validation images: those with a small hash are held out, at least one on either side."""
    if len(found.entries) < 2:
        raise InputError(
            f"data.root={printable(found.root)} holds one image, which cannot be trained on and held out: "
            "add images or set data.val_root"
        )
    ranked = sorted(found.entries, key=lambda entry: _score(entry, found.root))
    count = sum(_score(entry, found.root) < share for entry in ranked)
    val = set(map(id, ranked[: min(max(count, 1), len(ranked) - 1)]))
    train = tuple(entry for entry in found.entries if id(entry) not in val)
    return train, tuple(entry for entry in found.entries if id(entry) in val)


def _first(entries: Sequence[Entry], limit: int | None, root: Path) -> tuple[Entry, ...]:
    if limit is None or limit >= len(entries):
        return tuple(entries)
    if limit < 1:
        raise InputError(f"data.val_limit={limit}: give at least 1, or null for all")
    chosen = set(map(id, sorted(entries, key=lambda entry: _score(entry, root))[:limit]))
    return tuple(entry for entry in entries if id(entry) in chosen)


def _not_in(train: Sequence[Entry], val: Sequence[Entry]) -> tuple[Entry, ...]:
    """The training images whose file is not a copy of a validation file; only files of equal length are compared."""
    known: dict[int, set[bytes]] = defaultdict(set)
    for entry in val:
        known[_length(entry.path)].add(_digest(entry.path))
    lengths = set(known)
    return tuple(
        e for e in train if _length(e.path) not in lengths or _digest(e.path) not in known[_length(e.path)]
    )


def _length(path: Path) -> int:
    return path.stat().st_size


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
