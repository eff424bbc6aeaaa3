"""Functions for workers of any kind: they note each attempt at a task in a file of the task's name."""

import os
import signal
import time
from pathlib import Path


def attempts(folder, name):
    """Process ids of the attempts at a task."""
    file = Path(folder, name)
    return [int(line) for line in file.read_text().split()] if file.is_file() else []


def work(task):
    """Kill the worker at the first so many attempts."""
    folder, name, killed = task
    with Path(folder, name).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(attempts(folder, name)) <= killed:
        os.kill(os.getpid(), signal.SIGKILL)
    return name, "done"


def fail(task):
    raise OSError(28, "No space left on device", task)


def wait(task):
    """Run until the worker is ended."""
    folder, name = task
    Path(folder, name).write_text(f"{os.getpid()}\n")
    time.sleep(60)


def once_told(task):
    """Wait for the file ``go``."""
    folder, name = task
    with Path(folder, name).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if not soon(Path(folder, "go").is_file, 60):
        raise TimeoutError
    return name, "done"


def again(task, reason):
    """Note the reason of a first loss beside the attempts."""
    Path(task[0], f"{task[1]} again").write_text(reason)


def lost(task, reason):
    return task[1], f"lost: {reason}"


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split(")")[-1].split()[0] != "Z"


def soon(condition, seconds=120):
    """Whether a condition becomes true; on a busy machine a worker of Ray takes half a minute to begin."""
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    return condition()
