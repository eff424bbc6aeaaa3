"""One command on many files: a line for each, unusable ones reported and skipped, a summary and a status.

Several processes (``jobs=N``) start fresh, without a copy of this one. They get one file at a time and print nothing;
they end with this process, however it ends.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from gcn.cli.terminal import BAD_INPUT, SMALLER, hang_up, reason
from gcn.errors import InputError
from gcn.files.names import printable

MOST_JOBS = 256


class Outcome(NamedTuple):
    """Result of one file.

    Args:
        line: for the terminal.
        bits: of the compressed file.
        skipped: there was nothing to do.
    """

    line: str
    bits: int = 0
    skipped: bool = False


Work = Callable[[Any], Outcome]
Task = tuple[str, Any]  # the name of an input, for messages, and what the work takes


class Batch:
    """Prints the result of each input, and counts them.

    Args:
        total: number of inputs.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.skipped = self.failed = self.bits = 0
        self._start = time.perf_counter()

    def add(self, outcome: Outcome, seconds: float | None = None) -> None:
        """Count and print an input that was done or skipped."""
        self.done += not outcome.skipped
        self.skipped += outcome.skipped
        self.bits += outcome.bits
        took = "" if seconds is None or outcome.skipped else f", {seconds:.2f} s"
        number = f"[{self.done + self.skipped + self.failed}/{self.total}] " if self.total > 1 else ""
        print(f"{number}{printable(outcome.line)}{took}", flush=True)

    def fail(self, name: str, why: str) -> None:
        """Count and print an input that could not be used; ``why`` may begin with its name."""
        self.failed += 1
        shown = printable(name)
        print(f"error: {why if why.startswith(shown) else f'{shown}: {why}'}", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """Line with the numbers of done, skipped and failed inputs, and the total bits and seconds."""
        counts = {"done": self.done, "skipped": self.skipped, "failed": self.failed}
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "done")
        sizes = f", {self.bits} bits" if self.bits else ""
        return f"{self.total} files: {said}{sizes}, {time.perf_counter() - self._start:.1f} s"

    def close(self) -> int:
        """Print the summary of several inputs; returns the exit status."""
        if self.total > 1:
            print(self.summary(), flush=True)
        return BAD_INPUT if self.failed else 0


def run(tasks: Sequence[Task], prepare: Callable[[], Work], jobs: int = 1, smaller: str = SMALLER) -> int:
    """Do all tasks and continue after those that fail; returns the exit status.

    Args:
        tasks: names and arguments.
        prepare: gives the function that does one task; pickled, and called once in every process.
        jobs: processes; 1 for this one.
        smaller: what the user can do when memory runs out.

    Raises:
        InputError: the work cannot be prepared.
        KeyboardInterrupt: with the number of tasks that were done.
    """
    batch, jobs = Batch(len(tasks)), min(jobs, len(tasks))
    answers = _here(tasks, prepare, smaller) if jobs < 2 else _elsewhere(tasks, prepare, jobs, smaller)
    try:
        with closing(answers):
            for name, answer, seconds in answers:
                if isinstance(answer, Outcome):
                    batch.add(answer, seconds)
                else:
                    batch.fail(name, answer)
    except KeyboardInterrupt as signalled:
        raise type(signalled)(f"interrupted; {batch.summary()}; go on with skip_existing=true") from None
    return batch.close()


Answer = tuple[str, Outcome | str, float]  # name, outcome or reason of the failure, seconds


def _attempt(work: Work, task: Task, smaller: str) -> Answer:
    start = time.perf_counter()
    name, argument = task
    answer: Outcome | str
    try:
        answer = work(argument)
    except Exception as problem:  # whatever it is, it must not cost the other inputs
        answer = reason(problem, smaller)
    return name, answer, time.perf_counter() - start


def _here(tasks: Sequence[Task], prepare: Callable[[], Work], smaller: str) -> Generator[Answer, None, None]:
    work = prepare()
    for task in tasks:
        yield _attempt(work, task, smaller)


class _Worker:
    """A process that does one task at a time."""

    def __init__(self, prepare: Callable[[], Work], smaller: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.task: Task | None = None
        self.ready = False
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, prepare, smaller))
        # inherited: what a terminal sends to all of its processes is this one's affair
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *hang_up())}
        try:
            self.process.start()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        theirs.close()

    def give(self, task: Task | None) -> bool:
        """Send the next task, or the end, to the process; returns False if there is no task left."""
        self.task = task
        with suppress(OSError):  # it has died, which is seen when its answer is read
            self.connection.send(task)
        return task is not None

    def death(self) -> str:
        """Reason why the process gave no answer."""
        self.process.join()
        return f"its process ended with status {self.process.exitcode}, perhaps for lack of memory; use fewer jobs"


def _elsewhere(
    tasks: Sequence[Task], prepare: Callable[[], Work], jobs: int, smaller: str
) -> Generator[Answer, None, None]:
    left = iter(tasks)
    workers: dict[Any, _Worker] = {}

    def employ() -> None:
        task = next(left, None)
        if task is not None:
            worker = _Worker(prepare, smaller)
            workers[worker.connection] = worker
            worker.give(task)

    try:
        for _ in range(jobs):
            employ()
        while workers:
            for connection in wait(list(workers)):
                worker = workers[connection]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    del workers[connection]
                    if not worker.ready:  # another one would not fare better
                        raise InputError(worker.death()) from None
                    assert worker.task is not None
                    yield worker.task[0], worker.death(), 0.0
                    employ()
                    continue
                if isinstance(answer, InputError):  # nothing can be prepared
                    raise answer
                if answer is None:
                    worker.ready = True
                    continue
                yield answer
                if not worker.give(next(left, None)):
                    del workers[connection]
                    worker.process.join()
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.process.join(5)
            worker.process.kill()


def _serve(connection: Connection, prepare: Callable[[], Work], smaller: str) -> None:
    """Main function of a worker process: reports that it is ready, then answers tasks until the end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # partial files are removed on the way
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        work = prepare()
    except Exception as problem:
        connection.send(InputError(reason(problem, smaller)))
        return
    connection.send(None)
    try:
        while (task := connection.recv()) is not None:
            connection.send(_attempt(work, task, smaller))
    except (EOFError, OSError):  # the parent is gone
        return


def _follow_parent() -> None:
    """End this process when its parent process has ended in any way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
