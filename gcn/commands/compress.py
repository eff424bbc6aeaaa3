"""scripts/compress.py and decompress.py on many files. Wrong words are refused before torch is imported."""

import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gcn.cli import batch
from gcn.cli.arguments import Words, choice
from gcn.cli.batch import Outcome, Work
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.targets import Job, Kind, plan
from gcn.models.places import check_named

SUFFIX = ".gcn"
SMALLER = "use a smaller image, fewer jobs=, or device=cpu"
OPTIONS = {
    "overwrite": "true: replace outputs that exist, but never an input",
    "skip_existing": "true: leave out inputs whose output exists and is whole",
    "jobs": "processes [1]",
}


def compress(words: Words) -> int:
    """Do what the words of scripts/compress.py say; returns the exit status."""
    from gcn.data.images import EXTENSIONS, colour

    colour(words.options.get("background", "white"))
    tasks, jobs = _checked(words, Kind(EXTENSIONS, "images", SUFFIX, _check_compressed))
    if "run" in words.options:
        from gcn.coding.run_codec import kept

        remark = kept(Path(words.options["run"]))
        if remark is not None:
            print(printable(remark), file=sys.stderr)
    return batch.run(tasks, partial(compressor, words.options, jobs), jobs, SMALLER)


def decompress(words: Words) -> int:
    """Do what the words of scripts/decompress.py say; returns the exit status."""
    from gcn.data.output import check_ending

    tasks, jobs = _checked(words, Kind({SUFFIX}, f"{SUFFIX} files", ".png", check_ending))
    return batch.run(tasks, partial(decompressor, words.options, jobs), jobs, SMALLER)


def _check_compressed(target: Path) -> None:
    if target.suffix.lower() != SUFFIX:
        raise InputError(f"{printable(target)}: a compressed image; give a name that ends in {SUFFIX}")


def _checked(words: Words, kind: Kind) -> tuple[list[batch.Task], int]:
    """The work and the number of processes; InputError for anything that can be known to be wrong before it begins."""
    options = words.options
    overwrite, skip = (choice(name, options.get(name, "false")) for name in ("overwrite", "skip_existing"))
    if overwrite and skip:
        raise InputError("overwrite=true and skip_existing=true exclude each other; give one of them")
    jobs = batch.parse_jobs(options.get("jobs", "1"))
    check_named(options)
    device = options.get("device", "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        raise InputError(f"device={device}: give cpu or cuda")
    planned = plan(words.files, words.output, kind, may_exist=overwrite or skip)
    return [(str(job.source), job) for job in planned], jobs


def compressor(options: Mapping[str, str], jobs: int) -> Work:
    """The function that compresses one file."""
    from gcn.coding import transcode

    _share_cores(jobs)
    codec = transcode.model(options)
    codec.to(transcode.device(options))
    skip, background = options.get("skip_existing") == "true", options.get("background", "white")

    def work(job: Job) -> Outcome:
        if job.exists and skip:
            transcode.check_compressed(codec, *job[:2])
            return Outcome(f"{job.target}: exists, skipped", skipped=True)
        return transcode.compress(codec, *job[:2], background, overwrite=job.exists).outcome

    return work


def decompressor(options: Mapping[str, str], jobs: int) -> Work:
    """The function that decompresses one file. Each model is loaded once, when a file needs it."""
    from gcn.coding import transcode

    _share_cores(jobs)
    device, named = transcode.device(options), transcode.named(options)
    loaded: dict[tuple[bytes, bytes], tuple[Any, tuple[str, ...]]] = {}

    def choose(file: Any) -> tuple[Any, tuple[str, ...]]:
        key = file.latents_id, file.picture_id
        if key not in loaded:
            codec, notes = transcode.for_file(file, options, named)
            loaded[key] = codec.to(device), notes
        return loaded[key]

    def work(job: Job) -> Outcome:
        if job.exists and options.get("skip_existing") == "true":
            transcode.check_decompressed(*job[:2])
            return Outcome(f"{job.target}: exists, skipped", skipped=True)
        return transcode.decompress(*job[:2], choose, overwrite=job.exists).outcome

    return work


def _share_cores(jobs: int) -> None:
    """Threads of one process among several."""
    if jobs > 1:
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
