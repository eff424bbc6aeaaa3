"""Codecs on images, beside classical ones: ``scripts/evaluate.py run=outputs/… data=folder data.root=DIR``."""

import sys

from gcn.files.command import command
from gcn.words import Words, choice, folder, run

USAGE = "python scripts/evaluate.py [run=A,B | model=low,mid | series.NAME=A,B] [data.root=FOLDER] [compare=jpeg,webp]"
OPTIONS = {
    "run": "run folders of scripts/train.py; together one curve",
    "model": "models that ship, or model files [all that ship]",
    "series.NAME": "more run folders and model files, as a curve of that name",
    "data": "folder or photos [photos; the run's own validation images]",
    "data.root": "folder of images",
    "compare": "jpeg, webp, avif, jpeg2000, jxl [jpeg]",
    "out": "folder of the report [outputs/evaluation/NAME of the images]",
    "weights": "folder with the networks of LPIPS, DISTS and FID [torch's cache]",
    "published": "true: draw the curves of other papers",
}


def work(words: Words) -> int:
    from gcn.errors import InputError
    from gcn.evaluation import evaluate
    from gcn.report.rates.report import write_report
    from gcn.report.rates.summary import sentences

    if words.files or words.output:
        raise InputError(f"{' '.join(words.files) or '-o'}: usage: {USAGE}")
    published = choice("published", words.options.get("published", "false"))
    if "out" in words.options:
        folder("out", words.options["out"])
    said = command("python", "scripts/evaluate.py", *sys.argv[1:])
    record, done = evaluate(words.options, said)
    name = "".join(c if c.isalnum() else "-" for c in record.title.split(": ", 1)[1])
    target = folder("out", words.options.get("out", f"outputs/evaluation/{name}"))
    columns = [*done.learned_columns(), *done.columns]
    write_report(record, target, done.originals(), done.names, columns, published)
    print("", *sentences(record), f"\n{target / 'index.html'}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(
        run(sys.argv[1:], OPTIONS, USAGE, "Rate, distortion and realism of codecs on whole images.", work)
    )
