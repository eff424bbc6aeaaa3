"""The files below a folder, without the file systems of the kernel, whose folders lead to everything there is."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from gcn.errors import InputError
from gcn.files.names import printable

# File systems without files of anybody: /proc/self/root, for one, is the whole machine again.
KERNEL = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl",
    "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
})  # fmt: skip
MOUNTS = Path("/proc/self/mounts")  # of Linux; elsewhere there is no such list


def files_below(top: Path, without: Collection[Path] = ()) -> list[Path]:
    """Visible files below a folder, sorted by name; see :func:`walk`."""
    return sorted(walk(top, without), key=lambda path: path.relative_to(top).parts)


def walk(top: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """Visible files below a folder, in no order that counts.

    A link to a folder is followed once. One that leads to a folder above ``top`` is not, nor is a folder of the kernel
    (``/proc``, ``/sys``) entered.

    Args:
        top: the folder.
        without: folders to leave out, resolved.

    Raises:
        InputError: a folder cannot be listed; ``top`` is the root of the file system or a folder of the kernel.
    """
    kernel, start = _kernel_devices(), top.resolve()
    if start == Path(start.anchor) or _device(start) in kernel:
        what = (
            "the whole file system"
            if start == Path(start.anchor)
            else "a folder of the system, without files"
        )
        raise InputError(f"{printable(top)}: {what}; give the folder that holds the files")
    seen: set[Path] = set(start.parents)  # links may form a circle
    pending = [top]
    while pending:
        here = pending.pop()
        real = here.resolve()
        if real in seen or real in without or _device(real) in kernel:
            continue
        seen.add(real)
        try:
            children = sorted(here.iterdir())
        except OSError as error:
            raise InputError(
                f"{printable(here)} cannot be listed ({error.strerror}): check permissions"
            ) from None
        for child in children:
            if child.name.startswith(".") or child.name == "__MACOSX":
                continue
            if os.path.isdir(child):
                pending.append(child)
            elif os.path.isfile(child) or os.path.islink(child) or _hidden(child):
                yield child  # a dangling link is reported, a pipe is not opened


@cache
def _kernel_devices() -> frozenset[int | None]:
    """Device numbers of the file systems of the kernel."""
    found: set[int | None] = set()
    with suppress(OSError):
        for line in MOUNTS.read_text(errors="surrogateescape").splitlines():
            _, place, kind, *_ = line.split(" ")
            if kind in KERNEL:
                found.add(_device(Path(place)))
    return frozenset(found - {None})


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:  # its reader says why
        return None


def _hidden(path: Path) -> bool:
    """Whether nothing but the name can be seen: the permission to enter its folder is missing. Its reader says so."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:  # it has vanished
        return False
    return False
