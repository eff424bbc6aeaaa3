"""scripts/compress.py: images to .gcn files. Wrong arguments are refused before torch is imported."""

import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from gcn.cli import batch
from gcn.cli.arguments import Arguments, Command
from gcn.cli.batch import Outcome, Work
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.files.targets import Job, Kind, plan
from gcn.models.places import check_named
from gcn.schema.plugins import WORDS, of_words

SUFFIX = ".gcn"
SMALLER = "use a smaller image, fewer jobs=, or device=cpu"
COMMON = f"""\
overwrite: false        #: ; replace outputs that exist, but never an input
skip_existing: false    #: ; leave out inputs whose output exists and is whole
jobs: 1                 #: int in [1, {batch.MOST_JOBS}] ; processes
"""
COMMAND = Command(
    name="compress",
    about="Compress images with a learned codec.",
    examples="""
python scripts/compress.py photo.png                                  photo.gcn beside it
python scripts/compress.py photo.png out=small.gcn model=low-gan
python scripts/compress.py run=outputs/DATE/RUN photos out=files jobs=4
""",
    words="""\
files: ???              #: list of path ; images, and folders of images
out: null               #: path ; file, or folder, of the output
model: null             #: path ; low, mid or high, each also with -gan behind it (trained as a game), or a file
run: null               #: path ; run folder whose codec is used instead
background: white       #: str ; colour behind transparent parts
device: cpu             #: str ; cpu or cuda; the file decodes on either
"""
    + COMMON
    + WORDS,
    bare=("files",),
    smaller=SMALLER,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, compress)


def compress(said: Arguments) -> int:
    """Compress the images that the arguments name; returns the exit status."""
    from gcn.data.checks import colour
    from gcn.data.images import EXTENSIONS

    colour(said["background"])
    tasks = checked(said, Kind(EXTENSIONS, "images", SUFFIX, _check_compressed))
    if said["run"] is not None:
        from gcn.coding.run_codec import kept

        remark = kept(Path(said["run"]), of_words(said.said))
        if remark is not None:
            print(printable(remark), file=sys.stderr)
    return batch.run(tasks, partial(compressor, said.said, said["jobs"]), said["jobs"], SMALLER)


def _check_compressed(target: Path) -> None:
    if target.suffix.lower() != SUFFIX:
        raise InputError(
            f"out={printable(target)}: the name of a compressed image ends in {SUFFIX}; give such a name"
        )


def checked(said: Arguments, kind: Kind) -> list[batch.Task]:
    """Inputs and outputs of compress or decompress; raises InputError for what is wrong before the work begins."""
    overwrite, skip = said["overwrite"], said["skip_existing"]
    if overwrite and skip:
        raise InputError("overwrite=true and skip_existing=true exclude each other; give one of them")
    check_named(said.said)
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", said["device"]):
        raise InputError(f"device={said['device']}: give cpu or cuda")
    planned = plan(said["files"], said["out"], kind, may_exist=overwrite or skip)
    return [(str(job.source), job) for job in planned]


def compressor(options: Mapping[str, str], jobs: int) -> Work:
    """A function that compresses one file."""
    from gcn.coding import transcode

    share_cores(jobs)
    codec = transcode.model(options)
    codec.to(transcode.device(options))
    skip, background = options.get("skip_existing") == "true", options.get("background", "white")

    def work(job: Job) -> Outcome:
        if job.exists and skip:
            transcode.check_compressed(codec, *job[:2])
            return Outcome(f"{job.target}: exists, skipped", skipped=True)
        return transcode.compress(codec, *job[:2], background, overwrite=job.exists).outcome

    return work


def share_cores(jobs: int) -> None:
    """Set torch's threads for one process among several."""
    if jobs > 1:
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
