"""Errors that are no fault of the program: bad input, an interruption, too little memory."""

import re

_MEMORY = re.compile(
    r"out of memory|not enough memory|can.?.?.?t allocate memory|bad_alloc|alloc_failed", re.IGNORECASE
)


class InputError(ValueError):
    """Bad input from the user.

    The message is one line that names the thing, says what is wrong and what to do about it. Scripts print it as
    ``error: ...`` and exit with status 2; it never reaches the user as a stack trace.
    """


class Interrupted(Exception):
    """A run was asked to stop and has written a checkpoint; the message says how to go on.

    Args:
        message: for the user.
        status: exit status, 128 plus the number of the signal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); what is half written is removed on the way out."""


def is_memory_error(problem: BaseException) -> bool:
    """Whether an error says that memory ran out; torch says so in a RuntimeError, the system in an OSError."""
    if isinstance(problem, MemoryError):
        return True
    return isinstance(problem, RuntimeError | OSError) and _MEMORY.search(str(problem)) is not None
