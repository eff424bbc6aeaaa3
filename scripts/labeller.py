"""Sort image patches into classes: ``python scripts/labeller.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("labeller", sys.argv[1:]))
