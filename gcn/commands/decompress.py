"""scripts/decompress.py: .gcn files to images. Wrong arguments are refused before torch is imported."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gcn.cli import batch
from gcn.cli.arguments import Arguments, Command
from gcn.cli.batch import Outcome, Work
from gcn.commands.compress import COMMON, SMALLER, SUFFIX, checked, share_cores
from gcn.files.targets import Job, Kind
from gcn.schema.plugins import WORDS

COMMAND = Command(
    name="decompress",
    about="Decode images that scripts/compress.py wrote.",
    examples="""
python scripts/decompress.py photo.gcn                                photo.png beside it
python scripts/decompress.py photo.gcn out=picture.png model=mid-gan
python scripts/decompress.py files out=pictures run=outputs/DATE/RUN
""",
    words="""\
files: ???              #: list of path ; .gcn files, and folders of them
out: null               #: path ; image, or folder, of the output
model: null             #: path ; a model that ships, or a model file; by default the one that the file names
run: null               #: path ; run folder whose codec wrote the file
device: cpu             #: str ; cpu or cuda; the latents are the same on either
"""
    + COMMON
    + WORDS,
    bare=("files",),
    smaller=SMALLER,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, decompress)


def decompress(said: Arguments) -> int:
    """Decompress the files that the arguments name; returns the exit status."""
    from gcn.data.output import check_ending

    tasks = checked(said, Kind({SUFFIX}, f"{SUFFIX} files", ".png", check_ending))
    return batch.run(tasks, partial(decompressor, said.said, said["jobs"]), said["jobs"], SMALLER)


def decompressor(options: Mapping[str, str], jobs: int) -> Work:
    """A function that decompresses one file. Each model is loaded once, when a file needs it."""
    from gcn.coding import transcode

    share_cores(jobs)
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
