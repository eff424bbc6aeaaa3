"""Images as .gcn files: ``scripts/compress.py photo.png -o photo.gcn``, or whole folders."""

import sys

from gcn.cli.arguments import run
from gcn.commands.compress import OPTIONS as COMMON
from gcn.commands.compress import SMALLER, compress

USAGE = "python scripts/compress.py [model=NAME|FILE | run=FOLDER] IMAGE|FOLDER... [-o FILE|FOLDER]"
OPTIONS = {
    "model": "low, mid or high, each with -gan behind it for the synthesis trained as a game; or a model file",
    "run": "run folder whose codec is used instead",
    "background": "colour behind transparent parts [white]",
    "device": "cpu or cuda [cpu]; the file decodes on either",
    **COMMON,
}
work = compress

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, "Compress images with a learned codec.", work, SMALLER))
