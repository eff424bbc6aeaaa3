"""Which folder a run may write into, and its reservation for one process."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gcn.cli.quoting import resuming
from gcn.commands import restart
from gcn.config.destinations import words_again
from gcn.config.offered import TRAIN, Root
from gcn.config.override_words import hydra_key, key_of
from gcn.config.parse import Config
from gcn.errors import InputError
from gcn.files.lock import LOCK_FILE, only_writer
from gcn.files.names import printable

# Of a run, in training and in the lab; its records in libraries' folders and train.log, to which is added, are not.
WRITTEN = (
    "summary.json", "metrics.csv", "curves.png", "codec.safetensors", "panels", "checkpoints", "lab.json", "lab.png",
)  # fmt: skip


def refuse_used(cfg: Config, folder: Path, root: Root) -> bool:
    """Refuse a folder that holds a run or what a run would replace; True: the cluster has restarted this very run."""
    if not (folder / "config.yaml").exists():
        there = [name for name in WRITTEN if os.path.lexists(folder / name)]
        if there and not is_helper_process():
            raise InputError(
                f"{printable(folder)}: holds {there[0]}, which is of no run and would be replaced; "
                "choose another folder"
            )
        return False
    if root is TRAIN and restart.continues(cfg, folder):
        restart.refuse_other(cfg, folder)
        return True
    if not is_helper_process():
        other = "choose another folder"
        if root is TRAIN:
            other = f"continue it with: {resuming(folder, *words_again(cfg))}; or {other}"
        raise InputError(f"{printable(folder)}: holds a run; {other}")
    return False


@contextmanager
def reserved(folder: Path, words: Sequence[str], swept: bool) -> Iterator[None]:
    """Reserve the folder for this job. A new folder is removed if the job is refused, so that it can be used again.

    In a sweep it stays, with Hydra's record of its words alone. A folder with results, or in which W&B still writes,
    stays as it is.
    """
    with only_writer(folder):
        before = {path.name for path in folder.iterdir()}
        new = before <= {".hydra", LOCK_FILE} and not any(key_of(word) == "resume" for word in words)
        try:
            yield
        except InputError:
            written = {path.name for path in folder.iterdir()}
            if new and not written & {*WRITTEN, "wandb"}:
                for name in written - {LOCK_FILE, ".hydra"} if swept else ():
                    place = folder / name
                    shutil.rmtree(place) if place.is_dir() else place.unlink()
                if not swept:
                    shutil.rmtree(folder)
            raise


@contextmanager
def unused_removed(folder: Path) -> Iterator[None]:
    """Remove the folders above a run that the block has made and left empty: ``outputs/DATE`` of a refused run."""
    new = [above for above in folder.absolute().parents if not above.exists()]  # the innermost first
    try:
        yield
    finally:
        with suppress(OSError):  # one is in use, or there is none
            for above in new:
                above.rmdir()


def refuse_lonely_folder(overrides: Sequence[str]) -> None:
    """Refuse processes started by a launcher without a folder: each would make a folder of its own."""
    named = any(hydra_key(word) in ("hydra.run.dir", "resume") for word in overrides)
    started_outside = ("RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1) or (
        "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    )
    if started_outside and not named:
        raise InputError("several processes without a common folder: give out=FOLDER")
    if restart.happened() and not named:
        print("note: restarted without out=FOLDER: this begins a new run", file=sys.stderr)


def refuse_interpolation(folder: Path) -> None:
    """Refuse ``${`` in the run folder and the working directory, which Hydra would take for a reference."""
    if "${" in str(folder.absolute()):
        raise InputError(
            f"{printable(folder)}: a run cannot be in or below a folder with ${{ in its name; rename it"
        )


def is_helper_process() -> bool:
    """Whether this process is not the first of its run, which alone writes the run folder."""
    return any(
        os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    )
