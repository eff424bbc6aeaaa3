"""Worker processes of this machine, each with a pipe to the planner."""

import contextlib
import os
import signal
import sys
from collections.abc import Hashable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from gcn.study.executors.executor import Executor, Lost, Result, Work


class LocalExecutor(Executor):
    """Processes that are started when they are needed and take one task after another.

    A process ends when its pipe closes, hence with the planner, however that ends.
    """

    about = "on this machine"

    def __init__(self, work: Work, workers: int | None = None):
        self.workers = workers or os.cpu_count() or 1
        self._work = work
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}

    def start(self, task: Any) -> Hashable:
        worker = self._idle.pop() if self._idle else _Worker(self._work)
        self._busy[worker.pipe] = worker
        with contextlib.suppress(OSError):  # it ended while it was idle: ``ended`` reports it as lost
            worker.pipe.send(task)
        return worker

    def ended(self) -> dict[Hashable, Result | Lost]:
        found: dict[Hashable, Result | Lost] = {}
        for worker in [self._busy[pipe] for pipe in self._busy.keys() & set(wait(list(self._busy)))]:
            del self._busy[worker.pipe]
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                answer = Lost(worker.end())
            else:
                self._idle.append(worker)
            if isinstance(answer, Exception):
                raise answer
            found[worker] = answer
        return found

    def stop(self) -> None:
        workers = [*self._idle, *self._busy.values()]
        self._idle, self._busy = [], {}
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


class _Worker:
    """A process and the planner's end of its pipe."""

    def __init__(self, work: Work):
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, work), daemon=False)
        self.process.start()
        other.close()  # so that the pipe closes with the process

    def end(self) -> str:
        """Wait for the end of the process; returns how it ended."""
        self.process.join()
        code = self.process.exitcode or 0
        self.pipe.close()
        return f"killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"status {code}"


def _serve(pipe: Connection, work: Work) -> None:
    """Compute tasks of the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the planner who ends its workers
    single_thread()
    with contextlib.suppress(
        EOFError, OSError, KeyboardInterrupt
    ):  # the planner has ended, or ends its workers
        while True:
            task = pipe.recv()
            try:
                answer: Any = work(task)
            except Exception as problem:
                answer = problem
            pipe.send(answer)


def single_thread() -> None:
    """Leave one thread to this process: workers share the cores, not the threads."""
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
