"""A Ray cluster of two machines with one processor each, both of them processes here."""

import math
import os
import signal
import threading
from pathlib import Path

import counted
import pytest

from gcn.study.executors.executor import results
from gcn.study.executors.ray_tasks import RayExecutor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)  # of the workers
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        patch.setenv("RAY_ADDRESS", made.address)
        made.add_node(num_cpus=1)
        yield made
        ray.shutdown()
        made.shutdown()


def run(tasks, executor):
    return dict(results(tasks, executor, math.inf, counted.again, counted.lost))


def test_a_killed_process_loses_its_own_task_only(cluster, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    executor = RayExecutor(counted.work)
    assert signal.getsignal(signal.SIGTERM) is before
    assert (executor.workers, executor.about) == (2, "in a Ray cluster of 2 machines")
    found = run([(str(tmp_path), name, kills) for name, kills in (("a", 0), ("b", 1), ("c", 2))], executor)
    assert found["a"] == found["b"] == "done"
    assert found["c"].startswith("lost: WorkerCrashedError: ")
    assert [len(counted.attempts(tmp_path, name)) for name in "abc"] == [1, 2, 2]


def test_an_exception_of_a_task_is_raised(cluster):
    with pytest.raises(OSError, match="No space left"):
        run(["x"], RayExecutor(counted.fail))


def test_an_interruption_ends_the_tasks(cluster, tmp_path):
    import ray

    def terminate():
        counted.soon(lambda: counted.attempts(tmp_path, "a"))
        os.kill(os.getpid(), signal.SIGTERM)

    executor = RayExecutor(counted.wait)
    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([(str(tmp_path), "a")], executor)
    thread.join()
    assert counted.soon(lambda: ray.available_resources().get("CPU") == 2)


def test_a_lost_machine_loses_its_own_task_only(cluster, tmp_path):
    """Both machines have a task when the second one is lost; the first one takes what is left."""
    names = "abcd"

    def processes():
        return [process for name in names for process in counted.attempts(tmp_path, name)]

    def lose():
        assert counted.soon(lambda: len(processes()) == 2)
        both = processes()
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        assert counted.soon(lambda: not all(map(counted.alive, both)))
        (tmp_path / "go").touch()

    thread = threading.Thread(target=lose)
    thread.start()
    found = run([(str(tmp_path), name) for name in names], RayExecutor(counted.once_told))
    thread.join()
    assert found == dict.fromkeys(names, "done")
    assert sorted(len(counted.attempts(tmp_path, name)) for name in names) == [1, 1, 1, 2]
