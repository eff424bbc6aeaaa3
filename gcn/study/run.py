"""Plays what is left of a study: several processes, a file for each arm, nothing twice."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gcn.compose import CONF
from gcn.errors import InputError
from gcn.models import package
from gcn.report.summary import plain, write_json_atomic
from gcn.study.design import Arm, Protocol, Study


def file_of(folder: Path, arm: Arm) -> Path:
    """Where an arm's result is, or will be."""
    return folder / "arms" / f"{arm.name}.json"


def remaining(study: Study, folder: Path, known: Collection[str] = ()) -> list[Arm]:
    """The arms that have no result yet, in order; ``known`` ones are in a table from elsewhere."""
    return [arm for arm in study.arms if arm.name not in known and not file_of(folder, arm).is_file()]


def finished(study: Study, folder: Path) -> Iterator[dict[str, Any]]:
    """The results that are there."""
    for arm in study.arms:
        if file_of(folder, arm).is_file():
            yield {"name": arm.name, **json.loads(file_of(folder, arm).read_text(encoding="utf-8"))}


def train_codecs(study: Study, folder: Path, seeds: Sequence[int], kept: Path) -> None:
    """Provide the codec of each seed as a model file: the one in ``kept``, or trained by ``scripts/train.py``.

    A killed training goes on where it was.

    Raises:
        InputError: a training failed, which has said why.
    """
    for seed in seeds:
        target, run = codec_file(folder, seed), folder / f"codec-{seed}"
        if target.is_file():
            continue
        if codec_file(kept, seed).is_file():
            shutil.copyfile(codec_file(kept, seed), target)
            continue
        words = [*study.protocol.codec, f"seed={seed}", f"hydra.run.dir={run}", "logger=csv"]
        if (run / "config.yaml").is_file():
            words = [f"resume={run}"]
        print(f"codec of seed {seed}", flush=True)
        if not (run / "summary.json").is_file():
            done = subprocess.run([sys.executable, CONF.parent / "scripts" / "train.py", *words], check=False)
            if done.returncode:
                raise InputError(
                    f"{run}: the codec's training ended with status {done.returncode}; see above"
                )
        shutil.copyfile(run / package.OF_RUN, target)


def keep_codecs(folder: Path, kept: Path) -> None:
    """Put the codecs beside the table, so that whoever extends the study plays with the same ones."""
    for file in sorted(folder.glob("codec-*.safetensors")):
        if not (kept / file.name).is_file():
            shutil.copyfile(file, kept / file.name)


def codec_file(folder: Path, seed: int) -> Path:
    """The model file of a seed's codec."""
    return folder / f"codec-{seed}.safetensors"


def run(
    study: Study,
    folder: Path,
    workers: int,
    minutes: float | None = None,
    known: Collection[str] = (),
    kept: Path = Path(),
) -> int:
    """Play the arms that are left, at most for so many minutes; returns how many are left then.

    A killed study loses the arms that were being played, no others. ``known`` arms are in the table in ``kept``, where
    their codecs are as well.
    """
    (folder / "arms").mkdir(parents=True, exist_ok=True)
    left = remaining(study, folder, known)
    train_codecs(study, folder, sorted({arm.seed for arm in left}), kept)
    begun, total = time.monotonic(), len(study.arms)
    print(f"{study.title}: {total} arms, {total - len(left)} done, {workers} at once", flush=True)
    tasks = [(arm, study.protocol, str(folder)) for arm in left]
    done = 0
    with multiprocessing.get_context("spawn").Pool(workers, _alone) as pool:
        for name, said in pool.imap_unordered(_play, tasks):
            done += 1
            passed = time.monotonic() - begun
            rest = passed / done * (len(left) - done) / 60
            print(f"{total - len(left) + done}/{total}  {name}: {said}  ({rest:.0f} min left)", flush=True)
            if minutes is not None and passed > 60 * minutes:
                pool.terminate()
                break
    return len(remaining(study, folder, known))


def _alone() -> None:
    import torch

    torch.set_num_threads(1)  # the arms share the cores, not the threads
    os.environ["OMP_NUM_THREADS"] = "1"


def _play(task: tuple[Arm, Protocol, str]) -> tuple[str, str]:
    arm, protocol, folder = task
    from gcn.study.play import play

    try:
        result = play(arm, _ground(folder, protocol, arm.seed), protocol)
    except Exception as problem:  # a failed run is an outcome of the study, not its end
        reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
        result = {
            "name": arm.name,
            "levels": dict(arm.levels),
            "seed": arm.seed,
            "words": list(arm.words),
            "verdict": "failed",
        }
        result |= {"verdict_reason": reason, "rows": []}
    write_json_atomic(file_of(Path(folder), arm), plain(result))
    return arm.name, str(result["verdict"])


@cache
def _ground(folder: str, protocol: Protocol, seed: int) -> Any:
    from gcn.study.ground import prepare

    return prepare(codec_file(Path(folder), seed), protocol, seed)
