"""The end of a command: its exit status, and one line on stderr for an error."""

import contextlib
import errno
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TextIO

from gcn.cli.extras import remedy
from gcn.cli.quoting import command as shell
from gcn.errors import HungUp, InputError, NotNamed, Terminated, is_memory_error
from gcn.files.atomic import no_working_directory
from gcn.files.names import printable

BAD_INPUT, INTERRUPTED, PIPE_CLOSED = 2, 130, 141  # 128 and the number of a signal, as in a shell
SMALLER = "close other programs, or use smaller images"


def guarded(work: Callable[[], int], smaller: str = SMALLER, command: Sequence[str] = ()) -> int:
    """Do the work of a command; returns its exit status.

    Bad input, a missing package, a full disk or too little memory is one line on stderr and status 2. A reader of
    stdout that has gone (``| head``) ends the command without a word, and Ctrl-C, SIGTERM or SIGHUP with one.

    Args:
        work: does it, and returns the status if nothing goes wrong.
        smaller: what the user can do when memory runs out.
        command: the words of the command line, with which an error shows the whole command that is right.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        _print_anything(stream)
    try:
        with _terminable():
            try:
                return work()
            finally:
                sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return PIPE_CLOSED
    except KeyboardInterrupt as signalled:
        ended = signalled if isinstance(signalled, Terminated) else None
        _say(str(signalled) or (ended.said if ended else "interrupted"))
        return ended.status if ended else INTERRUPTED
    except ImportError as problem:
        line = remedy(problem)
        if line is None:
            raise
        _say(f"error: {line}")
        return BAD_INPUT
    except (InputError, OSError, MemoryError, RuntimeError) as problem:
        if not (isinstance(problem, InputError) or is_of_the_machine(problem)):
            raise
        again = f": {shell(*command, *problem.words)}" if command and isinstance(problem, NotNamed) else ""
        _say(f"error: {reason(problem, smaller)}{again}")
        if (
            isinstance(problem, OSError) and problem.filename is None
        ):  # as a rule stdout itself: its disk is full
            _abandon(sys.stdout)
        return BAD_INPUT


def is_of_the_machine(problem: Exception) -> bool:
    """Whether an error says that a disk, a device or the memory failed, and no reader of stdout has gone."""
    broken = isinstance(problem, BrokenPipeError)
    return (
        (isinstance(problem, OSError) and not broken)
        or is_memory_error(problem)
        or _is_of_open_files(problem)
    )


def _is_of_open_files(problem: Exception) -> bool:
    """Whether the system opens no more files; torch and safetensors raise RuntimeError for that."""
    return isinstance(problem, RuntimeError) and os.strerror(errno.EMFILE) in str(problem)


def reason(problem: Exception, smaller: str = SMALLER) -> str:
    """One printable line that says what an error means."""
    if is_memory_error(problem):
        return f"out of memory; {smaller}"
    if _is_of_open_files(problem):
        return "too many open files; raise the limit (ulimit -n), or use fewer processes"
    if isinstance(problem, InputError):
        return printable(str(problem))
    if isinstance(problem, OSError):
        if problem.filename is None and (gone := no_working_directory()):
            return str(gone)
        where = "standard output" if problem.filename is None else printable(problem.filename)
        return f"{where}: {problem.strerror or printable(str(problem))}; free or choose another place"
    return printable(f"{type(problem).__name__}: {problem}")


def _print_anything(stream: TextIO | None) -> None:
    """Print characters that the terminal's encoding lacks as their number."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _say(line: str) -> None:
    """Print the last line of a command on stderr, whose disk may be full: the exit status says enough then."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def _open_closed_streams() -> None:
    """Open the null device where the caller has closed stdin, stdout or stderr (``2>&-``).

    Otherwise the next file that is opened gets the number of the closed one, and what a library prints on stderr is
    written into an image or a checkpoint.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(
                os.open(os.devnull, os.O_RDWR), True
            )  # the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _abandon(stream: TextIO) -> None:
    """Redirect a broken stdout or stderr so that the interpreter can flush it at its end."""
    with contextlib.suppress(OSError, ValueError):  # one without a number
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does: partial files are removed, worker processes end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _terminate) for number in (signal.SIGTERM, *hang_up())}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hang_up() -> list[signal.Signals]:
    """SIGHUP, unless this process is to live on without its terminal (``nohup``) or the system has no such signal."""
    number = getattr(signal, "SIGHUP", None)
    return [] if number is None or signal.getsignal(number) is signal.SIG_IGN else [number]


def leave_terminal() -> None:
    """Redirect stdout and stderr if they are a terminal that was closed: what is printed there would be an error."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, number)
                os.close(null)


def _terminate(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGTERM:
        raise Terminated
    leave_terminal()
    raise HungUp
