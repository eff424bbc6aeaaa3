"""Linearise a trained game at a checkpoint: ``python scripts/spectrum.py run=RUN``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("spectrum", sys.argv[1:]))
