"""Jobs of submitit: one for each task, in a SLURM cluster, or where there is none as processes of this machine."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gcn.errors import InputError
from gcn.schema.fields import suggestion
from gcn.study.executors.executor import Executor, Lost, Result, Work, interruptible
from gcn.study.executors.local import single_thread

INSTALL = "pip install 'gcn[submitit]'"
QUEUED = 100  # jobs in the queue of a cluster unless workers= says otherwise
DEFAULTS = {"time": 240, "job_name": "gcn"}  # minutes; submitit's own default is 5
UNLIMITED = 10**6  # minutes of a process of this machine
POLL = 0.5  # seconds; submitit asks SLURM less often, at growing intervals


class JobExecutor(Executor):
    """A job for each task; its messages and submission lie in ``folder``, which all nodes must see.

    A job that SLURM preempts is queued again by submitit.

    Args:
        options: of ``sbatch``, as submitit names them: ``{"partition": "cpu", "time": "60"}``, time in minutes.

    Raises:
        InputError: submitit is not installed, an option is unknown, or there are options and no SLURM.
    """

    def __init__(
        self, work: Work, folder: Path, workers: int | None = None, options: Mapping[str, str] | None = None
    ):
        try:
            import submitit
        except ImportError:
            raise InputError(f"executor=submitit needs a package that is not installed: {INSTALL}") from None
        slurm = shutil.which("srun") is not None
        if options and not slurm:
            raise InputError(
                f"slurm.{next(iter(options))}: there is no SLURM here (srun was not found); drop it"
            )
        self.workers = workers or (QUEUED if slurm else os.cpu_count() or 1)
        self.about = "as SLURM jobs" if slurm else "as processes of submitit, for there is no SLURM here"
        self._work = partial(_alone, work, slurm)
        self._local = not slurm
        self._jobs: dict[str, Any] = {}
        self._engine = submitit.AutoExecutor(folder, cluster="slurm" if slurm else "local")
        if slurm:
            self._engine.update_parameters(**_parameters(options or {}))
        else:
            self._engine.update_parameters(timeout_min=UNLIMITED)

    def start(self, task: Any) -> Hashable:
        job = self._engine.submit(self._work, task)
        self._jobs[job.job_id] = job
        return job.job_id

    def ended(self) -> dict[Hashable, Result | Lost]:
        while not (over := [key for key, job in self._jobs.items() if job.done()]):
            time.sleep(POLL)
        return {key: self._outcome(self._jobs.pop(key)) for key in over}

    def _outcome(self, job: Any) -> Result | Lost:
        import submitit

        try:
            result: Result = job.result()
        except submitit.core.utils.FailedJobError as problem:  # an exception of the worker's function
            last = str(problem).split("----------------------\n")[1].strip().splitlines()[-1]
            raise InputError(f"{job.paths.stderr}: {last}") from None
        except submitit.core.utils.UncompletedJobError:
            return Lost(f"state {job.state}; see {job.paths.stderr}")
        return result

    def stop(self) -> None:
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.cancel(check=False)
            if self._local:  # where SIGINT is ignored, in the background of a shell
                with contextlib.suppress(OSError):
                    os.kill(int(job.job_id), signal.SIGTERM)
        while self._local and any(job.state == "RUNNING" for job in jobs.values()):
            time.sleep(POLL)


def _parameters(options: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of ``AutoExecutor.update_parameters`` for SLURM."""
    from submitit.slurm.slurm import _get_default_parameters

    known = _get_default_parameters()
    for name in options:
        if name not in known:
            raise InputError(f"slurm.{name}: unknown; {suggestion(name, known)}")
    given = {name: int(text) if text.isdecimal() else text for name, text in options.items()}
    return {f"slurm_{name}": value for name, value in (DEFAULTS | given).items()}


def _alone(work: Work, slurm: bool, task: Any) -> Result:
    """Compute a task in a job. SIGTERM ends it on this machine; SLURM sends one before it preempts a job."""
    single_thread()
    with contextlib.nullcontext() if slurm else interruptible():
        return work(task)
