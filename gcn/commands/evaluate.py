"""scripts/evaluate.py: codecs on unseen images, beside classical ones: a page, figures and tables."""

from collections.abc import Sequence

from gcn.cli.arguments import Arguments, Command
from gcn.cli.invocation import called
from gcn.cli.quoting import command
from gcn.evaluation import SMALLER
from gcn.schema.plugins import WORDS

COMMAND = Command(
    name="evaluate",
    about="Rate, distortion and realism of codecs on whole images.",
    examples="""
python scripts/evaluate.py                                          the models that ship, on two photographs
python scripts/evaluate.py run=outputs/DATE/RUN data.root=FOLDER compare=jpeg,webp,avif
python scripts/evaluate.py series.mine=runs/a,runs/b series.plain=runs/c out=report
""",
    words="""\
run: null               #: list of path ; run folders of scripts/train.py; together one curve
model: null             #: list of path ; models that ship, or model files; all that ship if no codec is named
series.NAME: null       #: list of path ; more run folders and model files, as a curve of that name
data: null              #: one of photos, folder ; the run's own validation images, or two photographs, by default
data.root: null         #: path ; folder of images
background: white       #: str ; colour behind transparent parts
compare: [jpeg]         #: list of str ; jpeg, webp, avif, jpeg2000, jxl
out: null               #: path ; folder of the report, by default in outputs/evaluation; the same command resumes
overwrite: false        #: ; replace another evaluation in that folder
weights: null           #: path ; folder with the networks of LPIPS, DISTS and FID, by default torch's cache
published: false        #: ; draw the curves of other papers
"""
    + WORDS,
    smaller=SMALLER,
)


def main(words: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""

    def evaluate(said: Arguments) -> int:
        from gcn.evaluation import job

        shown = command(*called("evaluate"), *words)
        return job.evaluate(said.said, shown, said["overwrite"], said["published"])

    return COMMAND.run(words, evaluate)
