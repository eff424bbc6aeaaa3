"""A lock on a folder: one process at a time writes a run into it.

The operating system takes the lock back when its process ends, however that happens, and child processes do not inherit
it. So a run that was killed can be resumed at once, even while its loading processes live on for some seconds.
"""

import contextlib
import errno
import importlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gcn.errors import InputError
from gcn.files.atomic import cannot_write, refuse_links
from gcn.files.names import printable

LOCK_FILE = ".lock"
_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_held: set[Path] = set()  # by this process: the operating system refuses other processes only
_fcntl = importlib.import_module("fcntl") if os.name == "posix" else None  # Windows has none
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder during the block. A block inside another one of the same folder changes nothing.

    Raises:
        InputError: another process holds the lock, and the message names it; the folder is missing or read-only, or
            it holds a link to a place outside of it.
    """
    real = folder.resolve()
    if real in _held:
        yield
        return
    refuse_links(folder)
    handle = _acquire(folder)
    _held.add(real)
    try:
        yield
    finally:
        _held.discard(real)
        if _fcntl is None:  # Windows removes no file that is open
            os.close(handle)
        with contextlib.suppress(OSError):  # the folder may be gone
            (folder / LOCK_FILE).unlink()
        if _fcntl is not None:
            os.close(handle)


def _acquire(folder: Path) -> int:
    """The open and locked lock file."""
    path = folder / LOCK_FILE
    try:
        while True:
            handle = os.open(path, _FLAGS, 0o644)
            try:
                _lock(handle, folder)
                if _is_at(handle, path):  # else its holder removed it between the two lines above
                    os.ftruncate(handle, 0)
                    now = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
                    os.write(handle, f"process {os.getpid()} on {socket.gethostname()} since {now}".encode())
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
    except OSError as problem:
        raise cannot_write(path, problem) from None


def _lock(handle: int, folder: Path) -> None:
    try:
        if _fcntl is None:
            raise OSError(errno.ENOSYS, "no locks")
        # of the process, not of the open file as flock() is: children that are forked would hold that too
        _fcntl.lockf(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno in _HELD_BY_ANOTHER:
            holder = os.read(handle, 200).decode(errors="replace") or "another process"
            raise InputError(
                f"{printable(folder)}: {printable(holder)} is writing here; wait for its end, or stop it first"
            ) from None
        if problem.errno not in _NO_LOCKS:
            raise
        line = f"{printable(folder)}: this file system has no locks; let no other process continue this run"
        print(line, file=sys.stderr, flush=True)


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file still has that path."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
