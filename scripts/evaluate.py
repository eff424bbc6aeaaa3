"""Codecs on images, beside classical ones: ``scripts/evaluate.py run=outputs/… data=folder data.root=DIR``."""

import sys

from gcn.cli.arguments import Words, choice, run
from gcn.cli.quoting import command
from gcn.evaluation import SMALLER

USAGE = "python scripts/evaluate.py [run=A,B | model=low,mid | series.NAME=A,B] [data.root=FOLDER] [compare=jpeg,webp]"
OPTIONS = {
    "run": "run folders of scripts/train.py; together one curve",
    "model": "models that ship, or model files [all that ship]",
    "series.NAME": "more run folders and model files, as a curve of that name",
    "data": "folder or photos [photos; the run's own validation images]",
    "data.root": "folder of images",
    "background": "colour behind transparent parts [white]",
    "compare": "jpeg, webp, avif, jpeg2000, jxl [jpeg]",
    "out": "folder of the report; the same command resumes there [outputs/evaluation/NAME of the images]",
    "overwrite": "true: replace another evaluation in that folder",
    "weights": "folder with the networks of LPIPS, DISTS and FID [torch's cache]",
    "published": "true: draw the curves of other papers",
}


def work(words: Words) -> int:
    from gcn.errors import InputError

    if words.files or words.output:
        raise InputError(f"{' '.join(words.files) or '-o'}: usage: {USAGE}")
    published = choice("published", words.options.get("published", "false"))
    overwrite = choice("overwrite", words.options.get("overwrite", "false"))
    from gcn.evaluation.job import evaluate

    said = command("python", "scripts/evaluate.py", *sys.argv[1:])
    return evaluate(words.options, said, overwrite, published)


if __name__ == "__main__":
    sys.exit(
        run(
            sys.argv[1:],
            OPTIONS,
            USAGE,
            "Rate, distortion and realism of codecs on whole images.",
            work,
            SMALLER,
        )
    )
