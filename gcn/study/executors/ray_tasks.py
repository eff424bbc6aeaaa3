"""Tasks of a Ray cluster: each of its processors trains an arm."""

import logging
import os
import signal
from collections.abc import Hashable
from typing import Any

from gcn.errors import InputError
from gcn.study.executors.executor import Executor, Lost, Result, Work
from gcn.study.executors.local import single_thread

INSTALL = "pip install 'gcn[ray]'"
GRACE = 5.0  # seconds that interrupted tasks have to end their child processes


class RayExecutor(Executor):
    """A task of one processor for each arm, in the cluster that ``RAY_ADDRESS`` or ``ray start`` on this machine names.

    Without either Ray starts a cluster of this machine alone, which ends with the planner. A process of Ray takes one
    task after another.

    Raises:
        InputError: Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, work: Work, workers: int | None = None):
        try:
            import ray
        except ImportError:
            raise InputError(f"executor=ray needs a package that is not installed: {INSTALL}") from None
        if not ray.is_initialized():
            _connect()
        nodes = [node for node in ray.nodes() if node["Alive"]]
        self.workers = workers or int(ray.cluster_resources().get("CPU", 1))
        self.about = (
            f"in a Ray cluster of {len(nodes)} machines" if len(nodes) > 1 else "in Ray on one machine"
        )
        self._work = work
        # Ray's own repetition is off: the planner decides about lost tasks
        self._function = ray.remote(num_cpus=1, max_retries=0)(_single)
        self._running: dict[Any, None] = {}

    def start(self, task: Any) -> Hashable:
        reference = self._function.remote(self._work, task)
        self._running[reference] = None
        return reference  # type: ignore[no-any-return]

    def ended(self) -> dict[Hashable, Result | Lost]:
        import ray

        (reference,), _ = ray.wait(list(self._running), num_returns=1)
        del self._running[reference]
        try:
            result: Result | Lost = ray.get(reference)
        except ray.exceptions.RayTaskError as problem:  # an exception of the worker's function
            raise problem.cause from None
        except ray.exceptions.RayError as problem:
            result = Lost(f"{type(problem).__name__}: {str(problem).strip().splitlines()[0]}")
        return {reference: result}

    def stop(self) -> None:
        import ray

        running, self._running = list(self._running), {}
        for force in (False, True):
            for reference in running:
                ray.cancel(reference, force=force)
            if running:
                _, running = ray.wait(running, num_returns=len(running), timeout=GRACE)


def _connect() -> None:
    """Connect to a cluster, or start one; Ray's handler of SIGTERM is not kept."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of this process's own reports nothing
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise InputError(f"executor=ray: no connection to the cluster: {reason}") from None
    finally:
        signal.signal(signal.SIGTERM, handler)


def _single(work: Work, task: Any) -> Result:
    single_thread()
    return work(task)
