"""An image as a .gcn file: ``scripts/compress.py photo.png -o photo.gcn``."""

import sys

from gcn.words import Words, run

USAGE = "python scripts/compress.py [model=NAME|FILE | run=FOLDER] IMAGE... [-o FILE|FOLDER]"
OPTIONS = {
    "model": "low, mid or high, each with -gan behind it for the synthesis trained as a game; or a model file",
    "run": "run folder whose codec is used instead",
    "background": "colour behind transparent parts [white]",
    "device": "cpu or cuda [cpu]; the file decodes on either",
}


def work(words: Words) -> int:
    from pathlib import Path

    from gcn import coding

    sources = [Path(name) for name in words.files]
    targets = coding.targets(sources, words.output, coding.SUFFIX)
    codec = coding.model(words.options).to(coding.device(words.options))
    background = words.options.get("background", "white")
    for source, target in zip(sources, targets, strict=True):
        print(coding.compress(codec, source, target, background).line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "Compress images with a learned codec.", work))
