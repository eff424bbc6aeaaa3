"""Compress images to .gcn files: ``python scripts/compress.py photo.png``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("compress", sys.argv[1:]))
