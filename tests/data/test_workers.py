"""Worker processes end with the run, whatever ends it, and their trouble is one line."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils.data._utils import signal_handling
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from gcn.data.loader import Crops, Source, train_loader
from gcn.data.scan import scan
from gcn.data.store import Store
from gcn.errors import InputError

IMAGES = [np.full((16, 16, 3), i, np.uint8) for i in range(4)]
SECONDS = 60  # that an end may take on a busy machine; a hang takes for ever


@pytest.fixture(autouse=True)
def no_hang(monkeypatch):
    """A test that would wait for ever fails, and no worker is left behind."""
    # torch installs its handler once in a process; another test may have taken it out since
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    child = signal.getsignal(signal.SIGCHLD)

    def fail(*_):
        raise TimeoutError(f"still waiting after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    signal.signal(signal.SIGCHLD, child)
    assert workers() == []


def loader(images=IMAGES, steps=10_000, workers=2):
    return train_loader(Crops([Source(images)], crop=8, seed=0, batch=2), steps=steps, workers=workers)


def workers():
    """Processes of a loader; those of joblib, which other tests may have left, are of another class."""
    return [
        child
        for child in multiprocessing.active_children()
        if type(child).__module__.startswith("multiprocessing")
    ]


def consume(batches, action):
    """All batches; ``action`` happens after the third."""
    with batches:
        for step, _ in enumerate(batches):
            if step == 2:
                action()


@pytest.mark.parametrize("when", ["while a batch is awaited", "while the main process computes"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_ends_the_iteration_in_one_line(number, when):
    def kill():
        os.kill(workers()[0].pid, number)
        if when == "while the main process computes":
            time.sleep(SECONDS)  # torch's signal handler interrupts it

    reason = rf"data\.workers=2: a worker process was killed by {number.name}; .*data\.workers=0"
    with pytest.raises(InputError, match=reason) as caught:
        consume(loader(), kill)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_that_torch_reports_during_the_clean_up_is_not_lost(monkeypatch, when):
    """The connection to a dying worker may break a moment before SIGCHLD, whose handler raises wherever it comes."""
    remove, late = signal_handling._remove_worker_pids, iter([RuntimeError("DataLoader worker is killed")])

    def break_off(iterator, **_):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.kill(iterator._workers[0].pid, signal.SIGKILL)
        raise ConnectionResetError

    def interrupted(key):
        if when == "after":
            remove(key)
        for problem in late:
            raise problem
        remove(key)

    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_try_get_data", break_off)
    monkeypatch.setattr(signal_handling, "_remove_worker_pids", interrupted)
    with pytest.raises(InputError, match="a worker process was killed by SIGKILL"):
        consume(loader(), lambda: None)


def test_an_image_folder_that_vanishes_ends_the_iteration_in_one_line(pictures):
    with pytest.raises(InputError, match="no image can be read any more") as caught:
        consume(loader(Store(scan(pictures).entries)), lambda: shutil.rmtree(pictures))
    assert "\n" not in str(caught.value)


def test_shared_memory_that_is_full_is_one_line(monkeypatch):
    def full(self):
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    reason = r"no shared memory for a batch .* use data\.workers=0"
    with pytest.raises(InputError, match=reason), loader() as batches:
        next(iter(batches))


class Hostile(Crops):
    """Crops whose maker has a bug."""

    def __getitem__(self, step):
        raise KeyError("a bug")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError, SystemExit])
def test_an_error_of_the_main_process_closes_the_workers(error):
    def fail():
        raise error("disk full")

    with pytest.raises(error) as caught:
        consume(loader(), fail)
    assert caught.traceback  # which holds the loader's iterator
    assert workers() == []


def test_a_bug_in_a_worker_closes_the_workers_and_keeps_its_traceback():
    batches = train_loader(Hostile([Source(IMAGES)], crop=8, seed=0, batch=2), steps=9, workers=2)
    with pytest.raises(KeyError, match="a bug"), batches:
        list(batches)


def test_workers_leave_signals_to_the_main_process():
    batches = loader(steps=50)
    with batches:
        for step, _ in enumerate(batches):
            if step == 1:
                for worker in workers():
                    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                        os.kill(worker.pid, number)
    assert step == 49


def test_a_loader_that_is_dropped_in_the_middle_leaves_no_worker():
    iterator = iter(loader())
    next(iterator)
    assert len(workers()) == 2
    del iterator


ENDS = {
    "an error that nobody catches": ("raise OSError('disk full')", 1),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "exit": ("sys.exit(3)", 3),
}
OUTLIVE = """
import multiprocessing, os, signal, sys
import numpy as np
from gcn.data.loader import Crops, Source, train_loader

for end in sys.argv[1:]:
    main = os.fork()  # it ends as a process of its own, and imports nothing
    if not main:
        crops = Crops([Source([np.zeros((9, 9, 3), np.uint8)])], crop=8, seed=0, batch=2)
        iterator = iter(train_loader(crops, steps=10000, workers=2))
        next(iterator)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        exec(end)
    print(os.waitstatus_to_exitcode(os.waitpid(main, 0)[1]), flush=True)
"""


def lives(pid):
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


@pytest.mark.slow
def test_no_worker_outlives_its_main_process():
    signal.alarm(120)
    command = [sys.executable, "-c", OUTLIVE, *(words for words, _ in ENDS.values())]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    said = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert dict(zip(ENDS, said[1::2], strict=True)) == {end: [status] for end, (_, status) in ENDS.items()}
    pids = [pid for line in said[::2] for pid in line]
    assert len(pids) == 2 * len(ENDS)
    until = time.monotonic() + SECONDS
    while any(map(lives, pids)):
        assert time.monotonic() < until, "a worker is left"
        time.sleep(0.1)
