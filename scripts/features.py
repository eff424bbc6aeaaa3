"""Train the network of patch features: ``python scripts/features.py FOLDER``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("features", sys.argv[1:]))
