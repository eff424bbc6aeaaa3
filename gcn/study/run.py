"""Training of a study's remaining arms by the workers of an executor, with a result file for each arm."""

import math
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

from gcn.cli.invocation import starting
from gcn.cli.quoting import word
from gcn.errors import InputError
from gcn.files.atomic import make_folder, replacing
from gcn.files.names import printable
from gcn.files.reading import read_json
from gcn.models import package
from gcn.report.summary import plain, write_json_atomic
from gcn.study import diagnostics
from gcn.study.arms import EXPONENT, Arm, Protocol
from gcn.study.design import Study
from gcn.study.executors.executor import Executor, Result, interruptible, results

LAG = 60.0  # seconds until a file that another machine has written must be there


def file_of(folder: Path, arm: Arm) -> Path:
    """Path of the result of an arm."""
    return folder / "arms" / f"{arm.name}.json"


def diagnostics_file(folder: Path, arm: Arm) -> Path:
    """Path of the diagnostics of an arm."""
    return folder / "closer" / f"{arm.name}.json"


def remaining(
    study: Study, folder: Path, known: Set[str] = frozenset(), seen: Collection[str] = ()
) -> list[Arm]:
    """The arms that have no result yet, in order, or lack their diagnostics; without those that are withdrawn.

    ``known`` arms are in a table from elsewhere, ``seen`` ones have been looked at there.
    """
    wanted = study.diagnostics - set(seen)
    return [
        arm
        for arm in study.arms
        if not arm.standard
        if (not known >= set(arm.runs) and not file_of(folder, arm).is_file())
        or (arm.name in wanted and not diagnostics_file(folder, arm).is_file())
    ]


def finished(
    study: Study, folder: Path, file: Callable[[Path, Arm], Path] = file_of
) -> Iterator[dict[str, Any]]:
    """Results of the finished arms (or diagnostics, by ``file``), one for each seed."""
    for arm in study.arms:
        if file(folder, arm).is_file():
            found = read_json(file(folder, arm))
            yield from found.get("runs", [{"name": arm.name, **found}])


def exponents(study: Study, folder: Path) -> list[dict[str, Any]]:
    """The rows of arms that measure exponents instead of a margin."""
    files = [file_of(folder, arm) for arm in study.arms if arm.own.get("method") == EXPONENT]
    return [row for file in files if file.is_file() for row in read_json(file).get("exponents", [])]


def shared(study: Study, folder: Path) -> Iterator[dict[str, Any]]:
    """The crops that diagnostics show and their initial reconstructions, for each seed with a codec here."""
    for seed in sorted({arm.seed for arm in study.arms if arm.name in study.diagnostics}):
        if study.protocol.joint or not codec_file(folder, seed).is_file():
            continue
        ground = _ground(str(folder), study.protocol, seed)
        yield {"name": f"x {seed}", "crops": diagnostics.pngs(ground.val_x)}
        yield {"name": f"start {seed}", "crops": diagnostics.pngs(ground.frozen.start)}


def train_codecs(
    study: Study, folder: Path, seeds: Sequence[int], kept: Path, ends: float = math.inf
) -> bool:
    """Provide the codec of each seed as a model file: from ``kept``, or trained by ``scripts/train.py``.

    A training that was killed, or stopped because the time was up, is resumed.

    Args:
        ends: time of ``time.monotonic`` at which training stops.

    Returns:
        Whether all codecs are there.

    Raises:
        InputError: a training failed, which has said why.
    """
    for seed in seeds:
        target, run = codec_file(folder, seed), folder / f"codec-{seed}"
        if target.is_file():
            continue
        if codec_file(kept, seed).is_file():
            _copy(codec_file(kept, seed), target)
            continue
        words = [*study.protocol.codec, f"seed={seed}", word("hydra.run.dir", run), "logger=csv"]
        plugins = [text for text in study.protocol.codec if text.startswith("plugins=")]
        if (run / "config.yaml").is_file():
            words = [word("resume", run), *plugins]
        if not (run / "summary.json").is_file():
            print(f"codec of seed {seed}", flush=True)
            if not _train([*words, *config_dir(study.protocol)], run, ends):
                print(f"the time is up; run the command again to resume the codec of seed {seed}", flush=True)
                return False
        _copy(run / package.OF_RUN, target)
    return True


