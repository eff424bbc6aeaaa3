"""Measure what code costs: ``python scripts/bench.py NAME``; ``--help`` lists its words."""

import sys

from gcn.commands.bench import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
