"""``train.log`` in the run folder: messages of the terminal and of libraries, with times."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from gcn.errors import InputError, Interrupted
from gcn.files.atomic import cannot_write

LOG_FILE = "train.log"
FORMAT = "%(asctime)s %(levelname)s %(message)s"
LIGHTNING = ("lightning.pytorch", "lightning.fabric")
terminal = logging.getLogger("gcn.cli.terminal")


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Append to the log of a run during the block; the last entry says how the block ended.

    Raises:
        InputError: the file cannot be written.
    """
    path = folder / LOG_FILE
    try:
        file = _File(path, encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        raise cannot_write(path, problem) from None
    file.setFormatter(logging.Formatter(FORMAT))
    with ExitStack() as stack:
        stack.callback(file.close)
        _handle(stack, file)
        stack.enter_context(_logged_warnings())
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            setattr(sys, name, _Copy(stream))
            stack.callback(setattr, sys, name, stream)
        try:
            yield
        except (InputError, Interrupted) as end:
            terminal.error(end)
            raise
        except BaseException:
            terminal.exception("the run ended with an error")
            raise
        terminal.info("the run has ended")


def quiet() -> None:
    """Hide Lightning's advice from the terminal."""
    for name in LIGHTNING:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def _handle(stack: ExitStack, file: logging.Handler) -> None:
    """Let all loggers write to the file, without a change of what the terminal shows."""
    root = logging.getLogger()
    added = [file] if root.handlers else [file, logging.StreamHandler(sys.stderr)]  # as Python's last resort
    for handler in added:
        handler.setLevel(logging.WARNING if handler is not file else logging.INFO)
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
    if root.level > logging.WARNING:
        stack.callback(root.setLevel, root.level)
        root.setLevel(logging.WARNING)
    for name in LIGHTNING:
        logger = logging.getLogger(name)
        stack.callback(setattr, logger, "propagate", logger.propagate)
        stack.callback(setattr, logger, "handlers", logger.handlers)
        stack.callback(logger.setLevel, logger.level)
        logger.propagate, logger.handlers = False, [file]
        logger.setLevel(logging.INFO)
    stack.callback(setattr, terminal, "propagate", terminal.propagate)
    stack.callback(setattr, terminal, "handlers", terminal.handlers)
    terminal.propagate, terminal.handlers = False, [file]  # what is on the terminal already
    terminal.setLevel(logging.INFO)


@contextmanager
def _logged_warnings() -> Iterator[None]:
    """Log all warnings; those of Lightning are not shown."""
    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.filterwarnings("default", module="lightning")
        warnings.filterwarnings("default", message=".*does not have many workers.*")

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            text = " ".join(str(message).split())
            terminal.warning("%s:%s: %s: %s", filename, lineno, category.__name__, text)
            if "lightning" not in filename and not category.__module__.startswith("lightning"):
                shown(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


class _File(logging.FileHandler):
    """Log file whose failure, by a full disk for instance, is one line on the terminal."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Report the first failure on the terminal; the run continues."""
        if not self.failed:
            self.failed = True
            print(f"{self.baseFilename} cannot be written any more", file=sys.__stderr__, flush=True)


class _Copy:
    """Terminal stream whose complete lines are also logged, without the states of a progress bar."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.line = stream, ""

    def write(self, text: str) -> int:
        """Write to the terminal, and log the lines that are complete."""
        *lines, rest = (self.line + text).split("\n")
        self.line = rest.rpartition("\r")[2]
        for line in lines:
            if seen := line.rstrip().rpartition("\r")[2].rstrip():
                terminal.info(seen)
        return int(self.stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
