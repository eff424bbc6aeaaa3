"""Measure how much faster a configuration could be trained before its game fails; ``--help`` lists its words."""

import sys

from gcn.commands.program import run

if __name__ == "__main__":
    sys.exit(run("margin", sys.argv[1:]))
