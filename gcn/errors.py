"""The one exception that stands for bad input."""


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
