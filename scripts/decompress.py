"""Decode .gcn files to images: ``python scripts/decompress.py photo.gcn``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("decompress", sys.argv[1:]))
