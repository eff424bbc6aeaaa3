"""Images that go bad while a run is on: the user hears of it, finds their number, and the run ends if they are many."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from runs import SCRIPT, images, quick_script, run, words

from gcn.errors import InputError
from gcn.training.module import GameModule

pytestmark = pytest.mark.usefixtures("quick")
SAID = "steps=8 val_every=4 checkpoint_every=4 panel_every=8 data.cache_bytes=0 data.bad_share=0.5"


@pytest.fixture
def data(tmp_path):
    return images(tmp_path / "data")


@pytest.fixture
def harm(monkeypatch):
    """``harm(update, action)``: something happens in the middle of the run."""

    def at(update, action):
        step = GameModule.training_step

        def harmful(self, batch, index):
            if index == update:
                action()
            step(self, batch, index)

        monkeypatch.setattr(GameModule, "training_step", harmful)

    return at


@pytest.mark.parametrize("workers", [0, 2])
def test_they_are_named_on_the_terminal_and_counted(data, tmp_path, harm, capsys, workers):
    folder = tmp_path / "run"
    harm(1, (data / "train" / "3.png").unlink)
    summary = run(folder, *words(data, SAID, f"data.workers={workers}"))
    said = [line for line in capsys.readouterr().err.splitlines() if "went bad" in line]
    assert said == [f"{data / 'train' / '3.png'} went bad: file is missing; 4.png stands in"]
    assert summary["bad_images"] == json.loads((folder / "summary.json").read_text())["bad_images"] == 1
    if not workers:  # which may have read it before; images are counted over a resume
        harm(9, (data / "train" / "4.png").unlink)
        assert run(folder, steps=16)["bad_images"] == 2


def test_a_validation_goes_on_without_them(data, tmp_path, harm, capsys):
    harm(5, (data / "val" / "0.png").unlink)
    summary = run(tmp_path / "run", *words(data, SAID))
    assert summary["bad_images"] == 1
    assert "0.png went bad: file is missing; validation goes on without it" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_end_the_run_in_one_line(data, tmp_path, harm, workers):
    def delete():
        for name in "345":
            (data / "train" / f"{name}.png").unlink()

    harm(1, delete)
    reason = r"images went bad during the run, more than data\.bad_share=0\.01 allows, the last one .*file is missing"
    with pytest.raises(InputError, match=reason) as caught:
        run(tmp_path / "run", *words(data, SAID, "data.bad_share=0.01 steps=40", f"data.workers={workers}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_folder_that_vanishes_ends_the_run_in_one_line(data, tmp_path, harm, part):
    harm(1, lambda: shutil.rmtree(data / part))
    with pytest.raises(InputError, match=r"no (validation )?image can be read any more") as caught:
        run(tmp_path / "run", *words(data, SAID, "data.bad_share=1"))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_killed_worker_ends_the_command_in_one_line_and_the_run_can_go_on(data, tmp_path):
    folder = tmp_path / "run"
    said = words(data, "steps=100000 checkpoint_every=5 val_every=100000 panel_every=100000 data.workers=2")
    process = quick_script(SCRIPT, [*said, f"hydra.run.dir={folder}"])
    try:
        wait_for((folder / "checkpoints" / "last.ckpt").exists, process)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert "data.workers=2: a worker process was killed by SIGKILL" in line
    assert line.endswith(f"go on with: python scripts/train.py resume={folder}")
    assert "Traceback" not in err
    assert children(process.pid) == []


def wait_for(condition, process, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def children(pid):
    """Processes that a process has started and that live."""
    shown = subprocess.run(["ps", "-e", "-o", "ppid=,pid=,stat="], check=True, capture_output=True, text=True)
    rows = [line.split() for line in shown.stdout.splitlines()]
    return [int(child) for parent, child, state in rows if int(parent) == pid and state[0] != "Z"]
