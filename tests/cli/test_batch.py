"""Many files with one command: nothing stops at the first bad one, and nothing is left behind."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from batch_work import prepare, unprepared
from hypothesis import given
from hypothesis import strategies as st

from gcn.cli.batch import run
from gcn.cli.terminal import guarded
from gcn.config.hydra_errors import one_line_errors
from gcn.errors import InputError

FATES = {
    "bad": "not an image",
    "memory": "out of memory; close other programs, or use smaller images",
    "disk": "/disk/a.png: No space left on device; free or choose another place",
    "bug": "TypeError: two\N{REPLACEMENT CHARACTER}lines",
}


def named(tasks):
    return [(f"{number}.png", task) for number, task in enumerate(tasks)]


@given(tasks=st.lists(st.one_of(st.integers(1, 9), st.sampled_from(list(FATES))), min_size=1, max_size=8))
def test_everything_else_is_done(tasks):
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = run(named(tasks), prepare)
    failed = [(name, task) for name, task in named(tasks) if isinstance(task, str)]
    assert status == (2 if failed else 0)
    lines = err.getvalue().splitlines()
    for line, (name, task) in zip(lines, failed, strict=True):
        assert line == f"error: {name}: {FATES[task]}"
    said = out.getvalue()
    done = [task for task in tasks if isinstance(task, int)]
    assert all(f"{task} -> {2 * task}" in said for task in done)
    if len(tasks) > 1:
        summary = said.splitlines()[-1]
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", summary)}
        assert counts["files"] == len(tasks)
        assert counts["done"] == sum(task != 7 for task in done)
        assert counts.get("skipped", 0) == done.count(7)
        assert counts.get("failed", 0) == len(failed)
        assert counts.get("bits", 0) == sum(done)


@pytest.mark.slow
def test_processes_do_the_same_and_a_killed_one_costs_one_file(capsys):
    tasks = named([1, "bad", "die", 2, 7, "bug", "die", 3, 4])
    assert run(tasks, prepare, jobs=2) == 2
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert {re.sub(r"^\[\d+/9\] |, [\d.]+ s$", "", line) for line in lines[:-1]} == {
        "1 -> 2", "2 -> 4", "3 -> 6", "4 -> 8", "7 -> 14",
    }  # fmt: skip
    assert "9 files: 4 done, 1 skipped, 4 failed" in lines[-1]
    assert err.count("\n") == 4
    assert err.count("its process ended with status -9, perhaps for lack of memory; use fewer jobs") == 2


@pytest.mark.slow
def test_what_cannot_be_prepared_is_said_once():
    with pytest.raises(InputError, match="model=none: no such model"):
        run(named([1, 2, 3]), unprepared, jobs=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "number", "status"),
    [
        (1, signal.SIGINT, 130),
        (1, signal.SIGTERM, 143),
        (2, signal.SIGHUP, 129),
        (2, signal.SIGINT, 130),
        (2, signal.SIGKILL, -9),
    ],
)
def test_an_interruption_ends_in_one_line_and_leaves_no_process_and_no_file(tmp_path, jobs, number, status):
    """Ctrl-C and the end of a terminal go to the whole group; a kill goes to the first process alone."""
    command = [sys.executable, str(Path(__file__).with_name("batch_work.py")), str(tmp_path), str(jobs)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        begun = until(lambda: (found := list(tmp_path.glob("*.begun"))) and len(found) == jobs and found)
        (os.killpg if number in (signal.SIGINT, signal.SIGHUP) else os.kill)(process.pid, number)
        said = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert process.returncode == status
    if number != signal.SIGKILL:
        assert re.fullmatch(r"interrupted; 3 files: 0 done, [\d.]+ s; go on with skip_existing=true\n", said)
    workers = [int(path.stem) for path in begun]
    until(lambda: not any(alive(worker) for worker in workers))
    assert sorted(tmp_path.iterdir()) == sorted(begun)


def until(condition):
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_reader_may_go():
    """As with ``| head``: nothing is said, and the status is that of the other programs."""

    def gone():
        raise BrokenPipeError

    assert guarded(gone) == 141


CLOSED = """
import os, sys
from gcn.cli.terminal import guarded
from gcn.errors import InputError
def work():
    with open("written", "xb", buffering=0) as file:
        os.system("echo a library's warning >&2")
        file.write(b"an image")
    raise InputError("refused")
sys.exit(guarded(work))
"""


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "<&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_what_is_printed_on_a_closed_stream_reaches_no_file_and_no_other_stream(closed, tmp_path):
    """A system gives the number of a closed stream to the next file that is opened."""
    script = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(CLOSED)} {closed}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "written").read_bytes() == b"an image"
    assert done.returncode == 2
    assert done.stdout == b""
    assert (b"error: refused" in done.stderr) == (closed == ">/dev/full")


def test_nobody_need_read(monkeypatch):
    """As with ``>&-``."""
    monkeypatch.setattr("sys.stdout", None)
    assert guarded(lambda: print("said") or 0) == 0
    monkeypatch.setattr("sys.stderr", None)

    def refused():
        raise InputError("jobs=none")

    assert guarded(refused) == 2


def test_what_the_system_refuses_is_named_for_what_it_is(tmp_path, monkeypatch, capsys):
    def none_is_left():
        raise RuntimeError("unable to open file <a.safetensors> in read-only mode: Too many open files (24)")

    assert guarded(none_is_left) == 2
    assert "error: too many open files; raise the limit" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()

    def in_hydra():
        with one_line_errors("RUN"):
            os.getcwd()
        return 0

    for work in (os.getcwd, in_hydra):
        assert guarded(work) == 2
        assert capsys.readouterr().err == (
            "error: the working directory was removed; change to a folder that exists\n"
        )
