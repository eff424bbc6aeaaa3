"""The loop that hands out tasks, and worker processes of this machine."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import counted
import pytest

from gcn.errors import InputError
from gcn.study.executors.executor import results
from gcn.study.executors.jobs import JobExecutor
from gcn.study.executors.local import LocalExecutor
from gcn.study.executors.ray_tasks import RayExecutor


def run(tasks, executor, ends=math.inf):
    return dict(results(tasks, executor, ends, counted.again, counted.lost))


@pytest.mark.slow
def test_a_killed_worker_loses_its_own_task_only(tmp_path):
    tasks = [(tmp_path, name, kills) for name, kills in (("a", 0), ("b", 1), ("c", 2), ("d", 0))]
    found = run(tasks, LocalExecutor(counted.work, 2))
    assert found == {"a": "done", "b": "done", "c": "lost: killed by signal 9 (SIGKILL)", "d": "done"}
    assert [len(counted.attempts(tmp_path, name)) for name in "abcd"] == [1, 2, 2, 1]
    assert (tmp_path / "b again").read_text() == "killed by signal 9 (SIGKILL)"
    assert not (tmp_path / "a again").exists()


@pytest.mark.slow
def test_a_process_takes_one_task_after_another(tmp_path):
    executor = LocalExecutor(counted.work, 1)
    assert list(run([(tmp_path, name, 0) for name in "ab"], executor)) == ["a", "b"]
    (first,), (second,) = (counted.attempts(tmp_path, name) for name in "ab")
    assert first == second
    assert not counted.alive(first)  # it ended with the loop


@pytest.mark.slow
def test_an_exception_ends_the_loop_and_the_workers(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        run([str(tmp_path / "x")], LocalExecutor(counted.fail, 1))


def test_no_task_is_started_when_the_time_is_up(tmp_path):
    assert run([(tmp_path, "a", 0)], LocalExecutor(counted.work, 1), time.monotonic()) == {}
    assert counted.attempts(tmp_path, "a") == []


@pytest.mark.parametrize(
    ("package", "made"),
    [
        ("submitit", lambda: JobExecutor(counted.work, Path("nowhere"))),
        ("ray", lambda: RayExecutor(counted.work)),
    ],
)
def test_a_package_that_is_not_installed_is_named(package, made, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"executor={package} needs .* pip install 'gcn\[{package}\]'"):
        made()


@pytest.mark.slow
def test_sigterm_ends_the_workers(tmp_path):
    def terminate():
        counted.soon(lambda: counted.attempts(tmp_path, "a"))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([(tmp_path, "a")], LocalExecutor(counted.wait, 1))
    thread.join()
    assert not counted.alive(counted.attempts(tmp_path, "a")[0])


PLANNER = """
import os, signal, sys, threading
from pathlib import Path
import counted
from gcn.errors import InputError
from gcn.study.executors.executor import results
from gcn.study.executors.jobs import JobExecutor
from gcn.study.executors.local import LocalExecutor

if __name__ == "__main__":
    executor = LocalExecutor(counted.work, 1)
    for _ in results([(sys.argv[1], "a", 0)], executor, float("inf"), counted.again, counted.lost):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_idle_workers_end_with_a_planner_that_is_killed(tmp_path):
    (tmp_path / "planner.py").write_text(PLANNER)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, tmp_path / "planner.py", tmp_path],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    (worker,) = counted.attempts(tmp_path, "a")
    assert counted.soon(lambda: not counted.alive(worker))
