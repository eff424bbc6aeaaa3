"""Processes of their own for tests, forked from one in which the libraries are imported already.

Importing torch and lightning takes longer than most of what a test does in a new process. Where the start of the
interpreter is what is tested, a test uses ``subprocess``.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing import forkserver, get_context, set_start_method
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = [
    "gcn.commands",  # first: it decides how others are imported
    "torch",
    "lightning",
    "gcn.training.module",
    "imported",  # tests/imported.py: what there is so far
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "gcn.commands.hydra_command",
    "gcn.commands.train",
    "pytest",
    "hypothesis",
    "prepared",  # last: tests/prepared.py
]


@cache
def forking() -> Any:
    """Context of ``multiprocessing`` whose processes have the libraries already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # of the server, to which Python 3.11 does not hand on sys.path
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    return context


class Forked:
    """A process that calls a function; used like ``subprocess.Popen``.

    Args:
        work: a function of a module; what it returns, if anything, goes to ``sys.exit``.
        arguments: of the function.
        environment: variables beside those of this process.
        cwd: working directory.
    """

    def __init__(
        self,
        work: Callable[..., Any],
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._said = Path(tempfile.mkdtemp(prefix="said-"))
        # Not a TemporaryDirectory: its warning would fail whichever test is running when this object is collected.
        weakref.finalize(self, shutil.rmtree, self._said, ignore_errors=True)
        settings = {**os.environ, **(environment or {})}
        self._process = forking().Process(
            target=_work, args=(str(self._said), settings, str(cwd or Path.cwd()), work, arguments)
        )
        self._process.start()
        self.args = [getattr(work, "__name__", "work"), *map(str, arguments)]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self._process.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def said(self, stream: str = "out") -> str:
        """What it has written so far to ``out`` or ``err``."""
        file = self._said / stream
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.said("out"), self.said("err")


def script(path: Path, words: Sequence[str], **options: Any) -> Forked:
    """``python PATH WORDS…`` in a process of its own; options as for :class:`Forked`."""
    return Forked(run_script, str(path), list(words), **options)


def _work(
    place: str, environment: Mapping[str, str], cwd: str, work: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        with Path(place, name).open("w") as file:
            os.dup2(file.fileno(), number)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    set_start_method(
        None, force=True
    )  # its workers start as those of any program, not as it was started itself
    os.setsid()  # as a shell's job: a signal to it reaches its own children and nobody else
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path]
    sys.exit(work(*arguments))


def run_script(path: str, words: Sequence[str]) -> None:
    """``python PATH WORDS…`` in this process."""
    sys.argv = [path, *words]
    sys.path[0:0] = [str(Path(path).parent)]
    runpy.run_path(path, run_name="__main__")
