"""A run that was killed and resumed is bit for bit the run that was not."""

import contextlib
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import script
from runs import (
    SCRIPT,
    Killed,
    assert_same_run,
    checkpoint,
    killed,
    killed_at,
    run,
    undrawn_script,
    words,
)

from gcn.cli.quoting import resuming, word
from gcn.errors import InputError, Interrupted
from gcn.report.metrics_table import MetricsTable
from gcn.training import fit as runs_module
from gcn.training.record import Record
from gcn.training.stop import StopOnSignal

OFTEN = "steps=8 val_every=3 panel_every=4 checkpoint_every=3"
SHORT = "steps=6 val_every=4 panel_every=4 checkpoint_every=3"

# What a run remembers from update to update, and where it could forget.
MEMORIES = {
    "plain": "",
    "optimistic, ema, a split by the seed": "dynamics=optimistic ema=0.9 seed=3 data.split=seed "
    "data.val_share=0.2 data.skip=1",
    "lookahead, averages of logits, two scales": "dynamics=lookahead dynamics.k=3 lecam=1 discriminator=multiscale "
    "discriminator.depth=1",
    "extragradient, averages of parameters": "dynamics=extragradient dynamics.moments=update prox=1 wrong=0.1 "
    "historical_averaging=0.1",
    "two turns of D on processed data, past images": "d_steps=2 data.workers=2 r1=1 terms.r1.every=2 history=3 "
    "discriminator.condition=false discriminator.norm=virtual",
    "warm-up, annealed noise, sparse penalties": "warmup.steps=4 instance_noise=0.2 terms.instance_noise.anneal=7 "
    "r1=1 terms.r1.every=3",
    "spectral norm and batch statistics": "spectral_norm=true discriminator.norm=batch",
    "rate-distortion": "loss=none optim.schedule.name=cosine",
    "gradient descent with and without momentum": "optim=sgd optim.g.lr=1e-5 optim.d.lr=1e-3 optim.d.momentum=0.9",
    "unrolled, energies in equilibrium": "dynamics=unrolled dynamics.k=2 dynamics.step=1e-6 "
    "loss=began discriminator=autoencoder",
    "hyperprior": "generator=hyperprior generator.quantisation=mixed target_bpp=0.5",
    "bf16": "trainer.precision=bf16 relativistic=pair_shuffled",
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", MEMORIES.values(), ids=list(MEMORIES))
def test_a_killed_run_goes_on_as_if_nothing_had_happened(said, data, tmp_path):
    reference, folder = tmp_path / "reference", tmp_path / "killed"
    run(reference, *words(data, SHORT, said))
    killed_at(5, folder, *words(data, SHORT, said))  # two updates after a checkpoint
    assert MetricsTable(folder / "metrics.csv").rows()[-1]["step"] == 4
    run(folder)
    assert_same_run(folder, reference)


@pytest.mark.usefixtures("quick")
def test_a_frozen_encoder_is_resumed_as_it_was(data, tmp_path):
    run(tmp_path / "first", *words(data, "steps=2 loss=none"))
    said = words(data, SHORT, f"freeze=encoder init_from={tmp_path / 'first'}")
    run(tmp_path / "reference", *said)
    killed_at(5, tmp_path / "killed", *said)
    run(tmp_path / "killed")
    assert_same_run(tmp_path / "killed", tmp_path / "reference")


@pytest.mark.usefixtures("quick")
def test_a_run_without_a_checkpoint_begins_again(reference, data, tmp_path, capsys):
    killed_at(2, tmp_path, *words(data, OFTEN))
    run(tmp_path)
    assert "before its first checkpoint; begins again" in capsys.readouterr().err
    assert_same_run(tmp_path, reference)


@pytest.mark.usefixtures("quick")
def test_a_run_killed_after_its_last_update_gets_its_summary(reference, data, tmp_path):
    def dying(*args, **kwargs):
        raise Killed

    killed(tmp_path, *words(data, OFTEN), owner=runs_module, name="with_files", instead=dying)
    assert not (tmp_path / "summary.json").exists()
    run(tmp_path)
    assert_same_run(tmp_path, reference)


@pytest.mark.usefixtures("quick")
def test_a_run_killed_between_its_two_checkpoints(reference, data, tmp_path):
    save = Record.save

    def dying(self, trainer, name):
        if trainer.global_step == 6 and name == "last.ckpt":
            raise Killed
        save(self, trainer, name)

    killed(tmp_path, *words(data, OFTEN), owner=Record, name="save", instead=dying)
    run(tmp_path)
    assert_same_run(tmp_path, reference)


@pytest.mark.usefixtures("quick")
def test_a_damaged_checkpoint_costs_a_few_updates_only(reference, data, tmp_path, capsys):
    killed_at(7, tmp_path, *words(data, OFTEN))
    os.truncate(tmp_path / "checkpoints" / "last.ckpt", 1000)
    run(tmp_path)
    lines = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt" in line]
    assert len(lines) == 1
    assert lines[0].endswith("using last.ckpt.previous")
    assert_same_run(tmp_path, reference)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_ends_the_run_between_two_updates(number, reference, data, tmp_path, monkeypatch):
    append = MetricsTable.append

    def signalling(self, step, row):
        if step == 4:
            os.kill(os.getpid(), number)
        append(self, step, row)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "append", signalling)
        with pytest.raises(Interrupted, match=f"stopped after 5 of 8 updates; .* resume={tmp_path}") as stop:
            run(tmp_path, *words(data, OFTEN))
    assert stop.value.status == 128 + number
    assert checkpoint(tmp_path)["global_step"] == 5
    assert signal.getsignal(number) is before
    run(tmp_path)
    assert_same_run(tmp_path, reference)


