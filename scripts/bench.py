"""Measure what code costs: ``python scripts/bench.py NAME``; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("bench", sys.argv[1:]))
