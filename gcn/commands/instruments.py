"""scripts/instruments.py: what each instrument of realism sees of degradations of known strength."""

from collections.abc import Sequence
from pathlib import Path

from gcn.cli.arguments import Arguments, Command
from gcn.cli.invocation import called
from gcn.cli.quoting import command
from gcn.files.names import printable
from gcn.schema.plugins import WORDS, of_words

COMMAND = Command(
    name="instruments",
    about="Validate the metrics of realism: each on photographs that are degraded by known amounts, and on a codec.",
    examples="""
python scripts/instruments.py                                    ten photographs that come with scikit-image
python scripts/instruments.py data.root=data/BSDS500/val model=codec.safetensors
python scripts/instruments.py ladders=blur,noise seeds=2
""",
    words="""\
data.root: null         #: path ; folder of images, at least 10; by default photographs of scikit-image
side: 192               #: int >= 64 ; pixels a side of the middles that are cut from the images
model: mid              #: path ; a model that ships or a model file, which is measured as well
ladders: null           #: list of str ; kinds of degradation; by default all, and sizes of the classifier
seeds: 3                #: int in [2, 100] ; classifiers for each number
out: outputs/instruments #: path ; folder of tables and figure; the same command resumes
overwrite: false        #: ; replace the rows of another command in that folder
"""
    + WORDS,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    return COMMAND.run(words, lambda said: work(said, command(*called("instruments"), *words)))


def work(said: Arguments, shown: str) -> int:
    """Measure, write the files and print a line for each case; returns the exit status."""
    from gcn.evaluation.dose_response import Validation, measured
    from gcn.metrics.degradations import ladder
    from gcn.models import package
    from gcn.models.places import model_path
    from gcn.report.dose_report import write

    for name in said["ladders"] or ():
        ladder(name)
    codec = package.load(model_path(said["model"]), of_words(said.said))
    folder = Path(said["out"])
    if said["overwrite"]:
        (folder / "rows.jsonl").unlink(missing_ok=True)
    validation = Validation(_sources(said["data.root"]), said["side"], codec, said["seeds"])
    free = ("out", "overwrite", "ladders", "plugins", "config_dir")
    options = {key: value for key, value in said.items() if key not in free}
    options["model"] = Path(str(said["model"])).name
    print(f"{len(validation.images)} images, {validation.count} crops of each", flush=True)
    try:
        rows = measured(validation, said["ladders"], folder, options, lambda line: print(line, flush=True))
    except KeyboardInterrupt as signalled:
        raise type(signalled)("interrupted; what was measured is saved, the same command resumes") from None
    for path in write(rows, folder, shown):
        print(f"written: {printable(path)}", flush=True)
    return 0


def _sources(root: str | None) -> list:
    """The images of a folder, or ten photographs of scikit-image."""
    from functools import partial

    from gcn.data.images import Decoded
    from gcn.data.photos import COLOUR, GREY, VAL, photograph
    from gcn.evaluation.sources import Source, sources

    if root is not None:
        return sources({"data.root": root}, ()).images

    def load(name: str) -> Decoded:
        return Decoded(photograph(name), ())

    return [Source(name, partial(load, name)) for name in (*COLOUR, *GREY, *VAL)]
