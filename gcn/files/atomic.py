"""The one way in which this project writes a file: whole or not at all.

A file is written under a partial name beside its place and moved there when it is complete, so a reader, or a
process that is killed, finds the old file or the new one and never half of one. Partial names are random: processes
that write one target at the same time do not touch each other's, even in a folder that several machines share.
"""

import contextlib
import csv
import io
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.files.names import printable

_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial")  # shorter than most names: it fits where the target fits


def check_output(path: str | Path, overwrite: bool = False, remedy: str = "overwrite=true") -> None:
    """Raise InputError, before any work is done, if a file cannot or may not be written.

    Args:
        path: of the file to be.
        overwrite: a file that exists may be replaced.
        remedy: what the user can give to replace it, for the message.

    Raises:
        InputError: the file exists and may not be replaced; it is a folder, a device, a pipe or a socket; its folder is
            missing or read-only; the name is too long.
    """
    shown = printable(path)
    try:
        target = _target(Path(path))
        mode = _mode(target)
        if mode is not None and not overwrite:
            raise InputError(f"{shown} exists; give another name, or {remedy} to replace it")
        folder = target.parent
        if not folder.is_dir():
            here = (
                "not a folder; choose another place" if folder.exists() else "no such folder; make it first"
            )
            raise InputError(f"{printable(folder)}: {here}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{shown}: the folder {printable(folder)} is read-only; choose another place")
    except (
        OSError,
        ValueError,
    ) as problem:  # a name too long, a null byte, a folder that may not be looked into
        raise cannot_write(path, problem) from None


def check_folder(option: str, path: str | Path) -> Path:
    """The folder that an option names, if it exists or can be made and files can be written in it; nothing is made.

    Args:
        option: how the user names it, for the message.
        path: of the folder.

    Raises:
        InputError: something else is in its place or in its way, or the folder is read-only.
    """
    shown = f"{option}={printable(path)}"
    try:
        folder = Path(os.path.realpath(path))
        if len(os.fsencode(folder.name)) > _longest_name():
            raise InputError(f"{shown}: the name is too long; choose another place")
        existing = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not existing.is_dir():
            raise InputError(f"{shown}: {printable(existing)} is not a folder; choose another place")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise InputError(f"{shown}: the folder {printable(existing)} is read-only; choose another place")
    except InputError:
        raise
    except (OSError, ValueError) as problem:
        raise InputError(f"{shown}: {_reason(problem)}; choose another place") from None
    return Path(path)


@contextmanager
def replacing(path: str | Path, overwrite: bool = True, sync: bool = False) -> Iterator[Path]:
    """Give the path of a partial file to write; move it to its place at the end, or remove it after an error.

    A symbolic link stays one: the file that it leads to is replaced. A replaced file keeps its permissions.

    Args:
        path: of the file.
        overwrite: replace a file that exists. Otherwise one that appeared after :func:`check_output` stays.
        sync: force the bytes to the disk before the move, so that they survive a power failure.

    Raises:
        InputError: the file cannot or may not be written; what was there before is untouched.
    """
    try:
        check_output(path, overwrite)
        target = _target(Path(path))
        partial = target.with_name(f".{secrets.token_hex(8)}.partial")
        try:
            yield partial
            mode = _mode(target)
            if mode is not None:
                partial.chmod(stat.S_IMODE(mode))
            if sync:
                _sync(partial)
            _move(partial, target, overwrite)
            if sync:
                _sync(target.parent)
        finally:
            with contextlib.suppress(OSError):  # a folder that is gone
                partial.unlink(missing_ok=True)
    except OSError as problem:
        raise cannot_write(path, problem) from None


def write_bytes(path: str | Path, data: bytes, overwrite: bool = True, sync: bool = False) -> None:
    """Write a file as a whole; arguments and errors as for :func:`replacing`."""
    with replacing(path, overwrite, sync) as partial:
        partial.write_bytes(data)


def write_text(path: str | Path, text: str, overwrite: bool = True, sync: bool = False) -> None:
    """Write text in UTF-8 with the line ends it has; arguments and errors as for :func:`replacing`."""
    write_bytes(path, text.encode("utf-8"), overwrite, sync)


def write_csv(
    path: str | Path, rows: Iterable[Sequence[Any]], overwrite: bool = True, sync: bool = False
) -> None:
    """Write rows, the header first, as CSV; other arguments and errors as for :func:`replacing`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue(), overwrite, sync)


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it; InputError if that cannot be done."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise InputError(
            f"{printable(path)}: cannot be made ({_reason(problem)}); choose another place"
        ) from None
    return Path(path)


def remove_partials(folder: Path, below: bool = True) -> None:
    """Remove partial files that killed processes left in a folder, and below it, while no process writes there."""
    for path in folder.rglob(".*.partial") if below else folder.glob(".*.partial"):
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)


def check_results(folder: Path) -> None:
    """Raise InputError if results cannot be written into a folder, ``out=``, or would replace files outside of it."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"out={folder}: cannot write there; give a folder")
    refuse_links(folder, below=False)


def refuse_links(folder: Path, below: bool = True) -> None:
    """Raise InputError if a run folder, which may come from anybody, holds a link to a place outside of it.

    What a run writes under the name of the link would replace a file there.

    Args:
        folder: of the run.
        below: the run writes into folders of this folder too; else links to folders are no objection.
    """
    real = os.path.realpath(folder)
    levels = ("*", "*/*") if below else ("*",)
    for path in (path for level in levels for path in folder.glob(level) if path.is_symlink()):
        target = os.path.realpath(path)
        if (below or not os.path.isdir(target)) and os.path.commonpath([real, target]) != real:
            raise InputError(
                f"{printable(path)}: a link to {printable(target)}, outside of this folder, where a run would write;"
                " remove the link"
            )


def cannot_write(path: str | Path, problem: Exception) -> InputError:
    """The error for a file that could not be written: its name, the reason and what to do."""
    if isinstance(problem, InputError):
        return problem
    if getattr(problem, "filename", "") is None and (gone := no_working_directory()):
        return gone
    return InputError(
        f"{printable(path)}: cannot be written ({_reason(problem)}); free or choose another place"
    )


def no_working_directory() -> InputError | None:
    """The error for a process whose working directory was removed, where no relative name has a meaning; else None."""
    try:
        os.getcwd()
    except OSError:
        return InputError("the working directory was removed; change to a folder that exists")
    return None


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem)


def _target(path: Path) -> Path:
    """The file itself, where the path is a symbolic link to it."""
    return Path(os.path.realpath(path))


def _mode(target: Path) -> int | None:
    """Type and permissions of what exists under a name; InputError if it is no file."""
    try:
        mode = os.lstat(target).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(mode):
        raise InputError(f"{printable(target)} is a folder; name a file in it")
    if stat.S_ISLNK(mode):  # realpath gave up
        raise InputError(f"{printable(target)} is a link to itself; name a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(target)} is a device, a pipe or a socket; name a file")
    return mode


def _move(partial: Path, target: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(partial, target)  # unlike a rename, it fails where a file exists
            return
        except FileExistsError:
            raise InputError(
                f"{printable(target)} exists since a moment ago; give another name, or overwrite=true to replace it"
            ) from None
        except OSError:  # a file system without hard links
            check_output(target)
    os.replace(partial, target)


def _longest_name() -> int:
    """Largest length of a file name, in bytes."""
    return os.pathconf("/", "PC_NAME_MAX") if hasattr(os, "pathconf") else 255  # Windows has no pathconf


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows opens no folders, and its journal keeps their entries
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows syncs what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