def config_dir(protocol: Protocol) -> list[str]:
    """The flag that names the protocol's further folder of configurations; none without one."""
    return [] if protocol.extra is None else [f"--config-dir={protocol.extra}"]


def _train(words: Sequence[str], run: Path, ends: float) -> bool:
    """Train a codec; False if it was stopped, with a checkpoint, because the time was up."""
    left = ends - time.monotonic()
    if left <= 0:
        return False
    training = subprocess.Popen([*starting("train"), *words])
    try:
        status = training.wait(None if left == math.inf else left)
    except subprocess.TimeoutExpired:
        training.terminate()
        training.wait()
        return (run / "summary.json").is_file()  # it may have ended meanwhile
    except BaseException:  # Ctrl-C
        training.terminate()
        training.wait()
        raise
    if status:
        raise InputError(f"{printable(run)}: the codec's training ended with status {status}; see above")
    return True


def keep_codecs(folder: Path, kept: Path) -> None:
    """Copy the codecs beside the table, so that an extended study uses the same ones."""
    for file in sorted(folder.glob("codec-*.safetensors")):
        if not (kept / file.name).is_file():
            _copy(file, kept / file.name)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as partial:
        shutil.copyfile(source, partial)


def codec_file(folder: Path, seed: int) -> Path:
    """Path of the model file of a seed's codec."""
    return folder / f"codec-{seed}.safetensors"


def run(
    study: Study,
    folder: Path,
    executor: Executor,
    minutes: float | None = None,
    known: Set[str] = frozenset(),
    kept: Path = Path(),
) -> int:
    """Train codecs and then arms that are left, at most for so many minutes; returns how many arms are left then.

    When the time is up a codec's training is stopped, to be resumed, and the arms in training are finished. A killed
    study loses the arms that were being trained, no others. An arm whose worker is killed is given to another worker
    once. ``known`` arms are in the table in ``kept``, where their codecs are as well.
    """
    begun, total = time.monotonic(), len(study.arms)
    ends = math.inf if minutes is None else begun + 60 * minutes
    for part in ("arms", "closer"):
        make_folder(folder / part)
    seen = {row["name"] for row in diagnostics.read(kept)}
    left = remaining(study, folder, known, seen)
    if study.protocol.command == "margin" and left:
        _take_over(left, study.protocol, folder, kept)
        left = remaining(study, folder, known, seen)
    if not study.protocol.joint and not train_codecs(
        study, folder, sorted({seed for arm in left for seed in arm.codecs}), kept, ends
    ):
        return len(left)
    begun = time.monotonic()
    about = f"{total} arms, {total - len(left)} done, {executor.workers} at once {executor.about}"
    print(f"{study.title}: {about}", flush=True)
    tasks = [(arm, study.protocol, str(folder), arm.name in study.diagnostics) for arm in left]
    for done, (name, said) in enumerate(results(tasks, executor, ends, _again, _lost), start=1):
        _check_shared(folder / "arms" / f"{name}.json")
        rest = (time.monotonic() - begun) / done * (len(left) - done) / 60
        print(f"{total - len(left) + done}/{total}  {name}: {said}  ({rest:.0f} min left)", flush=True)
    return len(remaining(study, folder, known, seen))


def _take_over(arms: Sequence[Arm], protocol: Protocol, folder: Path, kept: Path) -> None:
    """Write the result files of arms whose search needs no run that is not in the table in ``kept``.

    An arm of a margin is no row of the table, but a search among rows, so its name alone does not tell.
    """
    from gcn.study.margin.stored_runs import Stored

    stored = Stored(kept, folder)
    for arm in arms:
        found = stored.result(arm, protocol)
        if found is not None:
            write_json_atomic(file_of(folder, arm), plain(found))


