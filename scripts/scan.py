"""Say which images of a folder training can use: ``python scripts/scan.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("scan", sys.argv[1:]))
