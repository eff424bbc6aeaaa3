"""The images of .gcn files: ``scripts/decompress.py photo.gcn -o photo.png``, or whole folders."""

import sys

from gcn.cli.arguments import run
from gcn.commands.compress import OPTIONS as COMMON
from gcn.commands.compress import SMALLER, decompress

USAGE = "python scripts/decompress.py FILE.gcn|FOLDER... [-o IMAGE|FOLDER] [model=NAME|FILE | run=FOLDER]"
OPTIONS = {
    "model": "a model that ships, or a model file [the one the file names, if it ships]",
    "run": "run folder whose codec wrote the file",
    "device": "cpu or cuda [cpu]; the latents are the same on either",
    **COMMON,
}
work = decompress

if __name__ == "__main__":
    about = "Decode images that scripts/compress.py wrote."
    sys.exit(run(sys.argv[1:], OPTIONS, USAGE, about, work, SMALLER))