def _check_shared(file: Path) -> None:
    """Raise InputError if a result that a worker has written does not appear here; shared folders may lag behind."""
    ends = time.monotonic() + LAG
    while not file.is_file():
        if time.monotonic() > ends:
            raise InputError(
                f"{printable(file)}: a worker has written this file, but not to the disk of this machine; "
                "give an out= that all machines share"
            )
        time.sleep(0.1)


Task = tuple[Arm, Protocol, str, bool]


def train_task(task: Task) -> Result:
    """Train an arm and write its result file; what a worker does. An arm that fails is a result as well."""
    try:
        result, look = {"lab": _lab, "margin": _margin, "methods": _methods}.get(task[1].command, _train_arm)(
            task
        )
    except Exception as problem:  # a failed run is an outcome of the study, not its end
        return _failed(task, f"{type(problem).__name__}: {problem}")
    return _written(task, result, look)


def _again(task: Task, reason: str) -> None:
    print(f"{task[0].name}: its worker was lost ({reason}); the arm is given to another worker", flush=True)


def _lost(task: Task, reason: str) -> Result:
    """Record an arm whose worker was lost twice, unless a result was written before that."""
    file = file_of(Path(task[2]), task[0])
    if file.is_file():
        return task[0].name, "trained; its worker was lost afterwards"
    return _failed(task, f"its worker was lost twice, for want of memory? ({reason})")


def _failed(task: Task, reason: str) -> Result:
    arm, protocol, _, _ = task
    failed = {
        "levels": dict(arm.levels),
        "words": list(arm.words),
        "verdict": "failed",
        "verdict_reason": " ".join(reason.split())[:300],
    }
    if protocol.command != "train":
        failed["responses"] = {}
    seeds = range(arm.seed, arm.seed + arm.seeds)
    runs = [
        {"name": name, "seed": seed, **failed, "rows": []} for name, seed in zip(arm.runs, seeds, strict=True)
    ]
    return _written(task, {"runs": runs}, {"verdict": "failed", "crops": []})


def _written(task: Task, result: dict[str, Any], look: dict[str, Any]) -> Result:
    """Write result and diagnostics of an arm; returns its name and verdicts."""
    arm, _, folder, diagnose = task
    if diagnose:
        write_json_atomic(diagnostics_file(Path(folder), arm), plain(look))
    write_json_atomic(file_of(Path(folder), arm), plain(result))
    return arm.name, ", ".join(dict.fromkeys(str(run["verdict"]) for run in result["runs"])) or "measured"


def _train_arm(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    from gcn.study.play import play

    arm, protocol, folder, diagnose = task
    ground, *others = (_ground(folder, protocol, seed) for seed in arm.codecs)
    result = play(arm, ground, protocol, diagnose, *others)
    look = result.pop("diagnostics", {})
    return {"runs": [result]}, look


def _margin(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    from gcn.study.margin import margin_arm, margin_exponent

    arm, protocol, folder, _ = task
    if arm.own.get("method") == EXPONENT:
        rate = margin_exponent.low_rate(arm, Path(folder), protocol)
        return {"runs": [], "exponents": [margin_exponent.measure(arm, Path(folder), protocol, rate)]}, {}
    return {"runs": margin_arm.play(arm, Path(folder), protocol)}, {}


def _methods(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    from gcn.study.methods import ramp

    arm, protocol, _, _ = task
    return {"runs": [ramp.play(arm, protocol)]}, {}


def _lab(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    from gcn.study import lab_arm

    arm, protocol, folder, _ = task
    run = Path(folder, "arms", arm.name)
    with interruptible():  # the command ends with this process
        runs = lab_arm.play(arm, run, config_dir(protocol))
    return {"runs": runs}, {
        "verdict": runs[0]["verdict"],
        "crops": [],
        "view": (run / "view.npz").read_bytes().hex(),
    }


@cache
def _ground(folder: str, protocol: Protocol, seed: int) -> Any:
    from gcn.study.ground import prepare

    return prepare(None if protocol.joint else codec_file(Path(folder), seed), protocol, seed)
