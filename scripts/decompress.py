"""The image of a .gcn file: ``scripts/decompress.py photo.gcn -o photo.png``."""

import sys

from gcn.words import Words, run

USAGE = "python scripts/decompress.py FILE.gcn... [-o IMAGE|FOLDER] [model=NAME|FILE | run=FOLDER]"
OPTIONS = {
    "model": "a model that ships, or a model file [the one the file names, if it ships]",
    "run": "run folder whose codec wrote the file",
    "device": "cpu or cuda [cpu]; the latents are the same on either",
}


def work(words: Words) -> int:
    from pathlib import Path

    from gcn import coding
    from gcn.data.output import check_target

    sources = [Path(name) for name in words.files]
    targets = coding.targets(sources, words.output, ".png")
    for target in targets:
        check_target(target)
    for source, target in zip(sources, targets, strict=True):
        print(coding.decompress(source, target, words.options).line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "Decode images that scripts/compress.py wrote.", work))
