"""Runs of several processes, as users start them: one run folder, one set of numbers, one end."""

import csv
import json
import signal
import time
from pathlib import Path

import pytest
import torch
from processes import Forked
from runs import SCRIPT, images, once, run_undrawn, undrawn_script, words

pytestmark = pytest.mark.slow

SHORT = """trainer.precision=32 steps=6 val_every=3 checkpoint_every=3 panel_every=6
    warmup.steps=1 ema=0.5 d_steps=2 r1=1 consensus=0.01 instance_noise=0.1"""
TOGETHER = "trainer=ddp trainer.accelerator=cpu"

# Runs scripts/train.py. Process 1 is forked before anything begins, so that it has nothing to import, and waits to be
# launched; with HARM it comes to harm in its fourth update.
PREPARED = """
import json, os, runpy, signal, sys
from gcn.errors import InputError
from gcn.training import ranks
from gcn.training.module import GameModule

reading, writing = os.pipe()
second = os.fork()
if second == 0:
    os.close(writing)
    told = json.loads(os.fdopen(reading).read() or sys.exit())
    output = os.open(f"/proc/{os.getppid()}/fd/" + str(told["output"]), os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.environ.clear()
    os.environ.update(told["environment"])

class Launched:
    returncode = None

    def __init__(self, command, env, stdout, stderr):
        assert command[1:] == [sys.argv[0], *sys.argv[1:]]
        os.write(writing, json.dumps({"output": stdout.fileno(), "environment": dict(env)}).encode())
        os.close(writing)

    def poll(self):
        if self.returncode is None:
            ended, status = os.waitpid(second, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def kill(self):
        if self.poll() is None:
            os.kill(second, signal.SIGKILL)

class subprocess:
    STDOUT = ranks.subprocess.STDOUT
    Popen = Launched

def harm():
    if os.environ["HARM"] == "bad input": raise InputError("photo 7: cannot be read")
    if os.environ["HARM"] == "bug": raise KeyError("a bug")
    os.kill(os.getpid(), signal.SIGKILL)

def training_step(self, batch, index, update=GameModule.training_step):
    if index == 3 and "HARM" in os.environ and os.environ.get("LOCAL_RANK") == "1": harm()
    update(self, batch, index)

ranks.subprocess = subprocess
GameModule.training_step = training_step
runpy.run_path(SCRIPT, run_name="__main__")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return images(tmp_path_factory.mktemp("images") / "data")


@pytest.fixture(scope="module")
def said(data) -> list[str]:
    return [word for word in words(data, SHORT) if word != "trainer=cpu"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A script that is scripts/train.py with its second process at hand."""
    file = tmp_path_factory.mktemp("prepared") / "train.py"
    file.write_text(PREPARED.replace("SCRIPT", repr(str(SCRIPT))))
    return file


@pytest.fixture(scope="module")
def alone(said, tmp_path_factory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    end(start([*said, "trainer=cpu", f"hydra.run.dir={folder}"]), 0)
    return folder


def start(said: list[str], file: Path = SCRIPT, **variables: str) -> Forked:
    """scripts/train.py, or another script, with these words behind it; it draws nothing."""
    return undrawn_script(file, once(said), environment=variables)


def torchrun(said: list[str]) -> None:
    """What the command torchrun does, with processes that are forked and so have nothing to import."""
    from torch.distributed import run

    configured = run.config_from_args

    def forking(args):
        config, _, command = configured(args)
        config.start_method = "fork"
        return config, launched, command[command.index(str(SCRIPT)) :]

    run.config_from_args = forking
    run.main(["--standalone", "--nproc_per_node=2", str(SCRIPT), *said])


def launched(file: str, *said: str) -> None:
    """One of torchrun's processes; a status other than 0 is an exception."""
    try:
        run_undrawn(file, said)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"status {end.code}") from None


def end(process: Forked, status: int) -> tuple[str, str]:
    """Wait for the end; returns what was said on stdout and stderr."""
    try:
        out, err = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == status, err
    return out, err


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def assert_same_numbers(folder: Path, reference: Path) -> None:
    """Everything in metrics.csv and summary.json, within the rounding of fp32."""
    ours, theirs = rows(folder), rows(reference)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for key, text in other.items():
            assert bool(one[key]) == bool(text), key
            if text:
                assert float(one[key]) == pytest.approx(float(text), rel=1e-3, abs=1e-5), key
    first, second = (json.loads((f / "summary.json").read_text()) for f in (folder, reference))
    for key in ("steps", "verdict", "psnr", "bpp", "bpp_actual"):
        assert first[key] == (pytest.approx(second[key], rel=1e-3) if key[0] in "pb" else second[key]), key


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("way", ["by itself", "by torchrun"])
def test_two_processes_make_one_run(way, said, alone, tmp_path):
    folder = tmp_path / "run"
    words = [*said, *TOGETHER.split(), f"hydra.run.dir={folder}"]
    process = start([*words, "devices=2"]) if way == "by itself" else Forked(torchrun, once(words))
    out, _ = end(process, 0)
    assert contents(folder) == contents(alone)
    assert_same_numbers(folder, alone)
    assert sum(line.startswith("verdict ") for line in out.splitlines()) == 1


