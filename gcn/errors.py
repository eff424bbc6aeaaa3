"""Errors that are no defect of the program: bad input, an interruption, too little memory."""

import re
from collections.abc import Sequence

_MEMORY = re.compile(
    r"out of memory|not enough memory|can.?.?.?t allocate memory|bad_alloc|alloc_failed", re.IGNORECASE
)


class InputError(ValueError):
    """Bad input from the user; the message is one line.

    The message is one line that names the thing, says what is wrong and what to do about it. Scripts print it as
    ``error: ...`` and exit with status 2; it never reaches the user as a stack trace.
    """


class BrokenOff(InputError):
    """What ended a training that had begun, such as a full disk: its words were right, and the run can go on."""


class NotNamed(InputError):
    """A run folder or a model file that needs a plugin which the user has not named.

    Args:
        reason: what is missing.
        words: those of the command line that name what it was made with.
    """

    def __init__(self, reason: str, words: Sequence[str] = ()) -> None:
        super().__init__(
            f"{reason}; it was made with {' '.join(words)}, which is never taken from a file: if you trust it, give it "
            "again"
        )
        self.words = tuple(words)
        self.reason = reason

    def at(self, place: str) -> "NotNamed":
        """The same error with the name of the file before it."""
        return NotNamed(f"{place}: {self.reason}", self.words)


class Interrupted(Exception):
    """A run was asked to stop and has written a checkpoint; the message says how to continue.

    Args:
        message: for the user.
        status: exit status, 128 plus the number of the signal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); partial files are removed before it ends."""

    status = 143  # 128 and the number of the signal, as in a shell
    said = "terminated"


class HungUp(Terminated):
    """The terminal of the process was closed (SIGHUP), for instance because a connection was lost."""

    status = 129
    said = "the terminal was closed"


def is_memory_error(problem: BaseException) -> bool:
    """Whether an error means that memory ran out: torch raises RuntimeError for that, the system OSError."""
    if isinstance(problem, MemoryError):
        return True
    return isinstance(problem, RuntimeError | OSError) and _MEMORY.search(str(problem)) is not None
