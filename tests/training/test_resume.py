"""A run that was killed and resumed is bit for bit the run that was not."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import SCRIPT, assert_same_run, checkpoint, copied, copied_at, quick_script, quickly, run, words

from gcn.cli.quoting import resuming, word
from gcn.errors import InputError, Interrupted
from gcn.report.metrics_table import MetricsTable
from gcn.training import fit
from gcn.training.module import GameModule
from gcn.training.record import Record
from gcn.training.stop import StopOnSignal

OFTEN = "steps=8 val_every=3 panel_every=6 checkpoint_every=3"
SHORT = "steps=4 val_every=4 panel_every=4 checkpoint_every=2"

# What a run remembers from update to update, and where it could forget; runs below remember what a plain one does.
MEMORIES = {
    "optimistic, ema, a split by the seed, hyperprior": "dynamics=optimistic ema=0.9 seed=3 data.split=seed "
    "data.val_share=0.2 data.skip=1 generator=hyperprior generator.quantisation=mixed target_bpp=0.5",
    "lookahead, averages of logits, two scales, gradient descent with and without momentum": "dynamics=lookahead "
    "dynamics.k=3 lecam=1 discriminator=multiscale discriminator.depth=1 optim=sgd optim.g.lr=1e-5 optim.d.lr=1e-3 "
    "optim.d.momentum=0.9",
    "extragradient, averages of parameters, spectral norm and batch statistics": "dynamics=extragradient "
    "dynamics.moments=update prox=1 wrong=0.1 historical_averaging=0.1 spectral_norm=true discriminator.norm=batch",
    "two turns of D on processed data, past images": "d_steps=2 data.workers=2 r1=1 terms.r1.every=2 history=3 "
    "discriminator.condition=false discriminator.norm=virtual",
    "warm-up, annealed noise, sparse penalties, bf16": "warmup.steps=3 instance_noise=0.2 "
    "terms.instance_noise.anneal=7 r1=1 terms.r1.every=3 trainer.precision=bf16 relativistic=pair_shuffled",
    "unrolled, energies in equilibrium": "dynamics=unrolled dynamics.k=2 dynamics.step=1e-6 "
    "loss=began discriminator=autoencoder",
}


def killed_and_resumed(place: Path, patch: Any, *said: str) -> None:
    """A run that is killed two updates after a checkpoint and goes on, beside the same run in one go."""
    reference, folder = place / "reference", place / "killed"
    with patch.context() as inner:
        copied_at(4, inner, reference, folder)
        run(reference, *said)
    assert MetricsTable(folder / "metrics.csv").rows()[-1]["step"] == 3
    assert checkpoint(folder)["global_step"] == 2
    run(folder)
    assert_same_run(folder, reference)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", MEMORIES.values(), ids=list(MEMORIES))
def test_a_killed_run_goes_on_as_if_nothing_had_happened(said, data, tmp_path, monkeypatch):
    killed_and_resumed(tmp_path, monkeypatch, *words(data, SHORT, said))


@pytest.mark.usefixtures("quick")
def test_a_frozen_encoder_is_resumed_as_it_was_in_rate_distortion_training(
    moments, data, tmp_path, monkeypatch
):
    said = f"freeze=encoder init_from={moments / 'reference'} loss=none optim.schedule.name=cosine"
    killed_and_resumed(tmp_path, monkeypatch, *words(data, SHORT, said))


@pytest.fixture(scope="module")
def moments(data, tmp_path_factory):
    """A run from beginning to end, and what SIGKILL would have left of it at four moments."""
    place = tmp_path_factory.mktemp("moments")
    folder = place / "reference"
    with pytest.MonkeyPatch.context() as patch:
        quickly(patch)
        copied_at(2, patch, folder, place / "without a checkpoint")
        copied_at(7, patch, folder, place / "with two checkpoints")
        copied(patch, folder, place / "between its two checkpoints", Record, "save",
               lambda _, trainer, name: trainer.global_step == 6 and name == "last.ckpt")  # fmt: skip
        copied(patch, folder, place / "after its last update", fit, "with_files", lambda *_: True)
        run(folder, *words(data, OFTEN))
    return place


@pytest.fixture(scope="module")
def reference(moments):
    """The run from beginning to end."""
    return moments / "reference"


@pytest.mark.usefixtures("quick")
def test_a_run_without_a_checkpoint_begins_again(moments, reference, capsys):
    folder = moments / "without a checkpoint"
    run(folder)
    assert "before its first checkpoint; begins again" in capsys.readouterr().err
    assert_same_run(folder, reference)


@pytest.mark.usefixtures("quick")
def test_a_run_killed_after_its_last_update_gets_its_summary(moments, reference):
    folder = moments / "after its last update"
    assert not (folder / "summary.json").exists()
    run(folder)
    assert_same_run(folder, reference)


@pytest.mark.usefixtures("quick")
def test_a_run_killed_between_its_two_checkpoints(moments, reference):
    folder = moments / "between its two checkpoints"
    steps = [checkpoint(folder, name)["global_step"] for name in ("best.ckpt", "last.ckpt")]
    assert steps == [6, 3]
    run(folder)
    assert_same_run(folder, reference)


@pytest.mark.usefixtures("quick")
def test_a_damaged_checkpoint_costs_a_few_updates_only(moments, reference, capsys):
    folder = moments / "with two checkpoints"
    os.truncate(folder / "checkpoints" / "last.ckpt", 1000)
    run(folder)
    lines = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt" in line]
    assert len(lines) == 1
    assert lines[0].endswith("using last.ckpt.previous")
    assert_same_run(folder, reference)


SIGNALS = {2: signal.SIGTERM, 4: signal.SIGINT, 5: signal.SIGUSR1, 7: signal.SIGHUP}


@pytest.mark.usefixtures("quick")
def test_a_signal_ends_the_run_between_two_updates(reference, data, tmp_path, monkeypatch):
    """Four signals to one run, which goes on after each: two while a row is written, two within an update."""
    append, training_step = MetricsTable.append, GameModule.training_step

    def appending(self, step, row):
        if step + 1 in (2, 4):  # it ends after the update that follows
            os.kill(os.getpid(), SIGNALS[step + 1])
        append(self, step, row)

    def stepping(self, *args):
        if self.trainer.global_step + 1 in (5, 7):
            os.kill(os.getpid(), SIGNALS[self.trainer.global_step + 1])
        training_step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsTable, "append", appending)
        patch.setattr(GameModule, "training_step", stepping)
        for step, number in SIGNALS.items():
            before = signal.getsignal(number)
            with pytest.raises(Interrupted, match=f"stopped after {step} of 8 .* resume={tmp_path}") as stop:
                run(tmp_path, *words(data, OFTEN))
            assert stop.value.status == 128 + number
            assert checkpoint(tmp_path)["global_step"] == step
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
    """Where the schedule does not know the end, a run that is made longer is the long run."""
    said = words(data, "optim=gan val_every=2 panel_every=2 checkpoint_every=2")
    run(tmp_path / "long", *said, "steps=4")
    folder = tmp_path / "short"
    run(folder, *said, "steps=2")
    for steps in (1, 2):
        with pytest.raises(
            InputError, match=r"the run has its 2 updates; to continue give steps=N with N > 2"
        ):
            run(folder, steps=steps)
    assert run(folder, steps=4)["steps"] == 4
    assert [row["step"] for row in MetricsTable(folder / "metrics.csv").rows()] == [1, 2, 3, 4]
    assert_same_run(folder, tmp_path / "long")
    assert run(folder, steps=5)["steps"] == 5


# --- processes, as users start and kill them ---

LONG = (  # ten updates or more after the last signal: this process may be slow to see that the moment has come
    "steps=24 log_every=2 val_every=8 panel_every=8 checkpoint_every=2 data.workers=2 d_steps=2 ema=0.9 "
    "warmup.steps=3 instance_noise=0.2 terms.instance_noise.anneal=12 r1=1 terms.r1.every=3"
)


@pytest.fixture
def start():
    """Starts the command, each in a group of processes of its own; none outlives the test."""
    started = []

    def starting(*said: str) -> Any:
        started.append(quick_script(SCRIPT, said))
        return started[-1]

    yield starting
    for process in started:
        with contextlib.suppress(ProcessLookupError):  # loading processes of one that was killed among them
            os.killpg(process.pid, signal.SIGKILL)


def last_row(folder: Path) -> int:
    """The update of the last row, or 0."""
    lines = (folder / "metrics.csv").read_text().splitlines() if (folder / "metrics.csv").exists() else []
    return int(lines[-1].partition(",")[0] or 0) if len(lines) > 1 else 0


def until(process: Any, folder: Path, step: int) -> None:
    """Wait for a row of ``step`` or later, which this process must write."""
    step = max(step, last_row(folder) + 1)
    while last_row(folder) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def end(process: Any, status: int) -> str:
    """Wait for the end; returns what was said on stderr."""
    _, said = process.communicate(timeout=1200)
    assert process.returncode == status, said
    assert "Traceback" not in said
    return said


def pasted(line: str) -> list[str]:
    """The words that a shell makes of a command line, without the program."""
    shown = f"python() {{ printf '%s\\0' \"$@\"; }}; {line}"
    script, *said, _ = subprocess.check_output(["bash", "-c", shown], text=True).split("\0")
    assert Path(SCRIPT).parents[1] / script == SCRIPT
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_signals_to_all_processes_of_a_run(start, data, tmp_path):
    """One run as users start it, which is killed, stopped twice, and goes on after each."""
    said = words(data, LONG)
    run(tmp_path / "reference", *said)
    folder = tmp_path / "it's 1, {a=b} [é] \\'$HOME"
    process = start(*said, word("hydra.run.dir", folder))
    until(process, folder, 3)
    process.kill()
    process.communicate()
    assert not (folder / "summary.json").exists()
    process = start(word("resume", folder))
    for step, number in ((6, signal.SIGTERM), (10, signal.SIGINT)):
        until(process, folder, step)
        os.killpg(process.pid, number)
        last = end(process, 128 + number).splitlines()[-1]
        assert last.startswith("stopped after ")
        assert last.endswith(f"go on with: {resuming(folder)}")
        process = start(*pasted(last.partition("go on with: ")[2]))
    end(process, 0)
    assert_same_run(folder, tmp_path / "reference")
    assert json.loads((folder / "summary.json").read_text())["steps"] == 24
