"""Training batches from worker processes that never outlive the run, whatever ends it.

A worker process leaves every signal to the main process, which needs its batches until it has stopped. So nothing ends
a worker but :meth:`TrainLoader.close`, and the death of the main process, which torch's own watchdog notices within
5 s. Python's exit is no way out by itself: it sends SIGTERM to the workers and waits for them without a limit.
"""

import atexit
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import connection
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data._utils import signal_handling

from gcn.errors import InputError
from gcn.game.labelled import Batch, Labelled

PATIENCE = 5.0  # seconds for the processes and threads of a loader to end
DYING = 1.0  # seconds between the first sign of a worker's death and its end


class Maker(Protocol):
    """Interface of what makes batches; see :class:`gcn.data.loader.Crops`."""

    def __getitem__(self, step: int) -> Batch:
        """The batch of one generator update."""

    def new_bad(self) -> dict[str, str]:
        """Images found to be unreadable since the last call, with the reasons."""


class Made(NamedTuple):
    """A worker's message for one update: a batch or the reason why there is none, and newly unreadable images."""

    batch: Batch | None
    problem: str | None
    bad: dict[str, str]  # images that turned out to be bad since the worker's last batch, with the reasons


class _Guarded(Dataset[Made]):
    """Batches whose errors are sent as text, because torch would turn a worker's exception into a traceback."""

    def __init__(self, crops: Maker) -> None:
        self.crops = crops

    def __getitem__(self, step: int) -> Made:
        try:
            batch, problem = _shared(self.crops[step]), None
        except InputError as error:
            batch, problem = None, str(error)
        return Made(batch, problem, self.crops.new_bad())


def _shared(batch: Batch) -> Batch:
    """The batch, moved to shared memory if a worker made it.

    torch would move it there in a thread of its own, whose failure nobody hears of: the main process would wait on.
    """
    if get_worker_info() is not None:
        try:
            for whole in batch if isinstance(batch, Labelled) else (batch,):
                whole.share_memory_()
        except (RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"data.workers: no shared memory for a batch ({reason}); use data.workers=0 or enlarge /dev/shm"
            ) from None
    return batch


class TrainLoader:
    """One batch (d_steps · batch / world, 3, P, P), labelled or not, for each update ``start_step`` to ``steps - 1``.

    Order and pixels are the same for any number of workers, and nothing is drawn from the global generator. As a
    context manager it closes the workers at the end and says in one line if one of them has died.

    Args:
        crops: what item ``step`` holds.
        steps, start_step: updates.
        workers: processes; 0: the crops are made in this one.
        bad: names of images that went bad since they were scanned, and the reasons; filled during the iteration.

    Raises:
        InputError: while iterating: no image can be read any more, or a worker process has died.
    """

    def __init__(
        self,
        crops: Maker,
        *,
        steps: int,
        start_step: int = 0,
        workers: int = 0,
        bad: dict[str, str] | None = None,
    ) -> None:
        self.crops, self.start_step, self.steps, self.workers = crops, start_step, steps, workers
        self.bad = {} if bad is None else bad
        self._open: list[Any] = []  # torch's iterators that have workers
        self._death: str | None = None

    def __len__(self) -> int:
        return max(0, self.steps - self.start_step)

    def __iter__(self) -> Iterator[Batch]:
        iterator = self._start()
        try:
            for batch, problem, bad in iterator:
                self.bad.update({name: bad[name] for name in bad if name not in self.bad})
                if batch is None:
                    raise InputError(problem)
                yield batch
        except InputError:
            raise
        except Exception as error:
            self._end(iterator, wait=DYING)
            raise self._explained(error) from None
        finally:
            self._end(iterator)

    def _start(self) -> Any:
        iterator = iter(
            DataLoader(
                _Guarded(self.crops),
                batch_size=None,
                sampler=range(self.start_step, self.start_step + len(self)),
                num_workers=self.workers,
                worker_init_fn=_leave_signals if self.workers else None,
                pin_memory=torch.cuda.is_available(),
                generator=torch.Generator().manual_seed(0),  # for the workers' seed, which nobody needs
            )
        )
        if self.workers:
            self._open.append(iterator)
            atexit.register(
                self.close
            )  # registered later than multiprocessing's own, which would wait: runs before
        return iterator

    def close(self) -> None:
        """End all worker processes at once; nothing is lost by that."""
        for iterator in list(self._open):
            self._end(iterator)

    def _end(self, iterator: Any, wait: float = 0.0) -> None:
        """End the workers without torch's ``_shutdown_workers``, which may wait for ever for a dead worker's lock.

        Args:
            iterator: torch's.
            wait: seconds to see whether a worker is about to die: its connection may break before.
        """
        if iterator not in self._open:
            return
        if not iterator._shutdown:  # by torch, after the last batch
            # First, for until here torch's handler of SIGCHLD may raise, before the removal or after it.
            try:
                signal_handling._remove_worker_pids(id(iterator))
            except RuntimeError:
                with suppress(ValueError):  # removed already
                    signal_handling._remove_worker_pids(id(iterator))
        self._open.remove(iterator)
        if not self._open:
            atexit.unregister(self.close)
        if iterator._shutdown:
            return
        iterator._shutdown, iterator._worker_pids_set = True, False
        dying = connection.wait([worker.sentinel for worker in iterator._workers], wait)
        for worker in iterator._workers:
            if worker.sentinel in dying:  # its files are closed, its exit code comes a moment later
                worker.join(PATIENCE)
        codes = [worker.exitcode for worker in iterator._workers]
        dead = [code for code in codes if code is not None and code != 0]
        if dead:
            self._death = _how(dead[0])
        for worker in iterator._workers:
            worker.kill()
        for worker in iterator._workers:
            worker.join(PATIENCE)
        if hasattr(iterator, "_pin_memory_thread"):
            iterator._pin_memory_thread_done_event.set()
            iterator._pin_memory_thread.join(PATIENCE)
        for queue in (*iterator._index_queues, iterator._worker_result_queue):
            queue.cancel_join_thread()
            queue.close()

    def _explained(self, error: Exception) -> Exception:
        """The exception to raise for an error that the death of a worker may have caused."""
        if self._death is None:
            return error
        return InputError(f"data.workers={self.workers}: a worker process {self._death}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, RuntimeError) and self._death is not None:  # it may be raised anywhere
            raise self._explained(error) from None


def _how(code: int) -> str:
    """How a process with this exit code of :mod:`multiprocessing` ended, and what the user can do."""
    memory = "the system may be out of memory: use fewer workers, or data.workers=0"
    if code == 255:  # of a fork server, which does not know more
        return f"was killed; {memory}"
    if code > 0:
        return f"ended with status {code}; use data.workers=0 to see why"
    name = signal.Signals(-code).name
    return f"was killed by {name}; " + (memory if name in ("SIGKILL", "SIGBUS") else "use data.workers=0")


def _leave_signals(worker: int) -> None:
    """Ignore signals in a worker: those to the whole process group are for the main process."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):  # Windows has not all
            signal.signal(getattr(signal, name), signal.SIG_IGN)