def test_loggers_and_callbacks_in_two_processes(said, alone, prepared, tmp_path):
    """Every row is logged once, by the first process; EarlyStopping ends both, ModelCheckpoint writes one file."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, kind = tmp_path / "run", "_target_: lightning.pytorch.callbacks"
    added = [
        f"callbacks.best={{{kind}.ModelCheckpoint, monitor: val/psnr, mode: max}}",
        f"callbacks.early={{{kind}.EarlyStopping, monitor: val/psnr, mode: max, stopping_threshold: 0}}",
    ]
    words = [word for word in said if word != "logger=csv"] + [*TOGETHER.split(), "devices=2", *added]
    words += ["logger=[csv,tensorboard]", f"hydra.run.dir={folder}"]
    out, _ = end(start(words, prepared), 0)
    assert "ended after 3 of 6 updates, as a callback asked" in out
    (own,) = folder.rglob("epoch*.ckpt")  # Lightning puts it beside the log
    assert torch.load(own, weights_only=True)["global_step"] == 3
    (log,) = folder.rglob("events.*")
    events = EventAccumulator(str(log))
    events.Reload()
    for name in ("train/g/mse", "val/psnr"):
        shown = {event.step: event.value for event in events.Scalars(name)}
        assert len(shown) == len(events.Scalars(name))
        expected = {int(row["step"]): float(row[name]) for row in rows(alone)[:3] if row[name]}
        assert shown == pytest.approx(expected, rel=1e-3)


def test_processes_of_slurm(said, alone, tmp_path):
    folder = tmp_path / "run"
    slurm = {
        "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "MASTER_PORT": "29517",
    }  # fmt: skip
    both = [
        start(
            [*said, *TOGETHER.split(), f"hydra.run.dir={folder}"],
            SLURM_PROCID=rank,
            SLURM_LOCALID=rank,
            **slurm,
        )
        for rank in "01"
    ]
    for process in both:
        end(process, 0)
    assert contents(folder) == contents(alone)
    assert_same_numbers(folder, alone)


def test_stopped_and_resumed(said, prepared, tmp_path):
    folder = tmp_path / "run"
    words = [*said, *TOGETHER.split(), "devices=2", "steps=4000", f"hydra.run.dir={folder}"]
    process = start(words, prepared)
    while not ((folder / "metrics.csv").exists() and len(rows(folder)) > 3):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = end(process, 128 + signal.SIGTERM)
    stopped = len(rows(folder))
    assert f"stopped after {stopped} of 4000 updates" in err
    assert "Traceback" not in err
    end(start([f"resume={folder}", f"steps={stopped + 2}"], prepared), 0)
    assert [int(row["step"]) for row in rows(folder)] == list(range(1, stopped + 3))


@pytest.mark.parametrize(
    ("harm", "status", "words_of_the_end"),
    [
        ("bad input", 2, "error: photo 7: cannot be read"),
        ("bug", 1, "KeyError: 'a bug'"),
        ("kill", 1, "error: process 1 of 2 was killed by signal 9"),
    ],
)
def test_a_failed_process_ends_the_run(harm, status, words_of_the_end, said, prepared, tmp_path):
    words = [*said, *TOGETHER.split(), "devices=2", f"hydra.run.dir={tmp_path / 'run'}"]
    _, err = end(start(words, prepared, HARM=harm), status)
    assert err.count(words_of_the_end) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "devices=2 discriminator.norm=batch r1=null",
            "discriminator.norm=batch devices=2: each process would normalise with the statistics of its own part",
        ),
        (
            "devices=3",
            "error: data.batch=2 devices=3: each process has an equal part of the batch; choose a multiple of",
        ),
    ],
)
def test_refused(words, reason, said, tmp_path):
    place = f"hydra.run.dir={tmp_path / 'run'}"
    _, err = end(start([*said, *TOGETHER.split(), *words.split(), place]), 2)
    assert reason in err
    assert "Traceback" not in err
