"""Jobs of submitit, with its executor for one machine; SLURM's commands are replaced where it is about SLURM."""

import math
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import counted
import pytest

from gcn.errors import InputError
from gcn.study.executors.executor import results
from gcn.study.executors.jobs import JobExecutor, _parameters

submitit = pytest.importorskip("submitit", reason="the extra submitit is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_machine(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    monkeypatch.setattr(shutil, "which", lambda command: None)  # srun is not found, if there is one
    monkeypatch.setattr(submitit.local.local.LocalJob, "_results_timeout_s", 0)  # of a shared file system


def run(tasks, executor):
    return dict(results(tasks, executor, math.inf, counted.again, counted.lost))


def test_a_killed_job_loses_its_own_task_only(tmp_path):
    tasks = [(str(tmp_path), name, kills) for name, kills in (("a", 0), ("b", 1), ("c", 2))]
    found = run(tasks, JobExecutor(counted.work, tmp_path / "jobs", 2))
    assert found["a"] == found["b"] == "done"
    assert found["c"].startswith("lost: state FINISHED; see ")
    assert [len(counted.attempts(tmp_path, name)) for name in "abc"] == [1, 2, 2]


def test_an_exception_of_a_job_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"_log\.err: OSError: .*No space left on device"):
        run(["x"], JobExecutor(counted.fail, tmp_path / "jobs", 1))


def test_an_interruption_ends_the_jobs(tmp_path):
    def terminate():
        counted.soon(lambda: counted.attempts(tmp_path, "a"))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([(str(tmp_path), "a")], JobExecutor(counted.wait, tmp_path / "jobs", 1))
    thread.join()
    (job,) = counted.attempts(tmp_path, "a")
    assert counted.soon(lambda: not counted.alive(job))


def test_options_of_slurm_need_slurm(tmp_path):
    with pytest.raises(InputError, match=r"slurm\.time: there is no SLURM here"):
        JobExecutor(counted.work, tmp_path, 1, {"time": "60"})


def test_options_reach_sbatch(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", "/usr/bin/{}".format)
    options = {"partition": "cpu", "mem": "2GB", "time": "60"}
    executor = JobExecutor(counted.work, tmp_path / "jobs", None, options)
    script = executor._engine._executor._make_submission_file_text("command", "id")
    for line in ("partition=cpu", "mem=2GB", "time=60", "job-name=gcn"):
        assert f"#SBATCH --{line}\n" in script
    assert executor.workers == 100
    assert _parameters({})["slurm_time"] == 240
    with pytest.raises(InputError, match=r"slurm\.partion: unknown; nearest: partition"):
        JobExecutor(counted.work, tmp_path / "jobs", None, {"partion": "cpu"})
