"""Errors that end a run from outside, such as a full disk: one line with the way to continue."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gcn.cli.quoting import resuming
from gcn.errors import BrokenOff, InputError, is_memory_error
from gcn.files.atomic import cannot_write

_ASKED = re.compile(r"tried to allocate ([\d.]+ ?\w+)", re.IGNORECASE)


@contextmanager
def explained(
    folder: Path, smaller: Callable[[], str], begun: Callable[[], bool], further: Sequence[str] = ()
) -> Iterator[None]:
    """Turn errors in the block that come from outside into one line.

    Args:
        folder: the run folder.
        smaller: says what can be made smaller where memory ran out.
        begun: whether the training had begun. Bad input before that is passed on as it is.
        further: words that name what the user adds to gcn; the command that resumes the run needs them.

    Raises:
        InputError: instead of an OSError or an error of memory, in torch or elsewhere; BrokenOff once the training had
            begun.
    """

    def go_on(how: str) -> str:
        """The command that resumes the run, if it has a checkpoint."""
        begun = (folder / "metrics.csv").exists()
        return f"{how} go on with: {resuming(folder, *further)}" if begun else ""

    def ended(line: str) -> InputError:
        return BrokenOff(line) if begun() else InputError(line)

    try:
        yield
    except (InputError, OSError, MemoryError, RuntimeError) as problem:
        if is_memory_error(problem):
            asked = _ASKED.search(str(problem))
            tried = f" (tried to allocate {asked[1]})" if asked else ""
            raise ended(f"out of memory{tried}: {smaller()}{go_on('; or free memory and')}") from None
        if isinstance(problem, InputError):
            if not begun():
                raise
            known = "resume=" in str(problem)  # of another process, which has said so itself
            raise BrokenOff(str(problem) if known else f"{problem}{go_on('; then')}") from None
        if isinstance(problem, OSError):
            line = cannot_write(problem.filename or folder, problem)
            raise ended(f"{line}{go_on('; then')}") from None
        raise
