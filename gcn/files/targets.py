"""The output file of each input of a command, checked before any work is done."""

import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn.errors import InputError
from gcn.files.atomic import check_folder, check_output
from gcn.files.folders import files_below
from gcn.files.names import printable

Identity = tuple[int, int] | str  # device and number of a file that exists, or the path of one that does not


class Job(NamedTuple):
    """One input file and its output file.

    Args:
        source: file that is read.
        target: file that is written.
        exists: it was there before, and may be replaced or left out.
    """

    source: Path
    target: Path
    exists: bool


class Kind(NamedTuple):
    """The kinds of files that a command reads and writes.

    Args:
        inputs: endings of the files that are looked for in folders.
        what: these files, for messages.
        ending: of an output whose name is not given.
        check: raises InputError for an output whose ending contradicts its content.
    """

    inputs: Collection[str]
    what: str
    ending: str
    check: Callable[[Path], None]


def plan(names: Sequence[str], output: str | None, kind: Kind, may_exist: bool = False) -> list[Job]:
    """The inputs with their output files; raises InputError for what cannot be read or written.

    A folder stands for all files of its kind at any depth. Outputs lie beside their inputs, or, with the same folders
    below it, in the folder ``output``, which need not exist. One input and a name that is no folder: that file.

    Args:
        names: files and folders.
        output: file or folder, or None.
        kind: what is made of what.
        may_exist: outputs that exist are no error.

    Raises:
        InputError: an output exists, would replace an input, belongs to two inputs, has another kind's ending or cannot
            be written; a folder holds nothing of its kind.
    """
    if not names:
        raise InputError("no input file is given")
    found = list(_inputs(names, kind))
    reasons = [_why_unreadable(source) for source, _ in found]
    if all(reasons):  # else each is reported, after the others
        raise InputError(f"{printable(found[0][0])}: {reasons[0]}; give files or folders that exist")
    several = len(found) > 1 or os.path.isdir(names[0]) or (output or "").endswith("/")
    if output is None:
        targets = [source.with_name(source.stem + kind.ending) for source, _ in found]
    elif several or os.path.isdir(output):
        folder = _output_folder(output, kind, len(found))
        targets = [folder / below / (source.stem + kind.ending) for source, below in found]
    else:
        targets = [Path(output)]
    jobs = [Job(source, to, os.path.exists(to)) for (source, _), to in zip(found, targets, strict=True)]
    new = {folder for folder in {target.parent for target in targets} if several and not folder.is_dir()}
    for folder in new:
        check_folder("out", folder)
    for job in jobs:
        kind.check(job.target)
        if job.target.parent not in new:
            check_output(job.target, overwrite=True)
        kind.check(Path(os.path.realpath(job.target)))  # a link leads to the file that is replaced
    _refuse_clashes(jobs, may_exist)
    return jobs


def _why_unreadable(source: Path) -> str | None:
    """Why a name is not that of a file; None where only reading it can tell."""
    try:
        kind = os.stat(source).st_mode
    except OSError:
        return None if os.path.lexists(source) else "no such file"
    return None if stat.S_ISREG(kind) else "a device, a pipe or a socket"


def _output_folder(output: str, kind: Kind, count: int) -> Path:
    if not os.path.isdir(output) and not output.endswith("/") and Path(output).suffix:
        raise InputError(
            f"{printable(output)}: not a folder, and {count} files go there; give a folder, or {printable(output)}/"
            " to make it"
        )
    return check_folder("out", output)


def _inputs(names: Sequence[str], kind: Kind) -> Iterator[tuple[Path, Path]]:
    """Each input file with its folder below the named one."""
    for name in names:
        path = Path(name)
        if not os.path.isdir(path):
            yield path, Path()
            continue
        found = [file for file in files_below(path) if file.suffix.lower() in kind.inputs]
        if not found:
            raise InputError(f"{printable(name)}: no {kind.what} in this folder")
        for file in found:
            yield file, file.relative_to(path).parent


def _refuse_clashes(jobs: Sequence[Job], may_exist: bool) -> None:
    inputs = {_identity(job.source) for job in jobs}
    taken: dict[Identity, Path] = {}
    for source, target, _ in jobs:
        name = _identity(target)
        if name in inputs:
            raise InputError(f"{printable(target)} is an input and would be overwritten; give another out=")
        if name in taken:
            if _identity(taken[name]) == _identity(source):
                raise InputError(f"{printable(source)} is given twice; name it once")
            both = f"{printable(taken[name])} and {printable(source)}"
            raise InputError(f"two inputs would become {printable(target)}: {both}; rename one")
        taken[name] = source
    if not may_exist:
        refuse_existing([job.target for job in jobs], "skip_existing=true to leave it out, or another out=")


def refuse_existing(targets: Sequence[Path], otherwise: str) -> None:
    """Raise InputError if an output exists; ``otherwise`` is the alternative to overwrite=true in the message."""
    there = [target for target in targets if os.path.exists(target)]
    if there:
        more = f" (the first of {len(there)} outputs that do)" if len(there) > 1 else ""
        raise InputError(
            f"{printable(there[0])} exists{more}; give overwrite=true to replace what exists, {otherwise}"
        )


def _identity(path: Path) -> Identity:
    """A key that is equal for two names of one file: by links, hard links, or upper and lower case."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino
