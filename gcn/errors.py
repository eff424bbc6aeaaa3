"""The one exception that stands for bad input."""


class InputError(ValueError):
    """Bad input from the user.

    The message is one line that names the thing, says what is wrong and what to do about it. Scripts print it as
    ``error: ...`` and exit with status 2; it never reaches the user as a stack trace.
    """