def test_a_second_interruption_kills():
    child = os.fork()
    if child == 0:
        stop = StopOnSignal()
        stop.listen()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(
            os.getpid(),
            signal.SIGINT if stop.agreed(torch.device("cpu")) == signal.SIGINT else signal.SIGKILL,
        )
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGINT


@pytest.mark.usefixtures("quick")
def test_a_finished_run_goes_on_only_if_there_is_more_to_do(data, tmp_path):
    run(tmp_path, *words(data, "steps=2"))
    for steps in (1, 2):
        with pytest.raises(
            InputError, match=r"the run has its 2 updates; to continue give steps=N with N > 2"
        ):
            run(tmp_path, steps=steps)
    assert run(tmp_path, steps=4)["steps"] == 4
    assert [row["step"] for row in MetricsTable(tmp_path / "metrics.csv").rows()] == [1, 2, 3, 4]
    assert run(tmp_path, steps=5)["steps"] == 5


@pytest.mark.usefixtures("quick")
def test_a_longer_run_is_the_long_run_where_the_schedule_does_not_know_the_end(data, tmp_path):
    often = "optim=gan log_every=2 val_every=4 panel_every=4 checkpoint_every=4"
    run(tmp_path / "long", *words(data, often, "steps=6"))
    run(tmp_path / "short", *words(data, often, "steps=4"))
    run(tmp_path / "short", steps=6)
    assert_same_run(tmp_path / "short", tmp_path / "long")


# --- processes, as users start and kill them ---

LONG = "steps=24 log_every=1 val_every=12 panel_every=12 checkpoint_every=4"
KILLS = {
    6: "dynamics=optimistic ema=0.9 log_every=3 steps=16",
    10: "data.workers=2 d_steps=2 steps=20",
    15: "warmup.steps=7 instance_noise=0.2 terms.instance_noise.anneal=20 r1=1 terms.r1.every=3",
}


@pytest.fixture
def start():
    """Starts the command, each in a group of processes of its own; none outlives the test."""
    started = []

    def starting(*said: str, pasted: str = "", drawn: bool = True) -> Any:
        if not pasted:
            process: Any = (script if drawn else undrawn_script)(SCRIPT, said)
        else:
            python, root = Path(sys.executable).parent, Path(SCRIPT).parents[1]
            process = subprocess.Popen(
                ["bash", "-c", f"exec {pasted}"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True, cwd=root, env=os.environ | {"PATH": f"{python}:{os.environ['PATH']}"},
            )  # fmt: skip
        started.append(process)
        return process

    yield starting
    for process in started:
        with contextlib.suppress(ProcessLookupError):  # loading processes of one that was killed among them
            os.killpg(process.pid, signal.SIGKILL)


def until(process: Any, folder: Path, step: int) -> None:
    """Wait for a row of ``step`` or later."""
    for _ in itertools.repeat(None):
        assert process.poll() is None, process.communicate()
        if (folder / "metrics.csv").exists():
            lines = (folder / "metrics.csv").read_text().splitlines()
            if len(lines) > 1 and int(lines[-1].partition(",")[0] or 0) >= step:
                return
        time.sleep(0.002)


def end(process: Any, status: int) -> str:
    """Wait for the end; returns what was said on stderr."""
    _, said = process.communicate(timeout=1200)
    assert process.returncode == status, said
    assert "Traceback" not in said
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", KILLS)
def test_sigkill(step, start, data, tmp_path):
    said = words(data, LONG, KILLS[step])
    run(tmp_path / "reference", *said)
    folder = tmp_path / "killed"
    process = start(*said, f"hydra.run.dir={folder}", drawn=False)
    until(process, folder, step)
    process.kill()
    process.communicate()
    assert not (folder / "summary.json").exists()
    end(start(f"resume={folder}", drawn=False), 0)
    assert_same_run(folder, tmp_path / "reference")


@pytest.mark.slow
def test_signals_to_all_processes_of_a_run(start, data, tmp_path):
    said = words(data, LONG, "data.workers=2 panel_every=24")
    run(tmp_path / "reference", *said)
    folder = tmp_path / "it's 1, {a=b} [é] \\'$HOME"
    process = start(*said, word("hydra.run.dir", folder))
    for step, number in ((5, signal.SIGTERM), (13, signal.SIGINT)):
        until(process, folder, step)
        os.killpg(process.pid, number)
        last = end(process, 128 + number).splitlines()[-1]
        assert last.startswith("stopped after ")
        assert last.endswith(f"go on with: {resuming(folder)}")
        pasted = last.partition("go on with: ")[2]  # into a shell once, where the interpreter is started anew
        process = start(pasted=pasted) if number == signal.SIGTERM else start(*shlex.split(pasted)[2:])
    end(process, 0)
    assert_same_run(folder, tmp_path / "reference")
    assert json.loads((folder / "summary.json").read_text())["steps"] == 24
