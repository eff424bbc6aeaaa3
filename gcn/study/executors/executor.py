"""Interface of an executor, and the loop that hands out tasks to it until all have ended.

    planner ──start(task)──► executor ──► worker ──► result file in the study's folder
            ◄──ended()──── (name, verdict), or Lost: the worker ended before its task

The loop knows nothing about arms: a task is whatever the worker's function takes.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

Result = tuple[str, str]  # name of the arm, its verdict
Work = Callable[[Any], Result]  # a function of a module, which the worker imports


class Lost(NamedTuple):
    """The worker ended before its task: killed, out of memory, a node that failed."""

    reason: str


class Executor(ABC):
    """Workers that compute tasks.

    Attributes:
        workers: how many tasks are in training (or in a queue of the cluster) at once.
        about: where they are, for the user.
    """

    workers: int
    about: str

    @abstractmethod
    def start(self, task: Any) -> Hashable:
        """Give a task to a worker; returns the key under which ``ended`` reports it."""

    @abstractmethod
    def ended(self) -> dict[Hashable, Result | Lost]:
        """Wait until at least one task has ended; returns those that have, each once.

        Raises:
            Exception: that of the worker's function.
        """

    @abstractmethod
    def stop(self) -> None:
        """End all workers and their tasks, on other machines as well. ``start`` may follow, with new workers."""


def results(
    tasks: Sequence[Any],
    executor: Executor,
    ends: float,
    again: Callable[[Any, str], None],
    give_up: Callable[[Any, str], Result],
) -> Iterator[Result]:
    """Names and verdicts as they come. A task whose worker was lost is given to another worker once.

    After the time ``ends`` of ``time.monotonic`` no task is started, and those that were are finished. If the iterator
    is interrupted or closed, all workers end.

    Args:
        tasks: in the order in which they are started.
        again: called with a task whose worker was lost for the first time, and the reason.
        give_up: called with a task whose worker was lost for the second time, and the reason; returns its result.
    """
    waiting, repeated, running = deque(tasks), set[int](), dict[Hashable, Any]()
    try:
        with interruptible():
            while True:
                while waiting and len(running) < executor.workers and time.monotonic() < ends:
                    task = waiting.popleft()
                    running[executor.start(task)] = task
                if not running:
                    return
                for key, outcome in executor.ended().items():
                    task = running.pop(key)
                    if not isinstance(outcome, Lost):
                        yield outcome
                    elif id(task) in repeated:
                        yield give_up(task, outcome.reason)
                    else:
                        again(task, outcome.reason)
                        repeated.add(id(task))
                        waiting.appendleft(task)
    finally:
        executor.stop()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM act as Ctrl-C in the block: child processes end with their parent."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
