"""Report on a folder of images: which are usable, and what is unusual about them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gcn.data.checks import colour
from gcn.data.images import EXTENSIONS, MAX_PIXELS, BadImage, Pixels, decode, read_size
from gcn.errors import InputError
from gcn.files.folders import files_below
from gcn.files.names import printable

_NAMED = 5  # bad files named in a report; the rest is counted


@dataclass(frozen=True)
class Entry:
    """A usable image: its path, upright size and, if kept in memory, its pixels."""

    path: Path
    height: int
    width: int
    pixels: Pixels | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Scan:
    """Result of a scan: usable images sorted by path, bad files with reasons, counts of unusual properties."""

    root: Path
    entries: tuple[Entry, ...]
    bad: tuple[tuple[Path, str], ...] = ()
    notes: tuple[tuple[str, int], ...] = ()

    def report(self) -> str:
        """One line: ``images 300 · 2 skipped: a.jpg (truncated), b.png (not an image) · 3 grayscale``."""
        parts = [f"images {len(self.entries)}"]
        if self.bad:
            parts.append(f"{len(self.bad)} skipped: {self.bad_names()}")
        return " · ".join([*parts, *(f"{count} {note}" for note, count in self.notes)])

    def bad_names(self) -> str:
        """The bad files with their reasons, the first few by name."""
        named = [f"{printable(path.relative_to(self.root))} ({reason})" for path, reason in self.bad[:_NAMED]]
        more = len(self.bad) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def existing_folder(root: str | os.PathLike[str] | None, option: str = "data.root") -> Path:
    """The folder that an option names; raises InputError if it does not exist."""
    if root is None or not str(root):
        example = f", {option}=FOLDER" if option else ""
        raise InputError(f"{option or 'the folder'} is not set: give a folder of images{example}")
    path = Path(root).expanduser()
    if not path.exists():
        raise InputError(f"{_said(option, path)} does not exist: give a folder of images")
    if not path.is_dir():
        raise InputError(f"{_said(option, path)} is not a folder: give the folder that holds the images")
    return path


def _said(option: str, path: Path) -> str:
    """The folder as the user wrote it, for messages: with its option, or alone."""
    return f"{option}={printable(path)}" if option else printable(path)


def scan(
    root: str | os.PathLike[str] | None,
    *,
    option: str = "data.root",
    crop: int = 1,
    small: str = "pad",
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    bad_share: float = 0.01,
    keep_bytes: int | None = None,
    without: Iterable[Path] = (),
    skip: int = 0,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    judge: bool = True,
) -> Scan:
    """Read the images below ``root`` and keep the usable ones.

    Images are decoded and kept until ``keep_bytes`` of pixels are in memory. Of the others only the head is
    read, and damage further in shows itself when they are needed. With None all are decoded and none is kept.

    A folder may hold a few bad files: up to ``bad_share`` of the images, but always one. Beyond that
    something is wrong with the folder and the scan fails, as it does when nothing usable is left. Images
    smaller than ``crop`` are used (``small="pad"``) or left out (``"skip"``); they do not count as bad.

    Args:
        root: the folder, searched at any depth; links are followed but for those to a folder above it, hidden
            files are not looked at.
        option: that names the folder, for error messages; empty if it is a word of its own.
        without: folders below ``root`` to leave out.
        skip: files to leave out, the first by path of those that have an image's ending, whether usable or not.
        watch: may show progress over the files.
        judge: fail where training would; otherwise call :func:`judge_scan` on what is returned.

    Raises:
        InputError: no such folder, no image in it, or too many bad ones.
    """
    colour(background)  # a wrong colour is an error at once, not at the first transparent image
    top = existing_folder(root, option)
    entries: list[Entry] = []
    bad: list[tuple[Path, str]] = []
    notes: Counter[str] = Counter()
    others: Counter[str] = Counter()
    budget = keep_bytes
    left = skip
    files = files_below(top, {folder.resolve() for folder in without})
    drawn = set(filter(_drawn_by_a_run, files))
    notes.update(["drawn by a run (left out)"] * len(drawn))
    for path in watch([path for path in files if path not in drawn]):
        if path.suffix.lower() not in EXTENSIONS:
            others[path.suffix.lower() or "no suffix"] += 1
            continue
        if left:
            left -= 1
            continue
        try:
            height, width = read_size(path, max_pixels)
            if min(height, width) < crop:
                notes[f"smaller than {crop} pixels ({'left out' if small == 'skip' else 'mirrored'})"] += 1
                if small == "skip":
                    continue
            if budget is None:
                pixels, odd = None, decode(path, background, max_pixels).notes
            elif height * width * 3 <= budget:
                pixels, odd, _ = decode(path, background, max_pixels)
                budget -= pixels.nbytes
            else:
                pixels, odd = None, ("decoded when needed, only the head read so far",)
                budget = 0  # nothing after the first that does not fit: what is kept is easy to say
        except BadImage as reason:
            bad.append((path, str(reason)))
            continue
        notes.update(odd)
        entries.append(Entry(path, height, width, pixels))
    if skip:
        notes["left out by data.skip"] = skip - left
    if others:
        kinds = ", ".join(suffix for suffix, _ in others.most_common(_NAMED))
        notes[f"other files ignored ({kinds})"] = others.total()
    found = Scan(top, tuple(entries), tuple(bad), tuple(sorted(notes.items())))
    if judge:
        judge_scan(found, option, bad_share)
    return found


def _drawn_by_a_run(path: Path) -> bool:
    """Whether an image is a panel or the curves of a run folder, which may lie among the images that it trains on."""
    if path.parent.name != "panels" and path.name != "curves.png":
        return False
    run = path.parent if path.name == "curves.png" else path.parent.parent
    return (run / "config.yaml").is_file() and (run / "metrics.csv").is_file()


def judge_scan(found: Scan, option: str, bad_share: float) -> None:
    """Raise InputError for a folder without usable images, or with too large a share of bad ones."""
    where = _said(option, found.root)
    if not found.entries:
        why = found.report().removeprefix("images 0").removeprefix(" · ") or "it is empty"
        raise InputError(f"{where} holds no usable image ({why}): give a folder of images")
    total = len(found.entries) + len(found.bad)
    if len(found.bad) > max(1, bad_share * total):
        raise InputError(
            f"{where}: {len(found.bad)} of {total} images cannot be used: {found.bad_names()}; "
            f"repair or remove them, or set {'data.bad_share' if option else '--bad-share'} above {bad_share:g}"
        )
