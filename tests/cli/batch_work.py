"""Work for tests of batches, in a module that a fresh process imports quickly."""

import functools
import os
import signal
import time
from pathlib import Path

from gcn.cli.batch import Outcome
from gcn.errors import InputError
from gcn.files.atomic import replacing


def prepare(fails=False):
    if fails:
        raise InputError("model=none: no such model")
    return double


unprepared = functools.partial(prepare, True)


def double(task):
    """Tasks are numbers, or words that say what happens."""
    if task == "bad":
        raise InputError("not an image")
    if task == "memory":
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"
        )
    if task == "disk":
        raise OSError(28, "No space left on device", "/disk/a.png")
    if task == "bug":
        raise TypeError("two\nlines")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(task, Path):  # takes for ever, with a partial file open
        with replacing(task / str(os.getpid())) as partial:
            partial.write_text("half")
            (task / f"{os.getpid()}.begun").touch()
            time.sleep(60)
    return Outcome(f"{task} -> {2 * task}", bits=task, skipped=task == 7)


if __name__ == "__main__":
    import sys

    from gcn.cli.batch import run
    from gcn.cli.terminal import guarded

    folder = Path(sys.argv[1])
    sys.exit(
        guarded(lambda: run([("a", folder), ("b", folder), ("c", folder)], prepare, jobs=int(sys.argv[2])))
    )
