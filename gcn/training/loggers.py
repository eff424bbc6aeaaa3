"""Lightning's loggers in a run of ``scripts/train.py``: the same rows as in ``metrics.csv``, and failures of one line.

``metrics.csv`` is the project's own, and not Lightning's CSVLogger, because a resumed run continues it after the row of
its checkpoint; CSVLogger deletes the file that it finds. What the other loggers have lost when a run was killed is sent
again from it.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from gcn.errors import InputError
from gcn.files.names import printable

GUARDED = ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize", "after_save_checkpoint")


def started(
    name: str, kind: type[Logger], options: Mapping[str, Any], folder: Path, resumed: bool = False
) -> Logger:
    """A logger for the run in ``folder``, whose failures end nothing but its own log.

    Args:
        name: of the choice, ``tensorboard``, for messages.
        kind: class of the logger.
        options: its arguments. ``{folder}`` and ``{run}`` in them become the run folder and its name; None leaves the
            logger's own default.
        folder: the run folder.
        resumed: the run is continued: what TensorBoard has of it is replaced by the rows of ``metrics.csv``.

    Raises:
        InputError: the logger refuses its arguments.
    """
    given = {key: placed(value, folder) for key, value in options.items() if value is not None}
    if resumed and issubclass(kind, TensorBoardLogger):
        given["purge_step"] = 0
    try:
        logger = kind(**given)
    except Exception as problem:  # of the user's class, or of a library
        raise InputError(f"logger={name}: cannot start ({_reason(problem)}); mend logger.{name}.…") from None
    failed: list[str] = []
    for method in GUARDED:
        setattr(logger, method, _guarded(getattr(logger, method), name, failed))
    return logger


def send(
    loggers: Iterable[Logger], rows: Iterable[Mapping[str, Any]], config: Mapping[str, Any] | None = None
) -> None:
    """Log rows of ``metrics.csv``, each with its ``step``, after the configuration where it is given."""
    for logger in loggers:
        if config is not None:
            logger.log_hyperparams(dict(config))
        for row in rows:
            numbers = {key: value for key, value in row.items() if key != "step" and value is not None}
            logger.log_metrics(numbers, int(row["step"]))


def placed(value: Any, folder: Path) -> Any:
    """An argument in which ``{folder}`` and ``{run}`` are the run folder and its name; others than texts unchanged."""
    for mark, text in {"{folder}": str(folder), "{run}": folder.resolve().name}.items():
        value = value.replace(mark, text) if isinstance(value, str) else value
    return value


def _guarded(method: Callable[..., Any], name: str, failed: list[str]) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        if failed:
            return None
        try:
            return method(*arguments, **named)
        except Exception as problem:
            failed.append(name)
            print(
                f"logger={name}: stopped logging ({_reason(problem)}); metrics.csv has the numbers",
                file=sys.stderr,
                flush=True,
            )

    return call


def _reason(problem: BaseException) -> str:
    return printable(" ".join(f"{type(problem).__name__}: {problem}".split()))[:300]
