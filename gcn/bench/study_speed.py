"""Benchmark of a study: its runs per hour against those of scripts/train.py, called once for each arm.

A contender's time is all that a user waits for: start of processes, data, latents, validations. The study validates on
a few crops; the trainer on whole images, and it ends with files, a checkpoint and figures.
"""

import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from gcn.cli.invocation import starting
from gcn.cli.quoting import word
from gcn.errors import InputError
from gcn.files.reading import read_json
from gcn.models import package
from gcn.study import run as runner
from gcn.study.design import Choice, Study, load
from gcn.study.executors.local import LocalExecutor

CODEC_STEPS = 20  # only its presence matters here
SAME = ("logger=csv", "trainer=cpu", "trainer.precision=32")  # the study's processor and arithmetic


def bench(updates: int, arms: int, repeats: int, workers: int) -> None:
    """The first arms of the grid ``core``, as many at once as there are ``workers``."""
    study = load("distortion_vs_tricks", choice=Choice(grids=("core",), seeds=1))
    if arms > len(study.arms):
        raise InputError(f"arms={arms}: give 1 to {len(study.arms)}, the arms of one seed")
    if workers > arms:
        raise InputError(f"workers={workers}: give 1 to {arms}, as many as there are arms")
    protocol = replace(study.protocol, updates=updates)
    study = replace(study, protocol=protocol, arms=study.arms[:arms], diagnostics=frozenset())
    print(
        f"{arms} arms of {updates} updates; rows every {protocol.log_every}, validations every "
        f"{protocol.val_every}; one thread a process; start of processes included"
    )
    with TemporaryDirectory() as folder:
        codec = _codec(study, Path(folder))
        contenders: dict[str, Callable[[Path], int]] = {"trainer": partial(_plain, study, codec)}
        for count in (1, workers):
            contenders[f"study, {count} at once"] = partial(_study, study, codec.parent, count)
        _report(_turns(contenders, Path(folder), repeats), arms)


def _codec(study: Study, folder: Path) -> Path:
    """Train a codec to start from; returns its run folder, and copies the model file to where the study reads it."""
    seed, run = study.arms[0].seed, folder / "codec"
    _train([*study.protocol.codec, f"steps={CODEC_STEPS}", f"seed={seed}", *SAME], run)
    copyfile(run / package.OF_RUN, runner.codec_file(folder, seed))
    return run


def _train(words: Sequence[str], run: Path) -> int:
    """One call of the trainer's command, what it prints hidden unless it fails; returns the updates it made."""
    command = [*starting("train"), *words, word("hydra.run.dir", run)]
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise InputError(f"{run.name}: the trainer ended with status {done.returncode}; see above")
    return int(read_json(run / "summary.json")["steps"])


def _plain(study: Study, codec: Path, folder: Path) -> int:
    plan = study.protocol
    own = [f"steps={plan.updates}", f"log_every={plan.log_every}", f"val_every={plan.val_every}", *SAME]
    return sum(_train([*arm.words, word("init_from", codec), *own], folder / arm.name) for arm in study.arms)


def _study(study: Study, kept: Path, workers: int, folder: Path) -> int:
    """Run the study; its output is hidden unless an arm fails."""
    said = io.StringIO()
    with redirect_stdout(said):
        left = runner.run(study, folder, LocalExecutor(runner.train_task, workers), kept=kept)
    results = list(runner.finished(study, folder))
    failed = [row for row in results if row["verdict"] == "failed"]
    if left or failed:
        print(said.getvalue(), *(row["verdict_reason"] for row in failed), sep="\n", file=sys.stderr)
        raise InputError(f"study: {left} arms are left and {len(failed)} failed; see above")
    return sum(int(row["steps"]) for row in results)


def _turns(
    contenders: dict[str, Callable[[Path], int]], folder: Path, repeats: int
) -> dict[str, list[tuple[float, int]]]:
    """Seconds and updates of each contender, measured in turn, every time in a new folder."""
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            with TemporaryDirectory(dir=folder) as own:
                begun = time.perf_counter()
                made = run(Path(own))
                taken[name].append((time.perf_counter() - begun, made))
    return taken


def _report(taken: dict[str, list[tuple[float, int]]], arms: int) -> None:
    """Print median seconds of each contender, and ratios within the same round."""
    first = next(iter(taken))
    for name, own in taken.items():
        middle = statistics.median(seconds for seconds, _ in own)
        ratio = statistics.median(b[0] / a[0] for a, b in zip(own, taken[first], strict=True))
        made = ", ".join(map(str, sorted({updates for _, updates in own})))
        print(
            f"{name:<20}{middle:9.1f} s{3600 * arms / middle:9.1f} runs/hour{ratio:8.2f} of {first}   "
            f"{made} updates made"
        )
